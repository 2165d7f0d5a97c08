package planner

import (
	"slices"

	"github.com/cnmctl/cnmctl/drivers"
	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
)

// assignNetworks fills in what IPAM plugins gave the networks.
func (a *Allocator) assignNetworks(networks []*spec.Network, held Held) {
	for _, n := range networks {
		drivers.AssignNetwork(&n.Network, held.Answers)
	}
}

// ownAddresses reports that cnmctl itself gives out the network's addresses.
func ownAddresses(n *spec.Network) bool {
	return n != nil && !n.IPAM.Remote() && n.IPAM.Driver != state.IPAMNull
}

// leaveToPlugins names what of the endpoints plugins choose, and fills in what they have
// chosen, or had once.
func (w *wiring) leaveToPlugins() {
	for _, e := range w.linked {
		n := w.network[e.Network]
		if n == nil {
			continue
		}
		plugin := ""
		if w.traits[n.Driver].Plugin {
			plugin = drivers.OptionText(n.Options, "plugin")
		}
		if plugin == "" && !n.IPAM.Remote() {
			continue
		}
		w.leave(n, e, plugin)
		drivers.AssignEndpoint(n.Network, &e.Endpoint, plugin, w.held.Answers)
	}
}

// leave names what a plugin chooses. What was chosen on another host, whose plugin cannot be
// asked from here, is in the record.
func (w *wiring) leave(n *spec.Network, e *spec.Endpoint, plugin string) {
	v4, v6 := !n.NoIPv4 || drivers.Has(n.Network, false), n.IPv6 || drivers.Has(n.Network, true)
	old, _ := w.held.Records[e.Key()].(state.Endpoint)
	same := old.Network == e.Network && old.Sandbox == e.Sandbox
	keep := func(name string) bool { return same && slices.Contains(old.Assigned, name) }
	assign := func(name string) { e.Assigned = append(e.Assigned, name) }
	given := n.IPAM.Remote() || plugin != "" && n.IPAM.Driver == state.IPAMNull
	if given && v4 && !e.IPv4.IsValid() {
		assign("ipv4")
		if keep("ipv4") {
			e.IPv4 = old.IPv4
		}
	}
	if given && v6 && !e.IPv6.IsValid() {
		assign("ipv6")
		if keep("ipv6") {
			e.IPv6 = old.IPv6
		}
	}
	if plugin == "" {
		return
	}
	if e.MAC.IsZero() {
		assign("mac")
		if keep("mac") {
			e.MAC = old.MAC
		}
	}
	if e.Interface == "" && !n.Written("interface_prefix") {
		assign("interface")
		if keep("interface") {
			e.Interface = old.Interface
		}
	}
}

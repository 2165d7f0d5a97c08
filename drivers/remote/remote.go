// Package remote has a network carried by a plugin, as libnetwork does: the plugin makes
// networks, endpoints and interfaces of its own, and cnmctl puts the interfaces into their
// sandboxes.
package remote

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/cnmctl/cnmctl/drivers"
	"github.com/cnmctl/cnmctl/state"
)

// Driver is the remote driver.
type Driver struct{}

var (
	_ drivers.Driver  = Driver{}
	_ drivers.Refiner = Driver{}
)

// Traits of a network whose links somebody else makes.
func (d Driver) Traits() drivers.Traits {
	return drivers.Traits{Pools: true, Gateway: true, Links: true, Plugin: true, Refiner: d}
}

// Refine tells whether the network spans hosts: its plugin says so.
func (Driver) Refine(t drivers.Traits, n state.Network) drivers.Traits {
	o, err := decode(n.Options)
	t.Global = err == nil && o.Scope == scopeGlobal
	return t
}

// network is a network with its options decoded, as one host sees it.
type network struct {
	drivers.View
	options
	id string
}

// Expand lists what the plugin is asked for, and what follows from its answers.
func (d Driver) Expand(v drivers.View) (drivers.Expansion, error) {
	o, err := decode(v.Network.Options)
	if err != nil {
		return drivers.Expansion{}, err
	}
	n := network{View: v, options: o, id: state.PluginID(v.Network.Mark)}
	out := drivers.Expansion{Offers: make(map[state.Address]drivers.Offer, len(v.Endpoints))}
	made := n.made()
	if made.Global {
		out.Objects = append(out.Objects, state.Allocation{PluginNetwork: made})
	}
	if len(v.Endpoints) == 0 && len(v.Away) > 0 {
		return out, nil // it is on the hosts where it has endpoints
	}
	out.Objects = append(out.Objects, made)
	out.Objects = append(out.Objects, n.nodes()...)
	for _, e := range v.Endpoints {
		asked := n.endpoint(e)
		out.Objects = append(out.Objects, asked)
		given, ok := v.Answers[asked.Key()].(state.PluginEndpoint)
		if !ok || given.Stage != state.Made {
			continue // what follows is known when the plugin was asked
		}
		objects, offer := n.joined(e, given)
		out.Objects = append(out.Objects, objects...)
		out.Offers[e.Mark.Address] = offer
	}
	return out, nil
}

// made is the network as the plugin makes it.
func (n network) made() state.PluginNetwork {
	r := n.Network
	made := state.PluginNetwork{
		Mark: r.Mark, Plugin: n.Plugin, ID: n.id, Global: n.Scope == scopeGlobal, Internal: r.Internal,
		IPv4: !r.NoIPv4 || drivers.Has(r, false), IPv6: r.IPv6 || drivers.Has(r, true), Options: n.Options, Timeout: n.Timeout,
	}
	if r.IPAM.Remote() {
		made.Pools = drivers.PoolKeys(r)
	} else {
		made.Ranges = r.Subnets
	}
	return made
}

// nodes are the hosts that a plugin whose networks span them is told of.
func (n network) nodes() []state.Object {
	var nodes []state.Object
	for _, h := range n.Hosts {
		if n.Scope == scopeGlobal && h.VTEP.IsValid() {
			nodes = append(nodes, state.Node{Mark: h.Mark, Plugin: n.Plugin, Address: h.VTEP, Self: h.Name == n.Host, Timeout: n.Timeout})
		}
	}
	return nodes
}

// endpoint is the endpoint as the plugin is asked for it.
func (n network) endpoint(e drivers.Attached) state.PluginEndpoint {
	var o endpointOptions
	_ = e.Options.Decode(&o) // what is not understood has no effect; Validate has refused it
	asked := state.PluginEndpoint{
		Mark: e.Mark, Plugin: n.Plugin, Network: n.Network.Mark.Address, NetworkID: n.id, ID: state.PluginID(e.Mark),
		In: e.In.Place(), Path: path(e.In), Options: o.Options, Labels: e.In.Labels, Ports: e.Ports, Timeout: n.Timeout,
	}
	assigned := func(name string) bool { return slices.Contains(e.Assigned, name) }
	if !assigned("mac") {
		asked.MAC = e.MAC
	}
	if !assigned("interface") {
		asked.Interface = e.Interface
	}
	for _, f := range []struct {
		name string
		from netip.Prefix
		to   *netip.Prefix
	}{{"ipv4", e.IPv4, &asked.IPv4}, {"ipv6", e.IPv6, &asked.IPv6}} {
		if !assigned(f.name) {
			*f.to = f.from
		}
	}
	if n.Network.IPAM.Remote() {
		asked.IPv4, asked.IPv6 = netip.Prefix{}, netip.Prefix{}
		asked.Leases = drivers.LeaseKeys(n.Network, e.Endpoint)
	}
	return asked
}

// path is where the sandbox's namespace is in the file system. Where that of a container is,
// is known when the plugin is asked.
func path(s state.Sandbox) string {
	switch ns, ok := s.Place().Netns(); {
	case !ok:
		return "/proc/1/ns/net"
	case state.Named(ns):
		return "/run/netns/" + ns
	default:
		return ns
	}
}

// joined is the interface that the plugin gave, with all that goes on it.
func (n network) joined(e drivers.Attached, given state.PluginEndpoint) ([]state.Object, drivers.Offer) {
	j := given.Joined
	objects := []state.Object{state.Link{
		Place: e.In.Place(), Name: e.Interface, Mark: e.Mark, Type: state.Given, MTU: n.Network.MTU, MAC: j.MAC,
		Up: true, NoIPv6: !e.HasIPv6(), From: j.Source, Giver: given.Key(),
	}}
	objects = append(objects, drivers.Addresses(e)...)
	objects = append(objects, drivers.InterfaceSysctls(e)...)
	offer := n.offer(e, given)
	for _, r := range j.Routes {
		if offered(&offer, r) {
			continue
		}
		objects = append(objects, state.NewRoute(state.Route{
			Place: e.In.Place(), Dst: r.To, Via: r.Via, Dev: e.Interface, OnLink: r.Via.IsValid() && !onLink(e, r.Via), Mark: e.Mark,
		}))
	}
	offer.OnLink = offer.Gateway4.IsValid() && !onLink(e, offer.Gateway4) || offer.Gateway6.IsValid() && !onLink(e, offer.Gateway6)
	return objects, offer
}

// offer is the way out by the gateways that the plugin names.
func (n network) offer(e drivers.Attached, given state.PluginEndpoint) drivers.Offer {
	return drivers.Offer{
		Link: e.Interface, Gateway4: given.Joined.Gateway4, Gateway6: given.Joined.Gateway6, Internal: n.Network.Internal,
		Elected: []state.Object{state.WayOut{
			Mark: e.Mark, Plugin: n.Plugin, NetworkID: n.id, ID: given.ID, Options: given.Options, Ports: e.Ports, Timeout: n.Timeout,
		}},
	}
}

// offered adds a default route that the plugin wants to the offer, as a gateway that it names
// is: as libnetwork sees it, who has one is a way out, and a sandbox takes one.
func offered(o *drivers.Offer, r state.GivenRoute) bool {
	gateway, direct := &o.Gateway4, &o.Direct4
	if r.To.Addr().Is6() {
		gateway, direct = &o.Gateway6, &o.Direct6
	}
	if r.To.Bits() != 0 || o.Internal || gateway.IsValid() || *direct {
		return false
	}
	*gateway, *direct = r.Via, !r.Via.IsValid()
	return true
}

// onLink reports that an address of the endpoint covers the next hop.
func onLink(e drivers.Attached, ip netip.Addr) bool {
	return e.IPv4.IsValid() && e.IPv4.Contains(ip) || e.IPv6.IsValid() && e.IPv6.Contains(ip) || ip.IsLinkLocalUnicast()
}

// decode reads the options over their defaults.
func decode(o state.Options) (options, error) {
	v := options{Scope: scopeLocal, Timeout: defaultTimeout}
	if err := o.Decode(&v); err != nil {
		return v, fmt.Errorf("reading the remote options: %w", err)
	}
	return v, nil
}

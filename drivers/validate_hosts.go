package drivers

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/hcl/v2"
)

// validateHosts checks what networks that span hosts need of them.
func validateHosts(t *spec.Topology, all []Driver) hcl.Diagnostics {
	if len(t.Hosts) == 0 {
		return nil
	}
	diags := validateEnds(t)
	global := map[state.Address]bool{}
	for _, n := range t.Networks {
		i := slices.IndexFunc(all, func(d Driver) bool { return d.Schema().Name == n.Driver })
		global[n.Mark.Address] = i >= 0 && all[i].Traits().Of(n.Network).Global
	}
	hosts, sandboxes := map[string]*spec.Host{}, map[state.Address]*spec.Sandbox{}
	for _, h := range t.Hosts {
		hosts[h.Name] = h
	}
	for _, s := range t.Sandboxes {
		sandboxes[s.Mark.Address] = s
	}
	told := map[string]bool{}
	for _, e := range t.Endpoints {
		s := sandboxes[e.Sandbox]
		if s == nil || !global[e.Network] {
			continue
		}
		switch h := hosts[s.Host]; {
		case s.Host == "" && !told[string(s.Mark.Address)]:
			told[string(s.Mark.Address)] = true
			diags = append(diags, Refuse(&s.Range, "Sandbox without a host", fmt.Sprintf(
				"%s puts %s on %s, which spans hosts, but nothing says on which of them the sandbox is. Add host, as in host = %q.",
				e.Mark.Address, s.Mark.Address, e.Network, t.Hosts[0].Name)))
		case h != nil && !h.VTEP.IsValid() && len(t.Hosts) > 1 && !told["host "+h.Name]:
			told["host "+h.Name] = true
			diags = append(diags, Refuse(&h.Range, "Host without a tunnel end", fmt.Sprintf(
				"%s is on %s, and %s joins it to %s, but no tunnel can lead there: the host has no vtep. Add its address on the network between the hosts, as in vtep = \"10.99.0.10\".",
				s.Mark.Address, h.Mark.Address, e.Mark.Address, e.Network)))
		}
	}
	return diags
}

// validateEnds checks the ends of tunnels: each host has its own, all of one family, and
// none is inside of a network that goes through them.
func validateEnds(t *spec.Topology) hcl.Diagnostics {
	var diags hcl.Diagnostics
	first := map[netip.Addr]*spec.Host{}
	var some *spec.Host
	for _, h := range t.Hosts {
		if !h.VTEP.IsValid() {
			continue
		}
		if some == nil {
			some = h
		}
		if other := first[h.VTEP]; other != nil {
			diags = append(diags, Refuse(h.At("vtep"), "Two hosts with one tunnel end", fmt.Sprintf(
				"%s and %s both have the vtep %s. Give each host its own address.", other.Mark.Address, h.Mark.Address, h.VTEP)))
		}
		first[h.VTEP] = h
		if some.VTEP.Is6() != h.VTEP.Is6() {
			diags = append(diags, Refuse(h.At("vtep"), "Tunnel ends of two families", fmt.Sprintf(
				"%s has the vtep %s and %s has %s: no tunnel can join them. Choose addresses of one family.", some.Mark.Address, some.VTEP, h.Mark.Address, h.VTEP)))
		}
	}
	for _, n := range t.Networks {
		for i, s := range n.Subnets {
			for _, h := range t.Hosts {
				if h.VTEP.IsValid() && s.CIDR.Contains(h.VTEP) {
					diags = append(diags, Refuse(n.At("subnet["+strconv.Itoa(i)+"].cidr"), "Subnet overlaps the underlay", fmt.Sprintf(
						"The subnet %s of %s holds %s, the vtep of %s: packets to the host would go into the network that they are to carry. Choose another subnet.",
						s.CIDR, n.Mark.Address, h.VTEP, h.Mark.Address)))
				}
			}
		}
	}
	return diags
}

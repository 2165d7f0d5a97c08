package drivers

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/hcl/v2"
)

// Validate checks what only drivers know of a topology, and what follows from them: each
// network by its driver, the sysctls of endpoints and sandboxes, and the routes of
// sandboxes against the networks that they are in.
func Validate(t *spec.Topology, all []Driver) hcl.Diagnostics {
	var diags hcl.Diagnostics
	on, in := map[state.Address][]*spec.Endpoint{}, map[state.Address][]*spec.Endpoint{}
	space := spaces(t)
	for _, e := range t.Endpoints {
		on[e.Network] = append(on[e.Network], e)
		in[space(e.Sandbox)] = append(in[space(e.Sandbox)], e)
		diags = append(diags, validateSysctls(e.Sysctls, e.Decl, checkInterfaceSysctl)...)
		if e.Nameless && len(e.Aliases) > 0 {
			diags = append(diags, Refuse(e.At("aliases"), "Aliases without names", fmt.Sprintf(
				"%s has names = false, so nobody could find it by its aliases either. Remove one of them.", e.Mark.Address)))
		}
	}
	onHost := map[state.Address]bool{}
	for _, n := range t.Networks {
		i := slices.IndexFunc(all, func(d Driver) bool { return d.Schema().Name == n.Driver })
		if i < 0 {
			continue // an error of the language already
		}
		diags = append(diags, all[i].Validate(n, on[n.Mark.Address])...)
		for _, e := range on[n.Mark.Address] {
			diags = append(diags, validateShaping(n, e, all[i].Traits())...)
			onHost[space(e.Sandbox)] = onHost[space(e.Sandbox)] || all[i].Traits().HostNamespace
		}
	}
	diags = append(diags, validatePorts(t, all, in)...)
	diags = append(diags, validatePolicies(t, all)...)
	vrfs := map[state.Address]map[string]uint32{}
	for _, s := range t.Sandboxes {
		if len(s.VRFs) > 0 {
			vrfs[s.Mark.Address] = s.VRFs
		}
	}
	for _, s := range t.Sandboxes {
		diags = append(diags, validateSysctls(s.Sysctls, s.Decl, checkSysctl)...)
		first := space(s.Mark.Address)
		v := sandboxValidator{Sandbox: s, endpoints: in[first], onHost: onHost[first], vrfs: vrfs[first]}
		diags = append(diags, v.run()...)
	}
	diags = append(diags, validateParents(t, all)...)
	diags = append(diags, validateLinkLocal(t, all)...)
	diags = append(diags, validateVRFs(t, all)...)
	diags = append(diags, validateOverlaps(t, all, onHost)...)
	return append(diags, validateHosts(t, all)...)
}

// spaces tells of each sandbox in whose namespace it is: its own, or the one that it shares.
func spaces(t *spec.Topology) func(state.Address) state.Address {
	shared := map[state.Address]state.Address{}
	for _, s := range t.Sandboxes {
		if s.Shares != "" {
			shared[s.Mark.Address] = s.Shares
		}
	}
	return func(a state.Address) state.Address { return cmp.Or(shared[a], a) }
}

func validateSysctls(m map[string]string, d spec.Decl, check func(string) error) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for _, key := range slices.Sorted(maps.Keys(m)) {
		if err := check(key); err != nil {
			diags = append(diags, Refuse(d.At("sysctls"), "Unsuitable sysctl", "The sysctl "+err.Error()+"."))
		}
	}
	return diags
}

// RefuseLinks is for drivers without interfaces: it refuses what would be an interface's.
func RefuseLinks(n *spec.Network, endpoints []*spec.Endpoint, why string) hcl.Diagnostics {
	var diags hcl.Diagnostics
	if len(n.Subnets) > 0 {
		diags = append(diags, Refuse(n.At("subnet[0].cidr"), "Subnet of a network without interfaces", fmt.Sprintf(
			"%s has a subnet, but %s. Remove the subnet, or choose another driver.", n.Mark.Address, why)))
	}
	for _, f := range []struct {
		attr  string
		given bool
	}{
		{"mtu", n.MTU != 0}, {"interface_prefix", n.Written("interface_prefix")}, {"internal", n.Internal}, {"ipv6", n.IPv6}, {"ipam.driver", n.IPAM.Driver != ""},
	} {
		if f.given {
			diags = append(diags, Refuse(n.At(f.attr), "Setting of a network without interfaces", fmt.Sprintf(
				"%s has %s, but %s. Remove it, or choose another driver.", n.Mark.Address, strings.TrimSuffix(f.attr, ".driver"), why)))
		}
	}
	for _, e := range endpoints {
		for _, f := range []struct {
			attr  string
			given bool
		}{
			{"ipv4", e.IPv4.IsValid()}, {"ipv6", e.IPv6.IsValid()}, {"mac", !e.MAC.IsZero()},
			{"interface", e.Interface != ""}, {"sysctls", len(e.Sysctls) > 0}, {"link_local_ips", len(e.LinkLocal) > 0},
			{"aliases", len(e.Aliases) > 0}, {"gateway_priority", e.Priority != 0},
		} {
			if f.given {
				diags = append(diags, Refuse(e.At(f.attr), "Endpoint without an interface", fmt.Sprintf(
					"%s has %s, but %s. Remove %[2]s, or choose another driver for %[4]s.", e.Mark.Address, f.attr, why, e.Network)))
			}
		}
	}
	return diags
}

// sandboxValidator checks one sandbox against the endpoints that are in it.
type sandboxValidator struct {
	*spec.Sandbox
	endpoints []*spec.Endpoint
	onHost    bool
	// vrfs are those of its namespace.
	vrfs  map[string]uint32
	diags hcl.Diagnostics
}

func (v *sandboxValidator) refuse(attr, summary, format string, args ...any) {
	v.diags = append(v.diags, Refuse(v.At(attr), summary, fmt.Sprintf(format, args...)))
}

func (v *sandboxValidator) run() hcl.Diagnostics {
	for i, r := range v.Routes {
		v.route(fmt.Sprintf("route[%d]", i), r)
	}
	for i, n := range v.Neighbors {
		if !v.hasLink(n.Dev) && !v.Partial {
			v.refuse(fmt.Sprintf("neighbor[%d].dev", i), "Neighbor on an unknown interface",
				"%s has no endpoint whose interface is %q. %s", v.Mark.Address, n.Dev, v.interfaces())
		}
	}
	if v.onHost {
		v.host()
	}
	return v.diags
}

// host refuses what would change the host itself rather than add to it.
func (v *sandboxValidator) host() {
	for _, f := range []struct {
		attr  string
		given bool
	}{
		{"sysctls", len(v.Sysctls) > 0}, {"vrfs", len(v.VRFs) > 0}, {"hostname", v.Hostname != ""}, {"extra_hosts", len(v.ExtraHosts) > 0},
		{"dns", len(v.DNS.Servers)+len(v.DNS.Search)+len(v.DNS.Options) > 0},
	} {
		if f.given {
			v.refuse(f.attr, "Setting of the host itself",
				"%s is the host's own namespace, whose sysctls, VRFs and files cnmctl does not touch. Remove %s.", v.Mark.Address, f.attr)
		}
	}
}

// route checks that a route leads somewhere. While addresses are still to be chosen, it
// gives the benefit of the doubt.
func (v *sandboxValidator) route(attr string, r state.StaticRoute) {
	drops := r.Type != "" && r.Type != state.Unicast
	switch {
	case drops, !r.To.IsValid(), r.Dev == "" && !r.Via.IsValid(): // the language has said what is wrong
	case v.Partial: // it may lead by an endpoint that something else is wrong with
	case r.Dev != "" && !v.hasLink(r.Dev) && !v.onHost && r.Dev != "lo" && v.named():
		v.refuse(attr+".dev", "Route by an unknown interface", "%s has no endpoint whose interface is %q. %s", v.Mark.Address, r.Dev, v.interfaces())
	case r.Dev == "" && v.ambiguous(r):
		v.refuse(attr+".via", "Next hop in several VRFs", "Endpoints of %s in several VRFs are in the subnet of %s, the next hop to %s. Say which one is meant: vrf = \"…\", or name the interface (dev).", v.Mark.Address, r.Via, r.To)
	case r.Dev == "" && !v.reaches(r):
		v.refuse(attr+".via", "Next hop out of reach", "No endpoint of %s is in the subnet of %s, the next hop to %s. Choose an address of a network that the sandbox is in, or name the interface (dev).", v.Mark.Address, r.Via, r.To)
	}
}

func (v *sandboxValidator) hasLink(name string) bool {
	_, vrf := v.vrfs[name] // a VRF is an interface, by which others look up its table
	return vrf || slices.ContainsFunc(v.endpoints, func(e *spec.Endpoint) bool { return e.Interface == name && name != "" })
}

// named reports that all interfaces have names already.
func (v *sandboxValidator) named() bool {
	return !slices.ContainsFunc(v.endpoints, func(e *spec.Endpoint) bool { return e.Interface == "" })
}

// reaches reports that the next hop is in the subnet of an endpoint, in the VRF if one is said.
func (v *sandboxValidator) reaches(r state.StaticRoute) bool {
	return slices.ContainsFunc(v.endpoints, func(e *spec.Endpoint) bool {
		unknown := !e.IPv4.IsValid() && !e.IPv6.IsValid()
		return (r.VRF == "" || e.VRF == r.VRF) && (unknown || e.IPv4.Contains(r.Via) || e.IPv6.Contains(r.Via))
	})
}

// ambiguous reports that the next hop is in subnets of several VRFs, and none is said.
func (v *sandboxValidator) ambiguous(r state.StaticRoute) bool {
	in := map[string]bool{}
	for _, e := range v.endpoints {
		if e.IPv4.Contains(r.Via) || e.IPv6.Contains(r.Via) {
			in[e.VRF] = true
		}
	}
	return r.VRF == "" && len(in) > 1
}

// interfaces says what there is to choose from.
func (v *sandboxValidator) interfaces() string {
	text := ""
	for _, e := range v.endpoints {
		if e.Interface != "" {
			text += fmt.Sprintf(" %s (%s)", e.Interface, e.Network)
		}
	}
	if text == "" {
		return "It has no interface but lo."
	}
	return "Its interfaces are:" + text + "."
}

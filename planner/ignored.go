package planner

import (
	"net/netip"
	"slices"

	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
)

// KeepIgnored gives the blocks of a topology the values that their records have where
// lifecycle { ignore_changes } names them, so that all that follows from such a value (the
// MTU of a network is that of its ports, too) stays with it. What is left open may be
// chosen with those values in place: the allocator calls it for what it is about to
// allocate, and whoever evaluates calls it once more for what is evaluated after that.
func KeepIgnored(t *spec.Topology, records state.World) {
	before := recordsBefore(records, t.Moves)
	for _, n := range t.Networks {
		if old, ok := before(n.Key(), n.Decl).(state.Network); ok {
			keepNetwork(&n.Network, old, n.IgnoreChanges)
		}
	}
	for _, s := range t.Sandboxes {
		if old, ok := before(s.Key(), s.Decl).(state.Sandbox); ok {
			keepSandbox(&s.Sandbox, old, s.IgnoreChanges)
		}
	}
	for _, e := range t.Endpoints {
		if old, ok := before(e.Key(), e.Decl).(state.Endpoint); ok {
			old.Network, old.Sandbox = movedAddress(old.Network, t.Moves), movedAddress(old.Sandbox, t.Moves)
			dropOutside(&old, t.Networks)
			keepEndpoint(&e.Endpoint, old, e.IgnoreChanges)
		}
	}
	for _, p := range t.Policies {
		if old, ok := before(p.Key(), p.Decl).(state.Policy); ok {
			keepPolicy(&p.Policy, old, p.IgnoreChanges)
		}
	}
}

func keepPolicy(p *state.Policy, old state.Policy, names []string) {
	keep := func(deny bool) {
		other := func(r state.FlowRule) bool { return r.Deny != deny }
		rules := slices.DeleteFunc(slices.Clone(p.Rules), func(r state.FlowRule) bool { return !other(r) })
		p.Rules = append(rules, slices.DeleteFunc(slices.Clone(old.Rules), other)...)
	}
	for _, name := range names {
		switch name {
		case "all":
			p.Rules, p.Labels = old.Rules, old.Labels
		case "allow":
			keep(false)
		case "deny":
			keep(true)
		case "labels":
			p.Labels = old.Labels
		}
	}
}

// recordsBefore finds the record of a block, by the name that it had, nil when nothing of
// the block is ignored or there is none.
func recordsBefore(records state.World, moves []spec.Move) func(state.Key, spec.Decl) state.Object {
	was := map[state.Address]state.Address{}
	for from, to := range movedTo(records, moves) {
		was[to] = from
	}
	return func(k state.Key, d spec.Decl) state.Object {
		if len(d.IgnoreChanges) == 0 {
			return nil
		}
		if from, moved := was[state.Address(k.Name)]; moved {
			k.Name = string(from)
		}
		return records[k]
	}
}

func keepNetwork(n *state.Network, old state.Network, names []string) {
	if old.Driver != n.Driver {
		return // it is another network
	}
	for _, name := range names {
		switch name {
		case "all":
			old.Mark, old.Protected = n.Mark, n.Protected
			*n = old
		case "name":
			n.Name = old.Name
		case "subnet":
			n.Subnets = old.Subnets
		case "internal":
			n.Internal = old.Internal
		case "ipv4":
			n.NoIPv4 = old.NoIPv4
		case "ipv6":
			n.IPv6 = old.IPv6
		case "mtu":
			n.MTU = old.MTU
		case "interface_prefix":
			n.Prefix = old.Prefix
		case "labels":
			n.Labels = old.Labels
		case n.Driver:
			n.Device, n.VNIs, n.Options = old.Device, old.VNIs, old.Options
		}
	}
}

func keepSandbox(s *state.Sandbox, old state.Sandbox, names []string) {
	for _, name := range names {
		switch name {
		case "all":
			old.Mark, old.Protected = s.Mark, s.Protected
			*s = old
		case "name":
			s.Name = old.Name
			if !s.Foreign && s.Shares == "" && !old.Foreign && old.Shares == "" {
				s.Netns = old.Netns
			}
		case "netns", "container", "shares":
			s.Netns, s.Foreign, s.Shares = old.Netns, old.Foreign, old.Shares
		case "host":
			s.Host = old.Host
		case "hostname":
			s.Hostname = old.Hostname
		case "vrfs":
			s.VRFs = old.VRFs
		case "loopback":
			s.Loopback = old.Loopback
		case "route":
			s.Routes = old.Routes
		case "rule":
			s.Rules = old.Rules
		case "neighbor":
			s.Neighbors = old.Neighbors
		case "sysctls":
			s.Sysctls = old.Sysctls
		case "extra_hosts":
			s.ExtraHosts = old.ExtraHosts
		case "dns":
			s.DNS = old.DNS
		case "labels":
			s.Labels = old.Labels
		}
	}
}

// dropOutside takes addresses away that the network does not have any more.
func dropOutside(e *state.Endpoint, networks []*spec.Network) {
	i := slices.IndexFunc(networks, func(n *spec.Network) bool { return n.Mark.Address == e.Network })
	for _, p := range []*netip.Prefix{&e.IPv4, &e.IPv6} {
		if i < 0 || !slices.ContainsFunc(networks[i].Subnets, func(s state.Subnet) bool { return s.CIDR.Contains(p.Addr()) }) {
			*p = netip.Prefix{}
		}
	}
}

func keepEndpoint(e *state.Endpoint, old state.Endpoint, names []string) {
	for _, name := range names {
		switch name {
		case "all":
			old.Mark, old.Protected = e.Mark, e.Protected
			old.IPv4, old.IPv6 = orElse(old.IPv4, e.IPv4), orElse(old.IPv6, e.IPv6)
			*e = old
		case "network":
			e.Network = old.Network
		case "sandbox":
			e.Sandbox = old.Sandbox
		case "name":
			e.Name = old.Name
		case "ipv4":
			e.IPv4 = orElse(old.IPv4, e.IPv4)
		case "ipv6":
			e.IPv6 = orElse(old.IPv6, e.IPv6)
		case "link_local_ips":
			e.LinkLocal = old.LinkLocal
		case "mac":
			e.MAC = old.MAC
		case "interface":
			e.Interface = old.Interface
		case "vrf":
			e.VRF = old.VRF
		case "names":
			e.Nameless = old.Nameless
		case "aliases":
			e.Aliases = old.Aliases
		case "gateway_priority":
			e.Priority = old.Priority
		case "sysctls":
			e.Sysctls = old.Sysctls
		case "service":
			e.Service = old.Service
		case "labels":
			e.Labels = old.Labels
		default: // the block of its network's driver
			e.HostInterface, e.Options = old.HostInterface, old.Options
		}
	}
}

func orElse(p, other netip.Prefix) netip.Prefix {
	if p.IsValid() {
		return p
	}
	return other
}

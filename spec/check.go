package spec

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/cnmctl/cnmctl/state"
)

// The checks below compare records with each other, as far as the configuration itself
// decides. What depends on choices is for the allocator to check.

// refuse reports what is wrong with an instance, which then takes no further part.
func (i *instance) refuse(attr, summary, detail string, args ...any) {
	i.scope.report(fault(i.declaration().At(attr), summary, detail, args...))
	i.failed = true
}

// declaration is the declaration of the record.
func (i *instance) declaration() Decl {
	switch i.kind {
	case "network":
		return i.network.Decl
	case "sandbox":
		return i.sandbox.Decl
	case "endpoint":
		return i.endpoint.Decl
	case "policy":
		return i.policy.Decl
	}
	return i.host.Decl
}

// usable are the instances of a kind that have a record without faults.
func (r *run) usable(kind string) []*instance {
	return slices.DeleteFunc(slices.Clone(r.instances(kind)), func(i *instance) bool { return !i.read || i.failed })
}

// recorded are the instances of a kind that have a record, if only a part of one: what was
// refused in a block is not in it, and the rest can be compared with others.
func (r *run) recorded(kind string) []*instance {
	return slices.DeleteFunc(slices.Clone(r.instances(kind)), func(i *instance) bool {
		return i.network == nil && i.sandbox == nil && i.endpoint == nil && i.host == nil
	})
}

// firsts remembers who took something first.
type firsts[K comparable] map[K]*instance

// take returns who has k already, nil if i is the first.
func (f firsts[K]) take(k K, i *instance) *instance {
	if other, taken := f[k]; taken {
		return other
	}
	f[k] = i
	return nil
}

// at says where an instance is declared, for messages about another.
func (i *instance) at() string { return string(i.addr) + " (" + place(i.header) + ")" }

// holder says who has an endpoint that only one sandbox can have, with more about it.
func (i *instance) holder(more ...string) string {
	if i.in != nil && i.in.sandbox != nil {
		who := "attached to " + string(i.in.addr)
		if host := i.in.sandbox.Host; host != "" {
			who += " on host " + host
		}
		more = append(more, who)
	}
	if len(more) == 0 {
		return string(i.addr)
	}
	return string(i.addr) + " (" + strings.Join(more, ", ") + ")"
}

func (r *run) checkNetworks() {
	names := firsts[string]{}
	for _, i := range r.recorded("network") {
		if i.network.Name == "" {
			continue // it was refused
		}
		if other := names.take(i.network.Name, i); other != nil {
			i.refuse("name", "Duplicate name", "%s and %s are both called %q. Names of networks are unique in a stack: give one of them another name.", i.addr, other.at(), i.network.Name)
		}
	}
	r.checkOverlaps()
}

// checkOverlaps refuses explicit subnets of one network that have an address in common.
// Those of different networks may be told apart by VRFs, which drivers know of.
func (r *run) checkOverlaps() {
	for _, i := range r.recorded("network") {
		subnets := i.network.Subnets
		for k, s := range subnets {
			if first := slices.IndexFunc(subnets[:k], func(o state.Subnet) bool { return o.CIDR.Overlaps(s.CIDR) }); first >= 0 {
				i.refuse(subnetAttr(k, "cidr"), "Overlapping subnets", "The subnets %s and %s of %s overlap. Make them disjoint, or delete one of them.", subnets[first].CIDR, s.CIDR, i.addr)
			}
		}
	}
}

func (r *run) checkSandboxes() {
	type key struct{ host, text string }
	names, spaces := firsts[key]{}, firsts[key]{}
	for _, i := range r.recorded("sandbox") {
		s := &i.sandbox.Sandbox
		if s.Name == "" || s.Netns == "" {
			continue // it was refused
		}
		if other := names.take(key{s.Host, s.Name}, i); other != nil {
			i.refuse("name", "Duplicate name", "%s and %s are both called %q. Names of sandboxes are unique on a host: give one of them another name.", i.addr, other.at(), s.Name)
			continue
		}
		if s.Shares != "" {
			continue
		}
		other := spaces.take(key{s.Host, s.Netns}, i)
		switch {
		case other == nil:
		case s.Foreign && other.sandbox.Foreign:
			i.refuse(spaceAttr(s), "Namespace of two sandboxes", "%s and %s are both %s. Have one share the other's: shares = %s.", i.addr, other.at(), s.Netns, other.addr)
		case s.Foreign != other.sandbox.Foreign:
			i.refuse(spaceAttr(s), "Namespace of two sandboxes", "%s is the namespace %s of somebody else, and %s would be called so. Give one of them another name, or share it.", i.addr, s.Netns, other.at())
		default:
			i.refuse("name", "Duplicate name", "%s and %s would both have the namespace %q. Give one of them another name.", i.addr, other.at(), s.Netns)
		}
	}
}

// spaceAttr is the attribute that says which namespace of somebody else a sandbox is.
func spaceAttr(s *state.Sandbox) string {
	if _, _, container := state.Container(s.Netns); container {
		return "container"
	}
	return "netns"
}

func (r *run) checkEndpoints() {
	type named struct {
		network state.Address
		name    string
	}
	type held struct {
		network state.Address
		ip      netip.Addr
	}
	type hardware struct {
		network state.Address
		mac     state.MAC
	}
	type inside struct {
		sandbox state.Address
		link    string
	}
	names, addrs, macs, links := firsts[named]{}, firsts[held]{}, firsts[hardware]{}, firsts[inside]{}
	for _, i := range r.recorded("endpoint") {
		e := &i.endpoint.Endpoint
		if other := names.take(named{e.Network, e.Name}, i); other != nil && e.Name != "" {
			i.refuse("name", "Duplicate name", "%s and %s are both called %q in %s. Names are unique in a network, and an endpoint is in one sandbox at a time: give one of them another name, or remove it.",
				i.holder(), other.holder(place(other.header)), e.Name, e.Network)
		}
		for attr, p := range map[string]netip.Prefix{"ipv4": e.IPv4, "ipv6": e.IPv6} {
			if !p.IsValid() {
				continue
			}
			i.checkAddress(attr, p.Addr())
			if other := addrs.take(held{e.Network, p.Addr()}, i); other != nil {
				i.refuse(attr, "Address used twice", "%s of %s is the address of %s already, in the same network. Choose another, or leave %s out to have one chosen.", p.Addr(), i.holder(), other.holder(place(other.header)), attr)
			}
		}
		if !e.MAC.IsZero() {
			if other := macs.take(hardware{e.Network, e.MAC}, i); other != nil {
				i.refuse("mac", "MAC address used twice", "%s of %s is the MAC address of %s already, in the same network. Choose another, or leave mac out to have one chosen.", e.MAC, i.addr, other.at())
			}
		}
		if e.Interface != "" && e.Sandbox != "" {
			if other := links.take(inside{e.Sandbox, e.Interface}, i); other != nil {
				i.refuse("interface", "Interface name used twice", "The interface of %s in %s would be called %q, as that of %s is. Choose another name, or leave interface out to have one chosen.", i.addr, e.Sandbox, e.Interface, other.at())
			}
		}
	}
}

// checkAddress checks a given address against the subnets that the network gives.
func (i *instance) checkAddress(attr string, a netip.Addr) {
	n, six := i.on.network, a.Is6()
	if !six && n.NoIPv4 {
		i.refuse(attr, "No IPv4 in the network", "%s has ipv4 = false, so %s cannot have the address %s. Delete one of them.", i.on.addr, i.addr, a)
		return
	}
	var subnets []string
	for _, s := range i.on.explicit {
		if s.CIDR.Addr().Is6() != six {
			continue
		}
		subnets = append(subnets, s.CIDR.String())
		if !s.CIDR.Contains(a) {
			continue
		}
		if why := notUsable(a, s.CIDR); why != "" {
			i.refuse(attr, "Address cannot be used", "%s %s, so %s cannot have it. Choose another, or leave %s out to have one chosen.", a, why, i.addr, attr)
		}
		if a == s.Gateway {
			i.refuse(attr, "Address is the gateway", "%s is the gateway of %s, so %s cannot have it. Choose another, or leave %s out to have one chosen.", a, i.on.at(), i.addr, attr)
		}
		for _, name := range sortedNames(s.Reserved) {
			if s.Reserved[name] == a {
				i.refuse(attr, "Address is reserved", "%s is reserved for %q in %s, so %s cannot have it. Choose another, or delete the reservation.", a, name, i.on.at(), i.addr)
			}
		}
		return
	}
	if len(subnets) > 0 {
		i.refuse(attr, "Address not in subnet", "%s of %s is not in %s of %s. Choose an address in it, or leave %s out to have one chosen.", a, i.addr, listing("the subnet", subnets), i.on.addr, attr)
	}
}

// subnetAttr is the name of an attribute of a network's subnet.
func subnetAttr(index int, name string) string { return fmt.Sprintf("subnet[%d].%s", index, name) }

// listing is one thing or several, in a sentence.
func listing(what string, list []string) string {
	if len(list) == 1 {
		return what + " " + list[0]
	}
	return "any of " + strings.Join(list, ", ") + ", the subnets"
}

// Package policy compiles policies: records that speak of addresses become sets of
// nftables, and the rules that look packets up in them. What is denied is denied. What is
// allowed is let in, whatever the networks say. What any policy allows somebody to reach is
// closed for all others. Everything else is left to the networks. It is pure.
package policy

import (
	"net/netip"
	"slices"

	"github.com/cnmctl/cnmctl/state"
)

// Judgement is what policies say of flows, or of some of them. The zero value says nothing.
type Judgement struct {
	// exempt are not judged.
	exempt []flows
	// shut and denied are what may not be: by whatever, and by some services.
	shut, denied []flows
	allowed      []flows
	// closed are the targets of what is allowed, from wherever; closedPorts single ports of
	// others by which those are reached.
	closed, closedPorts []flows
}

// flows are all those from some addresses to some by some services.
type flows struct {
	owner    string
	src, dst spans
	protocol string // "": any
	ports    []state.PortRange
}

// Of is what the policies say together. Their order means nothing.
func Of(policies []state.Policy) Judgement {
	var j Judgement
	for _, p := range policies {
		owner := state.RuleOwner(p.Mark.Address)
		for _, r := range p.Rules {
			f := flows{owner: owner, src: peerSpans(r.From), dst: peerSpans(r.To), protocol: r.Protocol, ports: r.Ports}
			switch {
			case r.Deny && r.Protocol == "":
				j.shut = append(j.shut, f)
			case r.Deny:
				j.denied = append(j.denied, f)
			default:
				j.allowed = append(j.allowed, f)
				j.closed = append(j.closed, flows{owner: owner, src: all, dst: f.dst})
			}
		}
	}
	return j
}

// Empty reports that nothing is said of any flow.
func (j Judgement) Empty() bool {
	return len(j.exempt)+len(j.shut)+len(j.denied)+len(j.allowed)+len(j.closed)+len(j.closedPorts) == 0
}

// within is what is said of flows from some addresses to some.
func (j Judgement) within(src, dst spans) Judgement {
	clip := func(list []flows) []flows {
		var out []flows
		for _, f := range list {
			if f.dst = f.dst.and(dst); len(f.dst) == 0 {
				continue
			}
			if f.src = f.src.and(src); len(f.src) > 0 {
				out = append(out, f)
			}
		}
		return out
	}
	return Judgement{clip(j.exempt), clip(j.shut), clip(j.denied), clip(j.allowed), clip(j.closed), clip(j.closedPorts)}
}

// And is what both say. They do not contradict each other when they are of one judgement.
func (j Judgement) And(o Judgement) Judgement {
	return Judgement{
		append(j.exempt, o.exempt...), append(j.shut, o.shut...), append(j.denied, o.denied...),
		append(j.allowed, o.allowed...), append(j.closed, o.closed...), append(j.closedPorts, o.closedPorts...),
	}
}

// Routed is what is said of flows that go into or out of some subnets. Nothing is let
// into or out of internal ones, whatever is allowed.
func (j Judgement) Routed(subnets, internal []netip.Prefix) Judgement {
	mine, inside := spansOf(subnets...), spansOf(internal...)
	out := j.within(mine, all).And(j.within(all, mine))
	outside := all.without(inside)
	out.allowed = Judgement{allowed: out.allowed}.within(outside, outside).allowed
	return out
}

// Place is somebody whose flows are judged where they live.
type Place struct {
	// Addresses are its own.
	Addresses []netip.Prefix
	// Exempt are those of the host on its network: what the host sends, or sends on in its
	// own name, was judged there, or is not judged.
	Exempt []netip.Addr
	// Sends: what it sends is judged here too, because it meets no host on its way.
	Sends bool
}

// links are the addresses that mean something on one link alone (RFC 3927; RFC 4291, section
// 2.5.6), and that of our bridges, which is the router's.
var links = []struct{ all, local, router spans }{
	{all: all[:1], local: spansOf(netip.MustParsePrefix("169.254.0.0/16"))},
	{all: all[1:], local: spansOf(netip.MustParsePrefix("fe80::/10")), router: spansOf(netip.MustParsePrefix("fe80::1/128"))},
}

// At is what is said of flows to somebody, and from it if those are judged there. An
// endpoint that is judged in a family cannot be reached by its link-local addresses of it
// either, which no policy knows.
//
// What is exempt is said apart. Cut out of a range, one address leaves as many prefixes as
// it has bits, each of which costs the kernel time and memory in each sandbox.
func (j Judgement) At(p Place) Judgement {
	own := spansOf(p.Addresses...)
	in := j.within(all, own)
	out := in
	if p.Sends {
		out = in.And(j.within(own, all))
	}
	for _, l := range links {
		if in.within(l.all, all).Empty() {
			continue
		}
		own := own.and(l.all)
		out.shut = append(out.shut, flows{src: l.local, dst: slices.Concat(own, l.local).joined()})
		out.exempt = append(out.exempt, flows{src: l.router, dst: l.local}, flows{src: single(p.Exempt).and(l.all), dst: own})
	}
	return out
}

// single are some addresses.
func single(addresses []netip.Addr) spans {
	prefixes := make([]netip.Prefix, len(addresses))
	for i, a := range addresses {
		prefixes[i] = netip.PrefixFrom(a, a.BitLen())
	}
	return spansOf(prefixes...)
}

// boxes are the flows as elements of sets.
func boxes(list []flows, ipv6 bool) []box {
	var out []box
	for _, f := range list {
		proto, ports := protocolNumbers(f.protocol, ipv6), []numbers{anyPort}
		if len(f.ports) > 0 {
			ports = ports[:0]
			for _, p := range f.ports {
				ports = append(ports, numbers{p.First, p.Last})
			}
		}
		for _, src := range f.src {
			for _, dst := range f.dst {
				if src.First.Is6() != ipv6 || dst.First.Is6() != ipv6 {
					continue
				}
				for _, port := range ports {
					out = append(out, box{src, dst, proto, port, f.owner})
				}
			}
		}
	}
	return out
}

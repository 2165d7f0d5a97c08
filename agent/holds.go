package agent

import (
	"net/netip"
	"slices"

	"github.com/cnmctl/cnmctl/state"
)

// witness is a kernel that says what is held there.
type witness struct {
	live state.World
	// past is what was wanted of it before, nil where nobody knows.
	past state.World
	on   map[state.Key][]netip.Addr
}

// holds are the claims that the host's kernel bears witness to: the VNIs of tunnels, the
// addresses of bridges and endpoints, and published ports.
//
// Of an endpoint's address the kernel says which network it is of where its port is on the
// network's bridge. For others there have to be records of before.
func (h Host) holds(live, past state.World) (claims []state.Claim) {
	w := witness{live, past, map[state.Key][]netip.Addr{}}
	for _, k := range live.KeysOf(state.KindAddress) {
		if a, is := live[k].(state.IPAddress); is && !a.Prefix.Addr().IsLinkLocalUnicast() && !a.LinkScope {
			link := state.LinkKey(a.Place, a.Link)
			w.on[link] = append(w.on[link], a.Prefix.Addr())
		}
	}
	endpoints := map[string]state.Owner{}
	for _, k := range live.KeysOf(state.KindLink) {
		l, is := live[k].(state.Link)
		if !is || l.Mark.Address == "" {
			continue
		}
		endpoints[state.RuleOwner(l.Mark.Address)] = l.Mark
		if l.Type == state.VXLAN {
			claims = append(claims, state.Claim{VNI: l.Tunnel.VNI, Mark: l.Mark})
			continue
		}
		network, its := w.network(l)
		for _, ip := range w.on[k] {
			if network != "" && its(ip) {
				claims = append(claims, state.Claim{Network: network, IP: ip, Mark: l.Mark})
			}
		}
	}
	for _, k := range live.KeysOf(state.KindRuleset) {
		if r, is := live[k].(state.Ruleset); is && r.Place == state.Host {
			claims = append(claims, h.ports(r, endpoints)...)
		}
	}
	return once(claims)
}

// once leaves out claims on what is claimed already: a transaction takes none twice.
func once(claims []state.Claim) []state.Claim {
	seen := map[state.Key]bool{}
	return slices.DeleteFunc(claims, func(c state.Claim) bool {
		was := seen[c.Key()]
		seen[c.Key()] = true
		return was
	})
}

// network is the network that a link has addresses of, and which of them.
func (w witness) network(l state.Link) (network state.Address, its func(netip.Addr) bool) {
	all := func(netip.Addr) bool { return true }
	if l.Type == state.Bridge {
		return l.Mark.Address, all
	}
	if l.Type == state.Veth {
		port, _ := w.live[state.LinkKey(l.Peer.Place, l.Peer.Name)].(state.Link)
		bridge, _ := w.live[state.LinkKey(port.Place, port.Master)].(state.Link)
		if port.Mark == l.Mark && bridge.Mark.Address != "" {
			return bridge.Mark.Address, all
		}
	}
	e, _ := w.past[state.RecordKey(state.KindEndpoint, l.Mark.Address)].(state.Endpoint)
	return e.Network, func(ip netip.Addr) bool { return ip == e.IPv4.Addr() || ip == e.IPv6.Addr() }
}

// ports are the host's ports that rules lead to endpoints, with where they lead.
func (h Host) ports(r state.Ruleset, endpoints map[string]state.Owner) (claims []state.Claim) {
	for _, s := range r.Sets {
		for _, e := range s.Elements {
			p, leads := state.PublishedPort(s, e)
			mark, known := endpoints[e.Owner]
			if leads && known { // maybe in each family
				claims = append(claims, state.Claim{Port: p, OnHost: h.Name, Mark: mark})
			}
		}
	}
	return claims
}

package planner

import (
	"maps"
	"net/netip"

	"github.com/cnmctl/cnmctl/state"
)

// inKernel is what the live links of this stack hold: their names, and the addresses on
// them. A link belongs to a network or an endpoint by its mark; a half-made link has no
// mark and holds nothing.
func inKernel(live state.World) Held {
	h := newHeld()
	for _, k := range live.KeysOf(state.KindLink, state.KindRuleset) {
		if l, ok := live[k].(state.Link); ok && l.Mark.Address != "" {
			h.addLink(l, live)
		}
		if r, ok := live[k].(state.Ruleset); ok && r.Place == state.Host {
			h.addPublished(r)
		}
	}
	for _, k := range live.KeysOf(state.KindAddress) {
		a, ok := live[k].(state.IPAddress)
		if !ok || (a.Prefix.Addr().Is6() && a.Prefix.Addr().IsLinkLocalUnicast()) || a.LinkScope {
			continue // they are as they are written, and every bridge may have the same one
		}
		if l, ok := live[state.LinkKey(a.Place, a.Link)].(state.Link); ok {
			h.addAddress(l.Mark.Address, a.Prefix)
		}
		if a.Loan && a.Place == state.Host {
			h.Lent[a.Link] = h.Lent[a.Link].with(a.Prefix)
		}
	}
	return h
}

// addLink adds a link's name. A bridge is its network's device; of an endpoint's veth pair
// the end in a sandbox is its interface, the one on the host the other. The names of VLANs and
// VRFs are written, an IFB's follows from its endpoint.
func (h Held) addLink(l state.Link, live state.World) {
	owner := l.Mark.Address
	switch l.Type {
	case state.VLAN, state.VRF, state.IFB:
		return
	case state.Veth, state.Macvlan, state.IPvlan, state.Given:
	default:
		n := h.Networks[owner]
		if l.Type == state.VXLAN {
			n.VNIs = append(n.VNIs, l.Tunnel.VNI)
		}
		n.Devices = append(n.Devices, l.Name)
		h.Networks[owner] = n
		return
	}
	e := h.Endpoints[owner]
	if l.Type == state.Given && l.Place == state.Host && l.Name == l.From {
		return // on its way into a sandbox
	}
	if l.Type != state.Given && isHostEnd(l, live) {
		e.HostInterfaces = append(e.HostInterfaces, l.Name)
	} else {
		e.Interfaces = append(e.Interfaces, l.Name)
		if ns, ok := l.Place.Netns(); ok && live[state.NamespaceKey(ns)] != nil {
			e.Sandbox = live[state.NamespaceKey(ns)].Owner().Address
		}
	}
	h.Endpoints[owner] = e
}

// isHostEnd tells the ends of a pair apart. The host's end is on the host, and both ends
// are the same endpoint's; a cable between two endpoints has none. Both may be on the host,
// when the sandbox is the host: then it is the bridge's port.
func isHostEnd(l state.Link, live state.World) bool {
	if l.Type != state.Veth {
		return false
	}
	peer, _ := live[state.LinkKey(l.Peer.Place, l.Peer.Name)].(state.Link)
	if l.Place != state.Host && l.Master != "" {
		return true // a port of a bridge in a namespace that carries a network
	}
	if peer.Place != state.Host && peer.Master != "" {
		return false // the other end is such a port
	}
	if l.Place != state.Host || (peer.Mark != l.Mark && l.Master == "") {
		return false
	}
	return l.Master != "" || l.Peer.Place != state.Host || peer.Master == "" && !l.Second
}

// addAddress adds an address of a link: on a network's device it is a gateway and says
// what the subnet is, on an endpoint's interface it is the endpoint's.
func (h Held) addAddress(owner state.Address, p netip.Prefix) {
	if n, ok := h.Networks[owner]; ok {
		h.Networks[owner] = n.with(p)
	}
	if e, ok := h.Endpoints[owner]; ok {
		e.Addresses = append(e.Addresses, p.Addr())
		h.Endpoints[owner] = e
	}
}

// with is n with an address of its device. A single address says nothing of a subnet.
func (n HeldNetwork) with(p netip.Prefix) HeldNetwork {
	if !p.IsSingleIP() {
		n.Subnets = append(n.Subnets, p.Masked())
	}
	n.Gateways = append(n.Gateways, p.Addr())
	return n
}

// without is f without this stack's own links among the names that are taken.
func (f Facts) without(live state.World) Facts {
	links := maps.Clone(f.Links)
	for k, o := range live {
		if _, ours := o.(state.Link); ours && k.Place == state.Host {
			delete(links, k.Name)
		}
	}
	f.Links = links
	return f
}

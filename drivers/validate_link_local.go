package drivers

import (
	"fmt"
	"net/netip"

	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/hcl/v2"
)

// validateLinkLocal checks the link-local addresses of endpoints. Nobody chooses them, so
// nobody else sees when two have the same on one link.
func validateLinkLocal(t *spec.Topology, all []Driver) hcl.Diagnostics {
	v := linkLocalValidator{
		on: map[linkLocalOn]*spec.Endpoint{}, in: map[domain]*spec.Endpoint{}, networks: map[state.Address]*spec.Network{},
		hosts: map[state.Address]string{}, space: spaces(t), all: all,
	}
	for _, n := range t.Networks {
		v.networks[n.Mark.Address] = n
	}
	for _, s := range t.Sandboxes {
		v.hosts[s.Mark.Address] = s.Host
	}
	for _, e := range t.Endpoints {
		if n := v.networks[e.Network]; n != nil && len(e.LinkLocal) > 0 {
			v.endpoint(n, e)
		}
	}
	return v.diags
}

// linkLocalOn is an address on a link: that of a network, or an interface of a host that
// several networks sit on.
type linkLocalOn struct {
	link string
	ip   netip.Addr
}

// domain is what has routes of its own: a sandbox outside of its VRFs, or one of those.
type domain struct {
	sandbox state.Address
	vrf     string
}

type linkLocalValidator struct {
	on       map[linkLocalOn]*spec.Endpoint
	in       map[domain]*spec.Endpoint // who has an IPv4 one
	networks map[state.Address]*spec.Network
	hosts    map[state.Address]string
	space    func(state.Address) state.Address
	all      []Driver
	diags    hcl.Diagnostics
}

func (v *linkLocalValidator) endpoint(n *spec.Network, e *spec.Endpoint) {
	at := e.At("link_local_ips")
	refuse := func(summary, format string, args ...any) {
		v.diags = append(v.diags, Refuse(at, summary, fmt.Sprintf(format, args...)))
	}
	link, traits := v.link(n, e)
	for _, ip := range e.LinkLocal {
		switch other := v.on[linkLocalOn{link, ip}]; {
		case other == e:
			refuse("Link-local address twice", "%s has the address %s twice. Delete one.", e.Mark.Address, ip)
		case other != nil:
			refuse("Link-local address in use", "%s is an address of %s (%s) already, on the same link as %s. Choose another one.", ip, other.Mark.Address, lineOf(other.At("link_local_ips")), e.Mark.Address)
		case ip == routerLinkLocal && traits.HostLinks && Has(n.Network, true):
			refuse("Link-local address of the gateway", "%s is what the gateway of %s has on its link. Choose another address.", ip, n.Mark.Address)
		case ip.Is6() && n.MTU != 0 && n.MTU < minMTU6:
			refuse("MTU too small for IPv6", "%s is an IPv6 address, which needs an MTU of at least %d, and that of %s is %d. Raise the MTU, or remove the address.", ip, minMTU6, n.Mark.Address, n.MTU)
		}
		v.on[linkLocalOn{link, ip}] = e
		if ip.Is4() && e.Sandbox != "" {
			in := domain{v.space(e.Sandbox), e.VRF}
			if first := v.in[in]; first != nil && first != e {
				refuse("Two links with link-local addresses", "%s and %s (%s) are in one sandbox, and both have addresses of 169.254.0.0/16. Nobody could say by which of them such an address is reached. Remove one, or use addresses of fe80::/64, which are reached by an interface that is named with them.", e.Mark.Address, first.Mark.Address, lineOf(first.At("link_local_ips")))
			}
			v.in[in] = e
		}
	}
}

// link is what tells the endpoint's link from others.
func (v *linkLocalValidator) link(n *spec.Network, e *spec.Endpoint) (string, Traits) {
	for _, d := range v.all {
		if d.Schema().Name != n.Driver {
			continue
		}
		if s, ok := d.(Sharer); ok && s.Share(n.Network).Parent != "" {
			return "parent " + s.Share(n.Network).Parent + " on " + v.hosts[e.Sandbox], d.Traits()
		}
		return string(n.Mark.Address), d.Traits()
	}
	return string(n.Mark.Address), Traits{}
}

// routerLinkLocal is the address of every bridge with IPv6.
var routerLinkLocal = netip.MustParseAddr("fe80::1")

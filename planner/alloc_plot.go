package planner

import (
	"net/netip"
	"strconv"

	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
	"go4.org/netipx"
)

// plot is a subnet while its addresses are handed out.
type plot struct {
	cidr    netip.Prefix
	gateway netip.Addr
	// network and broadcast are invalid where the subnet has none.
	network, broadcast netip.Addr
	reserved           map[netip.Addr]string
	taken              map[netip.Addr]*spec.Endpoint
	// next and last bound what is left of the range of automatic addresses. What is below
	// next is taken: addresses are only ever taken, so nothing need be looked at twice.
	next, last netip.Addr
}

func newPlot(s state.Subnet) *plot {
	p := &plot{cidr: s.CIDR, gateway: s.Gateway, taken: map[netip.Addr]*spec.Endpoint{}}
	p.network, p.broadcast = unusable(s.CIDR)
	if len(s.Reserved) > 0 {
		p.reserved = make(map[netip.Addr]string, len(s.Reserved))
	}
	for name, ip := range s.Reserved {
		p.reserved[ip] = max(name, p.reserved[ip])
	}
	from := s.CIDR
	if s.Range.IsValid() {
		from = s.Range
	}
	p.next, p.last = from.Masked().Addr(), netipx.PrefixLastIP(from)
	return p
}

// unusable are the addresses that no interface may have. In IPv4 the network's and the
// broadcast address, in IPv6 the anycast address of the subnet's routers; a link between
// two uses both of its addresses (RFC 3021, RFC 6164).
func unusable(cidr netip.Prefix) (network, broadcast netip.Addr) {
	if cidr.Addr().BitLen()-cidr.Bits() <= 1 {
		return network, broadcast
	}
	if cidr.Addr().Is4() {
		broadcast = netipx.PrefixLastIP(cidr)
	}
	return cidr.Masked().Addr(), broadcast
}

// refuses says why no endpoint may have the address; "" when one may.
func (p *plot) refuses(ip netip.Addr) string {
	name, reserved := p.reserved[ip]
	switch {
	case ip == p.gateway:
		return "the gateway (write another one into the subnet to free it)"
	case ip == p.network && ip.Is4():
		return "the network's own address"
	case ip == p.network:
		return "the anycast address of the subnet's routers"
	case ip == p.broadcast:
		return "the broadcast address"
	case reserved:
		return "reserved as " + strconv.Quote(name)
	}
	return ""
}

// free reports that an endpoint may have the address and none has it.
func (p *plot) free(ip netip.Addr) bool {
	return p.cidr.Contains(ip) && p.taken[ip] == nil && p.refuses(ip) == ""
}

// lowest is the lowest free address of the range.
func (p *plot) lowest() (netip.Addr, bool) {
	for p.next.IsValid() && p.next.Compare(p.last) <= 0 {
		if p.free(p.next) {
			return p.next, true
		}
		p.next = p.next.Next()
	}
	return netip.Addr{}, false
}

package state

import "net/netip"

// IPAddress is an IP address on a link (RTM_NEWADDR). It is made with IFA_F_NODAD: we
// allocated it, so nobody else has it, and duplicate detection would cost two seconds.
type IPAddress struct {
	Place Place
	Link  string
	// Prefix is the address with its length: 10.1.0.2/24.
	Prefix netip.Prefix
	// Mark is the owner. An address on a link of ours is ours by containment; on a foreign
	// link (Loan) it carries our protocol number (IFA_PROTO, since Linux 5.18).
	Mark Owner
	// Loan: the link is not ours (an adopted bridge).
	Loan bool
	// Sole: the link is an ipvlan, and no two of those on one link may have the address. It is
	// an order, not a property.
	Sole bool `json:",omitempty"`
	// LinkScope: an IPv4 address that is good for the link alone, so that the kernel takes
	// it for no packet that goes further (RFC 3927, section 2.6.2). IPv6 addresses say so
	// themselves.
	LinkScope bool `json:",omitempty"`
	// CutOff, of a live address: somebody deleted the connected route that the kernel made
	// with it, so that nobody is reached. Only with another address would it be made again.
	CutOff bool `json:",omitempty"`
}

// AddressKey is the key of the address on the link.
func AddressKey(p Place, link string, prefix netip.Prefix) Key {
	return Key{KindAddress, p, link + " " + prefix.String()}
}

// Key is link and prefix.
func (a IPAddress) Key() Key { return AddressKey(a.Place, a.Link, a.Prefix) }

// Owner is the block that asks for it.
func (a IPAddress) Owner() Owner { return a.Mark }

// Needs is its link.
func (a IPAddress) Needs() []Key { return insideOf(a.Place, a.Link) }

// Inside are its link and namespace.
func (a IPAddress) Inside() []Key { return insideOf(a.Place, a.Link) }

// Holds is the connected route: a second link with the same one would lose it when the
// first goes (fib_add_ifaddr ignores EEXIST). Link-local prefixes and loopback addresses
// are each link's own. What only one link may have is the address itself.
func (a IPAddress) Holds() []string {
	if a.Link == "lo" || a.Prefix.Addr().IsLinkLocalUnicast() && a.Prefix.Addr().Is6() {
		return nil
	}
	names := []string{string(a.Place) + " " + a.Prefix.Masked().String()}
	if a.Sole {
		names = append(names, "ip "+a.Prefix.Addr().String())
	}
	return names
}

// Differences are the scope, and that the connected route is missing. To go back to an
// address without it is in nobody's interest.
func (a IPAddress) Differences(live Object) []Field {
	fields := compared(a.Attrs(), live.Attrs())
	if now, ok := live.(IPAddress); ok && now.CutOff && !a.CutOff {
		fields = append(fields, Field{Name: "connected_route", Old: "false", New: "true", Fixed: true})
	}
	return fields
}

// Attrs is nothing but the scope, where it matters: an address is its key.
func (a IPAddress) Attrs() []Attr {
	if !a.LinkScope {
		return nil
	}
	return []Attr{strAttr("scope", "link").fixed().quiet()}
}

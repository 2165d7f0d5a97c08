package state

import "net/netip"

// Claim says that an endpoint holds an address of a network. Claims are create-only: two
// who want the same address at once cannot both have it.
type Claim struct {
	// Network is the address of the network's block.
	Network Address
	IP      netip.Addr
	// Mark is the endpoint that holds the address (or the network, for its gateway).
	Mark Owner
}

// Key is network and address: the layout of the store's claim/<network>/<address>.
func (c Claim) Key() Key {
	return Key{KindClaim, Store, string(c.Network) + " " + c.IP.String()}
}

// Owner is who holds the address.
func (c Claim) Owner() Owner { return c.Mark }

// Needs is nothing: a claim is the first thing made and the last released.
func (c Claim) Needs() []Key { return nil }

// Inside is nothing.
func (c Claim) Inside() []Key { return nil }

// Attrs is the holder, which cannot be changed: claims are released and taken.
func (c Claim) Attrs() []Attr {
	return []Attr{{Name: "holder", Value: string(c.Mark.Address), Fixed: true}}
}

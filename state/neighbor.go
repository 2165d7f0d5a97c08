package state

import "net/netip"

// Neighbor is a permanent entry of a link's neighbor table (RTM_NEWNEIGH, NUD_PERMANENT).
type Neighbor struct {
	Place Place
	Link  string
	IP    netip.Addr
	MAC   MAC
	Mark  Owner
}

// Key is link and address.
func (n Neighbor) Key() Key { return Key{KindNeighbor, n.Place, n.Link + " " + n.IP.String()} }

// Owner is the block that asks for it.
func (n Neighbor) Owner() Owner { return n.Mark }

// Needs is its link.
func (n Neighbor) Needs() []Key { return insideOf(n.Place, n.Link) }

// Inside are its link and namespace.
func (n Neighbor) Inside() []Key { return insideOf(n.Place, n.Link) }

// Attrs is the MAC.
func (n Neighbor) Attrs() []Attr { return []Attr{strAttr("mac", n.MAC.String())} }

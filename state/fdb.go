package state

import "net/netip"

// FDB says where a MAC is: behind a VXLAN device, at the end of the tunnel to VTEP. It is
// two entries of the kernel, made with one message: the device's own (bridge fdb … self),
// and that of the bridge that it is a port of (… master), without which the bridge would
// have to learn or flood. Neither ages.
type FDB struct {
	Place Place
	// Link is the VXLAN device.
	Link string
	MAC  MAC
	// VTEP is the other end of the tunnel; zero on a live entry that only the bridge has.
	VTEP netip.Addr `json:",omitzero"`
	// Bridged: the bridge has its entry. Always wanted.
	Bridged bool
	Mark    Owner
}

// FDBKey is the key of the entry for mac on the device.
func FDBKey(p Place, link string, mac MAC) Key {
	return Key{KindFDB, p, link + " " + mac.String()}
}

// Key is device and MAC.
func (f FDB) Key() Key { return FDBKey(f.Place, f.Link, f.MAC) }

// Owner is the block that asks for it.
func (f FDB) Owner() Owner { return f.Mark }

// Needs is its link.
func (f FDB) Needs() []Key { return insideOf(f.Place, f.Link) }

// Inside are its link and namespace.
func (f FDB) Inside() []Key { return insideOf(f.Place, f.Link) }

// Holds is the MAC, see Link.Holds.
func (f FDB) Holds() []string { return []string{macIn(f.Place, f.MAC)} }

// Attrs can all be changed in place.
func (f FDB) Attrs() []Attr {
	return []Attr{strAttr("vtep", addrText(f.VTEP)), boolAttr("bridged", f.Bridged).quiet()}
}

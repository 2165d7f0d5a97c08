package state

import (
	"net/netip"
	"strconv"
)

// VXLANPort is the UDP port that is registered for VXLAN (RFC 7348).
const VXLANPort = 4789

// Tunnel is what a VXLAN device has beside what every link has. Its frames travel in UDP
// packets of another namespace, the one that the device was made from; the device itself
// may be in any. Where they go is in its forwarding database and nowhere else: it has no
// group and no default remote, so it floods nothing.
type Tunnel struct {
	// Underlay is the place whose interfaces carry the packets.
	Underlay Place
	VNI      uint32
	Port     uint16
	// Local is the source of the packets; zero: whatever the route says, in IPv4.
	Local netip.Addr `json:",omitzero"`
	// Learning: the device learns where MACs are from what it receives. Never wanted.
	Learning bool `json:",omitempty"`
	// Checksums: what goes into the tunnel has its checksums computed before, and is cut
	// into packets before, rather than left to the network card. Cards and drivers get that
	// wrong for what is inside a tunnel: pings pass, and TCP does not.
	Checksums bool
}

func (t Tunnel) attrs() []Attr {
	return []Attr{
		intAttr("vni", t.VNI).fixed(),
		Attr{Name: "port", Value: strconv.Itoa(int(t.Port))}.fixed(),
		strAttr("underlay", string(t.Underlay)).fixed().quiet(),
		// The kernel does not change a device from one family to the other.
		boolAttr("ipv6_underlay", t.Local.Is6()).fixed().quiet(),
		strAttr("local", addrText(t.Local)),
		boolAttr("learning", t.Learning).quiet(),
		boolAttr("checksums", t.Checksums).quiet(),
	}
}

// Holds is a VXLAN device's number: the kernel has one device for a VNI and port of an
// underlay (vxlan_vni_in_use), wherever the devices are. Of a pair that leads into another
// namespace it is the MAC, which is there either behind the pair or behind a tunnel: what
// comes from a MAC moves its forwarding entry (br_fdb_update), static or not, unless it is
// sticky. Of a link that sits on another one it is its share of that.
func (l Link) Holds() []string {
	switch {
	case l.Type == VXLAN:
		t := l.Tunnel
		return []string{"vxlan " + string(t.Underlay) + " " + strconv.FormatUint(uint64(t.VNI), 10) + " " + strconv.Itoa(int(t.Port))}
	case l.Type == Veth && l.Peer.Place != "" && l.Peer.Place != Host:
		return []string{macIn(l.Peer.Place, l.MAC)}
	case l.Stacked():
		return l.holdsBelow()
	}
	return nil
}

func macIn(p Place, mac MAC) string { return "mac " + string(p) + " " + mac.String() }

package state

// LinkType is a link's kind as rtnetlink names it (IFLA_INFO_KIND).
type LinkType string

// The link types that this file describes.
const (
	Bridge LinkType = "bridge"
	Veth   LinkType = "veth"
	VXLAN  LinkType = "vxlan"
	// Given links were made by somebody else, a plugin, who gave them to a sandbox of ours.
	// They go back to where they came from.
	Given LinkType = "given"
	// OtherName is the type of what is no link itself, but a further name of one (ip-link(8), altname).
	OtherName LinkType = "altname"
)

// EthernetMTU is what the kernel gives new bridges and veths (ETH_DATA_LEN of
// linux/if_ether.h). Plans mention it only where it changes.
const EthernetMTU = 1500

// Link is a network interface that we made. Both ends of a veth pair are Links; the one
// with MadeBy is born with the other.
type Link struct {
	Place Place
	// Name is the interface's name, at most 15 bytes (IFNAMSIZ of linux/if.h less the NUL).
	Name string
	// Mark is written to ifalias; the stack's link group goes on with creation.
	Mark Owner
	Type LinkType
	// MTU in bytes; 0: whatever it is now. Drivers set EthernetMTU where nothing is asked
	// for: a link that was made with another one would keep it otherwise.
	MTU int
	// MAC; zero: the kernel's. Always set on what we make: udev rewrites a MAC that the
	// kernel chose (systemd's MACAddressPolicy=persistent), and a bridge without one takes
	// the lowest of its ports'.
	MAC MAC
	Up  bool
	// NoIPv6 is net.ipv6.conf.<name>.disable_ipv6 = 1.
	NoIPv6 bool
	// Master is the bridge in the same place that the link is a port of; "" for none.
	Master string
	// VRF is the one in the same place that the link is in; "" for none. The kernel knows one
	// master of a link (IFLA_MASTER), so a link has this or a Master, never both.
	VRF string `json:",omitempty"`
	// Table is what a VRF routes by.
	Table uint32 `json:",omitempty"`
	// Hairpin and Isolated are a bridge port's flags (IFLA_BRPORT_MODE,
	// IFLA_BRPORT_ISOLATED). They mean something only with a Master.
	Hairpin, Isolated bool
	// Quiet makes a bridge port one that the bridge sends only what it knows to belong
	// there: nothing is learned from it and nothing flooded to it, and what asks for
	// neighbors behind it is answered by the bridge from its own neighbor table
	// (IFLA_BRPORT_LEARNING and _UNICAST_FLOOD, _MCAST_FLOOD, _BCAST_FLOOD off,
	// IFLA_BRPORT_NEIGH_SUPPRESS on).
	Quiet bool `json:",omitempty"`
	// Filtering: the bridge keeps the VLANs of its ports apart (IFLA_BR_VLAN_FILTERING).
	Filtering bool `json:",omitempty"`
	// VLANs are those that a port of such a bridge is in, as VLANText writes them; "" on
	// other bridges.
	VLANs string `json:",omitempty"`
	// Tunnel is what only a VXLAN device has.
	Tunnel Tunnel `json:",omitzero"`
	// On is what only a link has that sits on another one.
	On Stacked `json:",omitzero"`
	// Peer is the other end of a veth pair.
	Peer End
	// Second: the end of a veth pair that is born with its Peer.
	Second bool
	// Guard is the ruleset that must stand before the link comes up, so that nothing gets
	// through before it is filtered; the zero Key for none. It is an order, not a property:
	// live links have none, and it is not compared.
	Guard Key `json:",omitzero"`
	// From is the name that a Given link has on the host, and Giver who gives it.
	From  string `json:",omitempty"`
	Giver Key    `json:",omitzero"`
	// HalfMade is set on a live link that has our group but no mark: a creation was cut
	// short. It is never wanted, so it always differs.
	HalfMade bool
}

// End names a link by place and name.
type End struct {
	Place Place
	Name  string
}

// String is the end as a person reads it. One in a namespace that cnmctl does not look into
// is unknown.
func (e End) String() string {
	if e == (End{}) {
		return "unknown"
	}
	return e.Name + " in " + e.Place.String()
}

// LinkKey is the key of the link called name in place.
func LinkKey(p Place, name string) Key { return Key{KindLink, p, name} }

// minMTU6 is the least that IPv6 can do with (RFC 8200, section 5).
const minMTU6 = 1280

// BelowIPv6 reports that the MTU is too small for IPv6. The kernel then holds no IPv6
// settings for the link, and gives it new ones as soon as the MTU suffices.
func (l Link) BelowIPv6() bool { return l.MTU != 0 && l.MTU < minMTU6 }

// Key is place and name.
func (l Link) Key() Key { return LinkKey(l.Place, l.Name) }

// Owner is the block that asks for it.
func (l Link) Owner() Owner { return l.Mark }

// Needs are its namespace, its bridge or VRF, its guard, the link below, and for a veth the
// namespace of the other end.
func (l Link) Needs() []Key {
	keys := insideOf(l.Place, "")
	if l.Master != "" {
		keys = append(keys, LinkKey(l.Place, l.Master))
	}
	if l.VRF != "" {
		keys = append(keys, LinkKey(l.Place, l.VRF))
	}
	if ns, ok := l.Peer.Place.Netns(); ok {
		keys = append(keys, NamespaceKey(ns))
	}
	if l.Stacked() {
		keys = append(keys, LinkKey(l.On.Lower.Place, l.On.Lower.Name))
	}
	if l.Guard != (Key{}) {
		keys = append(keys, l.Guard)
	}
	if l.Giver != (Key{}) {
		keys = append(keys, l.Giver)
	}
	return keys
}

// Follows: a Given link is given back before its giver or its namespace goes.
func (l Link) Follows() []Key {
	if l.Type != Given {
		return nil
	}
	return append(insideOf(l.Place, ""), l.Giver)
}

// Inside are its namespace, the link below and, for a veth, its peer: the kernel deletes
// both ends, and all that sits on a link. A Given link is nobody's to delete.
func (l Link) Inside() []Key {
	if l.Type == Given {
		return nil
	}
	keys := insideOf(l.Place, "")
	if l.Type == Veth && l.Peer != (End{}) {
		keys = append(keys, LinkKey(l.Peer.Place, l.Peer.Name))
	}
	if l.Stacked() {
		keys = append(keys, LinkKey(l.On.Lower.Place, l.On.Lower.Name))
	}
	return keys
}

// MadeBy is the first end, for the second end of a veth pair.
func (l Link) MadeBy() (Key, bool) {
	return LinkKey(l.Peer.Place, l.Peer.Name), l.Second
}

// Attrs shows what we manage; type and peer cannot be changed.
func (l Link) Attrs() []Attr {
	attrs := make([]Attr, 0, 10)
	attrs = append(attrs, strAttr("type", string(l.Type)).fixed())
	if l.MTU != 0 {
		mtu := intAttr("mtu", l.MTU)
		mtu.Quiet = l.MTU == EthernetMTU
		attrs = append(attrs, mtu)
	}
	if !l.MAC.IsZero() && !l.KeepsMAC() {
		attrs = append(attrs, strAttr("mac", l.MAC.String()))
	}
	if l.Type == Veth {
		attrs = append(attrs, strAttr("peer", l.Peer.String()).fixed())
	}
	if l.Type == VRF {
		attrs = append(attrs, intAttr("table", l.Table).fixed())
	} else {
		attrs = append(attrs, strAttr("master", l.Above()).quiet())
	}
	if l.Type == Given {
		attrs = append(attrs, strAttr("from", l.From).fixed())
	}
	if l.Type == Bridge {
		filtering := boolAttr("vlan_filtering", l.Filtering)
		filtering.Quiet = !l.Filtering
		attrs = append(attrs, filtering)
	}
	if l.Type == VXLAN {
		attrs = append(attrs, l.Tunnel.attrs()...)
	}
	if l.Stacked() {
		attrs = append(attrs, l.stackedAttrs()...)
	}
	if l.Master != "" {
		attrs = append(attrs, boolAttr("hairpin", l.Hairpin).quiet(), boolAttr("isolated", l.Isolated).quiet())
	}
	if l.Master != "" {
		vlans := strAttr("vlans", l.VLANs)
		vlans.Quiet = l.VLANs == ""
		attrs = append(attrs, vlans)
	}
	if l.Master != "" && (l.Quiet || l.Type == VXLAN) {
		attrs = append(attrs, boolAttr("quiet", l.Quiet).quiet())
	}
	attrs = append(attrs, boolAttr("up", l.Up).quiet(), boolAttr("no_ipv6", l.NoIPv6).quiet(), markAttr(l.Mark))
	if l.HalfMade {
		attrs = append(attrs, boolAttr("half_made", true))
	}
	return attrs
}

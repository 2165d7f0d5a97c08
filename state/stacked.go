package state

import (
	"fmt"
	"hash/fnv"
	"strconv"
)

// The link types that sit on another link, and the one that others sit on when there is
// none.
const (
	Macvlan LinkType = "macvlan"
	IPvlan  LinkType = "ipvlan"
	VLAN    LinkType = "vlan"
	Dummy   LinkType = "dummy"
)

// The modes of macvlan (IFLA_MACVLAN_MODE) and ipvlan (IFLA_IPVLAN_MODE), as iproute2 calls
// them. Bridge, private and vepa are flags of an ipvlan too.
const (
	ModeBridge   = "bridge"
	ModePrivate  = "private"
	ModeVEPA     = "vepa"
	ModePassthru = "passthru"
	ModeL2       = "l2"
	ModeL3       = "l3"
	ModeL3S      = "l3s"
)

// Stacked is what only a link has that sits on another one and shares its wire: a macvlan,
// an ipvlan, a VLAN sub-interface. The link below may be in another place.
type Stacked struct {
	// Lower is the link below.
	Lower End
	// Mode is a macvlan's or an ipvlan's. On one lower link all ipvlans have the same.
	Mode string `json:",omitempty"`
	// Flag says who of the ipvlans on a lower link reach each other.
	Flag string `json:",omitempty"`
	// VLAN is the tag of a VLAN sub-interface.
	VLAN uint16 `json:",omitempty"`
}

// stackedAttrs are what cannot be changed: the link below, the tag, and whether a macvlan
// has the whole of the link below to itself; and what can.
func (l Link) stackedAttrs() []Attr {
	s := l.On
	attrs := []Attr{strAttr("parent", s.Lower.Name+" in "+s.Lower.Place.String()).fixed()}
	switch l.Type {
	case VLAN:
		attrs = append(attrs, Attr{Name: "vlan", Value: strconv.Itoa(int(s.VLAN))}.fixed())
	case Macvlan:
		attrs = append(attrs, strAttr("mode", s.Mode), boolAttr("passthru", s.Mode == ModePassthru).fixed().quiet())
	case IPvlan:
		flag := strAttr("flag", s.Flag)
		flag.Quiet = s.Flag == ModeBridge
		attrs = append(attrs, strAttr("mode", s.Mode), flag)
	}
	return attrs
}

// PassingName is what a link on another one is called until it has its name, where it
// cannot be born with that.
func PassingName(l Link) string {
	h := fnv.New64a()
	h.Write([]byte(string(l.Place) + " " + l.Name))
	return fmt.Sprintf("cnm%012x", h.Sum64()>>16)
}

// Stacked reports that the link sits on another one.
func (l Link) Stacked() bool { return l.On.Lower != (End{}) }

// BorrowsMAC reports that the link has the MAC of the link below. Nobody may give it
// another one: that would be the other link's too, or is refused.
func (l Link) BorrowsMAC() bool {
	return l.Type == VLAN || l.Type == IPvlan || l.Type == Macvlan && l.On.Mode == ModePassthru
}

// holdsBelow is what a stacked link takes of the link below: its MAC, all of the link, or
// the addresses of its endpoint (which an ipvlan has under the block's name only).
func (l Link) holdsBelow() []string {
	lower := string(l.On.Lower.Place) + " " + l.On.Lower.Name
	switch {
	case l.Type == Macvlan && l.On.Mode == ModePassthru:
		return []string{"all of " + lower}
	case l.Type == Macvlan:
		return []string{"mac on " + lower + " " + l.MAC.String()}
	case l.Type == IPvlan:
		return []string{string(l.Mark.Address) + " on " + lower}
	case l.Type == VLAN:
		return []string{"vlan " + strconv.Itoa(int(l.On.VLAN)) + " on " + lower}
	}
	return nil
}

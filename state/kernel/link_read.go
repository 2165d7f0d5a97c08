package kernel

import (
	"context"
	"fmt"

	"github.com/cnmctl/cnmctl/state"
	"golang.org/x/sys/unix"
)

const (
	// From linux/rtnetlink.h and linux/ipv6.h, not in package unix.
	extFilterSkipStats = 1 << 3
	devconfDisableIPv6 = 26
	operLowerDown      = 3 // IF_OPER_LOWERLAYERDOWN in linux/if.h

	loopbackIndex = 1 // LOOPBACK_IFINDEX: lo is the first device of every namespace
)

// link is what a dump says of one interface.
type link struct {
	index, master int32
	peer          int32 // IFLA_LINK: the number of a veth's other end, or of the link below
	netnsid       int32 // of the namespace that it is in; -1: this one
	name, alias   string
	others        []string // alternative names, which nothing else may have either
	kind          state.LinkType
	group         uint32
	mtu           int
	mac           state.MAC
	up            bool
	mute          bool // its carrier has come, and the kernel has not acted on that yet
	noIPv6        bool
	hairpin       bool
	isolated      bool
	quiet         bool
	tunnel        state.Tunnel
	on            state.Stacked
	table         uint32 // of a VRF
	filtering     bool   // a bridge that keeps VLANs apart
	vlans         string // of a port of one
	qdisc         string // the kind at the root of what it sends by

	// Whose it is, see held.sort.
	owner state.Owner
	ours  bool
}

// linkRequest is the fixed part of a link request with the attribute that leaves out
// statistics, which are half of a link's message.
func linkRequest() []byte {
	var m message
	m.b = make([]byte, unix.SizeofIfInfomsg, unix.SizeofIfInfomsg+8)
	m.u32(unix.IFLA_EXT_MASK, extFilterSkipStats)
	return m.b
}

// links reads all interfaces of the socket's namespace.
func (c *conn) links(ctx context.Context) (links []link, err error) {
	err = c.dump(ctx, unix.RTM_GETLINK, linkRequest(), func() { links = links[:0] }, func(body []byte) {
		if len(body) >= unix.SizeofIfInfomsg {
			links = append(links, parseLink(body))
		}
	})
	if err != nil {
		return nil, fmt.Errorf("reading links: %w", err)
	}
	return links, c.readVLANs(ctx, links)
}

func parseLink(b []byte) link {
	l := link{
		index:   int32(native.Uint32(b[4:])),
		up:      native.Uint32(b[8:])&unix.IFF_UP != 0,
		netnsid: -1,
		// An interface without inet6 settings (MTU below 1280, or no IPv6 in the kernel)
		// speaks no IPv6.
		noIPv6: true,
	}
	attrs(b[unix.SizeofIfInfomsg:], func(typ uint16, data []byte) {
		switch typ {
		case unix.IFLA_IFNAME:
			l.name = cstring(data)
		case unix.IFLA_IFALIAS:
			l.alias = cstring(data)
		case unix.IFLA_GROUP:
			l.group = number(data)
		case unix.IFLA_MTU:
			l.mtu = int(number(data))
		case unix.IFLA_MASTER:
			l.master = int32(number(data))
		case unix.IFLA_LINK:
			l.peer = int32(number(data))
		case unix.IFLA_LINK_NETNSID:
			l.netnsid = int32(number(data))
		case unix.IFLA_ADDRESS:
			copy(l.mac[:], data)
		case unix.IFLA_OPERSTATE:
			l.mute = native.Uint32(b[8:])&unix.IFF_LOWER_UP != 0 && number(data) == operLowerDown
		case unix.IFLA_PROP_LIST:
			l.parseProperties(data)
		case unix.IFLA_QDISC:
			l.qdisc = qdiscKind(data)
		case unix.IFLA_LINKINFO:
			l.parseInfo(data)
		case unix.IFLA_AF_SPEC:
			l.parseFamilies(data)
		}
	})
	return l
}

func (l *link) parseProperties(b []byte) {
	attrs(b, func(typ uint16, data []byte) {
		if typ == unix.IFLA_ALT_IFNAME {
			l.others = append(l.others, cstring(data))
		}
	})
}

func (l *link) parseInfo(b []byte) {
	attrs(b, func(typ uint16, data []byte) {
		switch typ {
		case unix.IFLA_INFO_KIND:
			l.kind = linkType(data)
		case unix.IFLA_INFO_DATA:
			switch { // the kind is said before
			case l.kind == state.VXLAN:
				l.parseTunnel(data)
			case l.kind == state.Bridge:
				l.parseBridge(data)
			case l.kind == state.VRF:
				l.parseVRF(data)
			case stacked(l.kind):
				l.parseStacked(data)
			}
		case unix.IFLA_INFO_SLAVE_DATA:
			l.parsePort(data)
		}
	})
}

func (l *link) parseBridge(b []byte) {
	attrs(b, func(typ uint16, data []byte) {
		if typ == unix.IFLA_BR_VLAN_FILTERING {
			l.filtering = number(data) != 0
		}
	})
}

// parsePort reads the flags of a bridge's port.
func (l *link) parsePort(b []byte) {
	var told, spoken int // floods and learning that are off; whether neighbors are spoken for
	attrs(b, func(typ uint16, data []byte) {
		switch typ {
		case unix.IFLA_BRPORT_MODE:
			l.hairpin = number(data) != 0
		case unix.IFLA_BRPORT_ISOLATED:
			l.isolated = number(data) != 0
		case unix.IFLA_BRPORT_LEARNING, unix.IFLA_BRPORT_UNICAST_FLOOD, unix.IFLA_BRPORT_MCAST_FLOOD, unix.IFLA_BRPORT_BCAST_FLOOD:
			told += int(1 - number(data))
		case unix.IFLA_BRPORT_NEIGH_SUPPRESS:
			spoken = int(number(data))
		}
	})
	l.quiet = told == 4 && spoken == 1
}

// linkType spares an allocation for the types that are most of what there is.
func linkType(b []byte) state.LinkType {
	switch text := cstring(b); text {
	case string(state.Veth):
		return state.Veth
	case string(state.Bridge):
		return state.Bridge
	case string(state.VXLAN):
		return state.VXLAN
	default:
		return state.LinkType(text)
	}
}

func (l *link) parseFamilies(b []byte) {
	attrs(b, func(typ uint16, data []byte) {
		if typ != unix.AF_INET6 {
			return
		}
		attrs(data, func(typ uint16, data []byte) {
			if typ == unix.IFLA_INET6_CONF && len(data) >= 4*(devconfDisableIPv6+1) {
				l.noIPv6 = native.Uint32(data[4*devconfDisableIPv6:]) != 0
			}
		})
	})
}

// ownedBy tells whose a link is. The alias decides; without one, the group does, which is
// set in the same message that makes the link.
func (l *link) ownedBy(stack string) (owner state.Owner, ours bool) {
	if owner, _, given := state.ParseGiven(l.alias); given {
		return owner, owner.Stack == stack
	}
	if owner, marked := state.ParseMark(l.alias); marked {
		return owner, owner.Stack == stack
	}
	ours = l.alias == "" && ownGroup(l.group, stack)
	return state.Owner{Stack: stack}, ours
}

// ownGroup reports that the group is one of the stack's three.
func ownGroup(group uint32, stack string) bool {
	switch group {
	case state.LinkGroup(stack), state.PendingGroup(stack), state.DoomedGroup(stack):
		return true
	}
	return false
}

// object is the link as an object of the place. A link that lacks a mark or stands in a
// group of passage was being made or deleted by a run that was cut short.
func (l *link) object(p state.Place, on *held, stack string) state.Object {
	if !l.ours {
		owner, _ := state.ParseMark(l.alias)
		return state.Foreign{K: state.LinkKey(p, l.name), What: l.foreign(), Type: l.kind, MTU: l.mtu, Table: l.table, Stack: owner.Stack, Down: !l.up}
	}
	o := state.Link{
		Place: p, Name: l.name, Mark: l.owner, Type: l.kind, MTU: l.mtu, MAC: l.mac, Up: l.up, NoIPv6: l.noIPv6,
		Filtering: l.filtering, Table: l.table,
		HalfMade: l.alias == "" || l.group != state.LinkGroup(stack),
	}
	if _, from, given := state.ParseGiven(l.alias); given {
		o.Type, o.From = state.Given, from
	}
	if l.master != 0 {
		o.Master, o.VRF = on.above(l)
		o.Hairpin, o.Isolated, o.Quiet = l.hairpin, l.isolated, l.quiet
		if on.ours(l.master) { // what others do with the VLANs of their bridge is their affair
			o.VLANs = l.vlans
		}
	}
	if l.kind == state.VXLAN {
		o.Tunnel = l.tunnel
	}
	if stacked(l.kind) {
		o.On = l.on
	}
	return o
}

// otherNames are the names that the link takes besides its own. They are nobody's of ours:
// whoever gave them may take them away.
func (l *link) otherNames(p state.Place) []state.Object {
	var names []state.Object
	for _, name := range l.others {
		names = append(names, state.Foreign{K: state.LinkKey(p, name), What: "an alternative name of " + l.name, Type: state.OtherName})
	}
	return names
}

// foreign says what a link is that is not ours.
func (l *link) foreign() string {
	kind := string(l.kind)
	if kind == "" {
		kind = "physical" // devices of drivers without rtnl_link_ops, and lo
	}
	if owner, _, given := state.ParseGiven(l.alias); given {
		return fmt.Sprintf("a %s link that a plugin gave to stack %s (%s)", kind, owner.Stack, owner.Address)
	}
	if owner, marked := state.ParseMark(l.alias); marked {
		return fmt.Sprintf("a %s link of stack %s (%s)", kind, owner.Stack, owner.Address)
	}
	return "a " + kind + " link that cnmctl did not make"
}

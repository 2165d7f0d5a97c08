package kernel

import (
	"fmt"
	"time"

	"github.com/cnmctl/cnmctl/state"
	"golang.org/x/sys/unix"
)

// From linux/if_link.h, not in package unix.
const (
	iflaMacvlanMode = 1
	iflaIPvlanMode  = 1
	iflaIPvlanFlags = 2
	iflaVLANID      = 1
)

// The kernel's numbers for modes and flags (enum macvlan_mode, enum ipvlan_mode,
// IPVLAN_F_*), by iproute2's words.
var (
	macvlanModes = map[string]uint32{state.ModePrivate: 1, state.ModeVEPA: 2, state.ModeBridge: 4, state.ModePassthru: 8}
	ipvlanModes  = map[string]uint32{state.ModeL2: 0, state.ModeL3: 1, state.ModeL3S: 2}
	ipvlanFlags  = map[string]uint32{state.ModeBridge: 0, state.ModePrivate: 1, state.ModeVEPA: 2}
)

// bearStacked makes the link of op i, which sits on another one: by a request to the place
// of that, in the namespace where it belongs, under its final name.
func (r *run) bearStacked(i int, n *nursery) error {
	l := r.wave[i].After.(state.Link)
	m := &making{op: i, link: l}
	if err := r.makeStacked(m); err != nil {
		n.fail(i, err)
		return nil
	}
	n.add(m)
	return nil
}

func (r *run) makeStacked(m *making) error {
	l := m.link
	below, err := r.at(l.On.Lower.Place)
	if err != nil {
		return err
	}
	lower, err := below.lookup(r.ctx, l.On.Lower.Name)
	if err != nil {
		return err
	}
	own, err := r.at(l.Place)
	if err != nil {
		return err
	}
	delete(own.index, l.Name)
	fd := -1
	if l.Place != l.On.Lower.Place {
		if fd, err = r.netnsFD(l.Place); err != nil {
			return err
		}
		defer unix.Close(fd)
	}
	b := &batch{}
	err = r.patiently(func() (again bool, err error) {
		b.reset()
		newStacked(b, l, m.group(), lower, fd)
		err = below.conn.one(noCancel, b)
		return isAny(err, unix.EINVAL, unix.EBUSY) && l.Type != state.VLAN, err
	})
	if l.Place == l.On.Lower.Place || !isAny(err, unix.EEXIST) {
		return err
	}
	if _, missing := own.lookup(r.ctx, l.Name); missing == nil {
		return err
	}
	b.reset()
	passing := l
	passing.Name = state.PassingName(l)
	newStacked(b, passing, m.group(), lower, fd)
	if err := below.conn.one(noCancel, b); err != nil {
		return err
	}
	return own.rename(passing.Name, l.Name)
}

// patiently tries again while the link below may still be held by a link of a namespace that
// has lost its name: the kernel takes namespaces down in the background.
func (r *run) patiently(try func() (again bool, err error)) error {
	patience := time.After(tunnelPatience)
	for {
		again, err := try()
		if !again || !r.pause(patience) {
			return err
		}
	}
}

// insist brings up those of the place's new links whose MAC was still held.
func (r *run) insist(open *place, n *nursery, p state.Place) {
	for _, m := range n.in[p] {
		if !m.link.Stacked() || !isAny(n.failed[m.op], unix.EADDRINUSE) {
			continue
		}
		delete(n.failed, m.op)
		n.fail(m.op, r.patiently(func() (again bool, err error) {
			b := &batch{}
			complete(b, m.link, m.link.Up)
			err = open.conn.one(noCancel, b)
			return isAny(err, unix.EADDRINUSE), err
		}))
	}
}

// insistOnAddress sets an address on an ipvlan that another one still held.
func (r *run) insistOnAddress(open *place, op state.Op) error {
	return r.patiently(func() (again bool, err error) {
		b := &batch{}
		if err = r.writeAddress(r.ctx, b, open, op); err == nil {
			err = open.conn.one(noCancel, b)
		}
		return isAny(err, unix.EADDRINUSE), err
	})
}

// rename gives a link that is down its final name. Kernels before 6.13 look for a new link's
// name in the namespace of the link below, not in that where it is born (rtnl_newlink): an
// eth0 cannot be born on an eth0. Only there is a name given in passing; to rename waits for
// an RCU grace period.
func (p *place) rename(from, to string) error {
	index, err := p.lookup(noCancel, from)
	if err != nil {
		return err
	}
	delete(p.index, from)
	b := &batch{}
	b.request(unix.RTM_SETLINK, 0, ifinfo(index, 0, 0))
	b.text(unix.IFLA_IFNAME, to)
	b.end()
	return p.conn.one(noCancel, b)
}

// newStacked adds the request that makes a link on the one with the number lower, in the
// namespace of nsfd (-1: where the request goes to).
func newStacked(b *batch, l state.Link, group uint32, lower int32, nsfd int) {
	b.request(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL, ifinfo(0, 0, 0))
	birth(&b.message, l, group)
	b.u32(unix.IFLA_LINK, uint32(lower))
	if nsfd >= 0 {
		b.u32(unix.IFLA_NET_NS_FD, uint32(nsfd))
	}
	stackedInfo(&b.message, l)
	b.end()
}

// changeStacked adds the request that sets what a link on another one can change.
func changeStacked(b *batch, l state.Link) {
	b.request(unix.RTM_NEWLINK, 0, ifinfo(0, 0, 0)) // RTM_SETLINK ignores IFLA_LINKINFO
	b.text(unix.IFLA_IFNAME, l.Name)
	stackedInfo(&b.message, l)
	b.end()
}

func stackedInfo(m *message, l state.Link) {
	m.nest(unix.IFLA_LINKINFO, func() {
		m.text(unix.IFLA_INFO_KIND, string(l.Type))
		m.nest(unix.IFLA_INFO_DATA, func() {
			switch l.Type {
			case state.Macvlan:
				m.u32(iflaMacvlanMode, macvlanModes[l.On.Mode])
			case state.IPvlan:
				m.u16(iflaIPvlanMode, uint16(ipvlanModes[l.On.Mode]))
				m.u16(iflaIPvlanFlags, uint16(ipvlanFlags[l.On.Flag]))
			case state.VLAN:
				m.u16(iflaVLANID, l.On.VLAN)
			}
		})
	})
}

// newPlain adds the request that makes a link of a type that has no settings of its own.
func newPlain(b *batch, l state.Link, group uint32) {
	b.request(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL, ifinfo(0, 0, 0))
	birth(&b.message, l, group)
	b.nest(unix.IFLA_LINKINFO, func() { b.text(unix.IFLA_INFO_KIND, string(l.Type)) })
	b.end()
}

// parseStacked reads what only a link on another one has (IFLA_INFO_DATA).
func (l *link) parseStacked(b []byte) {
	attrs(b, func(typ uint16, data []byte) {
		switch {
		case l.kind == state.Macvlan && typ == iflaMacvlanMode:
			l.on.Mode = wordFor(macvlanModes, number(data))
		case l.kind == state.IPvlan && typ == iflaIPvlanMode:
			l.on.Mode = wordFor(ipvlanModes, number(data))
		case l.kind == state.IPvlan && typ == iflaIPvlanFlags:
			l.on.Flag = wordFor(ipvlanFlags, number(data))
		case l.kind == state.VLAN && typ == iflaVLANID:
			l.on.VLAN = uint16(number(data))
		}
	})
}

// wordFor is the word for a number; what has none (macvlan's "source", both flags of an
// ipvlan) is shown as the number.
func wordFor(words map[string]uint32, n uint32) string {
	for word, number := range words {
		if number == n {
			return word
		}
	}
	return fmt.Sprint(n)
}

// stacked reports a type whose links sit on others.
func stacked(t state.LinkType) bool {
	return t == state.Macvlan || t == state.IPvlan || t == state.VLAN
}

// below is the link that l of r sits on; without a name when its place was not read.
func (m *matchmaker) below(r *reading, l *link, numbers map[int32]int32) state.End {
	in := m.otherSide(r, l, numbers)
	if in == nil {
		return state.End{}
	}
	return state.End{Place: in.place, Name: in.on.name(l.peer)}
}

// errNotSupp is ENOTSUPP of the kernel's own linux/errno.h, which ipvlan lets out.
const errNotSupp = unix.Errno(524)

// hintStacked is what to do about a link that could not be put on another one.
func hintStacked(l state.Link, err error) string {
	lower := l.On.Lower.Name
	switch {
	case isAny(err, unix.EBUSY):
		return fmt.Sprintf("%s is a port of a bridge or bond, or carries links of another type already (macvlan and ipvlan exclude each other): choose another parent", lower)
	case isAny(err, unix.EADDRINUSE):
		return fmt.Sprintf("%s itself, or another macvlan on it, has the MAC %s: give the endpoint another one", lower, l.MAC)
	case isAny(err, unix.EINVAL) && l.On.Mode == state.ModePassthru:
		return fmt.Sprintf("passthru needs all of %s, and another macvlan is on it: remove that, or choose another mode", lower)
	case isAny(err, unix.EINVAL) && l.Type == state.Macvlan:
		return fmt.Sprintf("%s may be no Ethernet interface, smaller than the MTU that is asked for, or in passthru mode for somebody else", lower)
	case isAny(err, unix.EEXIST) && l.Type == state.VLAN:
		return fmt.Sprintf("another interface on %s may have the tag %d under another name ('ip -d link show type vlan' finds it): name that one as the parent", lower, l.On.VLAN)
	case isAny(err, unix.ENETDOWN) && l.Type == state.VLAN:
		return fmt.Sprintf("bring %s up first (ip link set %s up)", lower, lower)
	case isAny(err, errNotSupp, unix.EOPNOTSUPP) && l.On.Mode == state.ModeL3S:
		return "the mode l3s needs a kernel with CONFIG_IPVLAN_L3S"
	}
	return ""
}

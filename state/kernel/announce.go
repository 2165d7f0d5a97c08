package kernel

import (
	"encoding/binary"
	"net/netip"

	"github.com/cnmctl/cnmctl/state"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// announceLimit bounds how many new addresses a wave announces. Each announcement goes to
// every port of its bridge; and where addresses come by the hundred, whoever could have an
// outdated entry has come along with them.
const announceLimit = 64

// announcement tells a link's neighbors where an address is.
type announcement struct {
	place state.Place
	link  string
	ip    netip.Addr
	// mac is that of the link itself when it is zero.
	mac state.MAC
	// bridged: only a bridge may say so, on behalf of somebody behind one of its ports.
	bridged bool
}

// announce has neighbors forget what they know of addresses that are new here, or that
// somebody else behind a bridge has now: it sends unsolicited ARP and neighbor
// advertisements. Whoever misses them finds out for himself, within a minute; so what
// cannot be sent is no failure of the op.
func (r *run) announce(ops []int) {
	var fresh, changed []announcement
	for _, i := range ops {
		switch op := r.wave[i]; op.Action {
		case state.Create:
			fresh = append(fresh, announcementOf(op.After)...)
		case state.Update:
			changed = append(changed, announcementOf(op.After)...)
		}
	}
	if len(fresh) > announceLimit {
		fresh = nil
	}
	r.send(append(changed, fresh...))
}

// announceLink announces all addresses of a link that has got another MAC.
func (r *run) announceLink(l state.Link) {
	open, err := r.at(l.Place)
	if err != nil {
		return
	}
	addresses, err := open.conn.addresses(r.ctx)
	index, missing := open.lookup(r.ctx, l.Name)
	if err != nil || missing != nil {
		return
	}
	var all []announcement
	for _, a := range addresses {
		if a.index == index {
			all = append(all, announcementOf(state.IPAddress{Place: l.Place, Link: l.Name, Prefix: a.prefix})...)
		}
	}
	r.send(all)
}

// send sends each announcement from its place, by one socket for a place.
func (r *run) send(all []announcement) {
	in := map[state.Place][]outgoing{}
	var places []state.Place
	for _, a := range all {
		o, ok := r.prepare(a)
		if !ok {
			continue
		}
		if in[a.place] == nil {
			places = append(places, a.place)
		}
		in[a.place] = append(in[a.place], o)
	}
	if len(places) == 0 {
		return
	}
	var sockets []int
	_ = excursion(func() error {
		for _, p := range places {
			if r.visit(p) != nil {
				continue
			}
			if fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err == nil {
				sendFrames(fd, in[p])
				sockets = append(sockets, fd)
			}
		}
		return nil
	})
	r.closeMeanwhile(sockets)
}

// outgoing is a frame for a link.
type outgoing struct {
	index int32
	frame []byte
}

// prepare finds the link of an announcement, if it can make it.
func (r *run) prepare(a announcement) (o outgoing, ok bool) {
	open, err := r.at(a.place)
	if err != nil {
		return o, false
	}
	l, err := open.conn.linkCalled(a.link)
	if err != nil || a.bridged && l.kind != state.Bridge || a.ip.Is6() && l.noIPv6 || !l.up {
		return o, false
	}
	if a.mac.IsZero() {
		a.mac = l.mac
	}
	return outgoing{l.index, a.frame()}, true
}

// closers is how many sockets are closed at once: they can wait for the same RCU grace period.
const closers = 8

// closeMeanwhile closes sockets while the run goes on. The kernel takes 10 ms for one that
// waits for an RCU grace period (packet_release; nft_rcv_nl_event after a deletion), in which
// others wait for what comes next.
func (k *Kernel) closeMeanwhile(sockets []int) {
	if len(sockets) == 0 {
		return
	}
	k.background.Go(func() {
		var group errgroup.Group
		group.SetLimit(closers)
		for _, fd := range sockets {
			group.Go(func() error { return unix.Close(fd) })
		}
		_ = group.Wait() // nothing is lost with a socket
	})
}

func announcementOf(o state.Object) []announcement {
	switch o := o.(type) {
	case state.IPAddress:
		if o.Link != "lo" {
			return []announcement{{place: o.Place, link: o.Link, ip: o.Prefix.Addr()}}
		}
	case state.Neighbor:
		return []announcement{{place: o.Place, link: o.Link, ip: o.IP, mac: o.MAC, bridged: true}}
	}
	return nil
}

// linkCalled reads one link.
func (c *conn) linkCalled(name string) (l link, err error) {
	m := &message{}
	m.begin(unix.RTM_GETLINK, 0, linkRequest())
	m.text(unix.IFLA_IFNAME, name)
	m.end()
	err = c.get(m, func(body []byte) {
		if len(body) >= unix.SizeofIfInfomsg {
			l = parseLink(body)
		}
	})
	return l, err
}

// sendFrames sends Ethernet frames by links of the socket's namespace.
func sendFrames(fd int, all []outgoing) {
	for _, o := range all {
		_ = unix.Sendto(fd, o.frame, 0, &unix.SockaddrLinklayer{Ifindex: int(o.index)})
	}
}

// frame is an ARP announcement (RFC 5227), or an unsolicited neighbor advertisement (RFC
// 4861) that overrides what is known.
func (a announcement) frame() []byte {
	if a.ip.Is4() {
		return a.arp()
	}
	return a.advertisement()
}

func (a announcement) arp() []byte {
	ip := a.ip.AsSlice()
	frame := append([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, a.mac[:]...)
	frame = append(frame, 0x08, 0x06, // ARP
		0, 1, 8, 0, 6, 4, 0, 1) // Ethernet, IPv4, and the lengths of their addresses; request
	frame = append(append(frame, a.mac[:]...), ip...)
	return append(append(frame, 0, 0, 0, 0, 0, 0), ip...)
}

func (a announcement) advertisement() []byte {
	const next, hops, override = 58, 255, 0x20
	ip := a.ip.AsSlice()
	everybody := netip.IPv6LinkLocalAllNodes().AsSlice()

	body := append([]byte{136, 0, 0, 0, override, 0, 0, 0}, ip...)
	body = append(append(body, 2, 1), a.mac[:]...) // target link-layer address
	length := binary.BigEndian.AppendUint16(nil, uint16(len(body)))
	sum := checksum(ip, everybody, length, []byte{0, next}, body)
	binary.BigEndian.PutUint16(body[2:], sum)

	frame := append([]byte{0x33, 0x33, 0, 0, 0, 1}, a.mac[:]...)
	frame = append(frame, 0x86, 0xdd, 0x60, 0, 0, 0) // IPv6, version and flow
	frame = append(append(frame, length...), next, hops)
	frame = append(append(frame, ip...), everybody...)
	return append(frame, body...)
}

// checksum is that of the internet (RFC 1071), over parts of even length.
func checksum(parts ...[]byte) uint16 {
	var sum uint32
	for _, p := range parts {
		for i := 0; i+1 < len(p); i += 2 {
			sum += uint32(binary.BigEndian.Uint16(p[i:]))
		}
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
	"unsafe"

	"github.com/cnmctl/cnmctl/state"
	"golang.org/x/sys/unix"
)

const (
	// tunnelPatience bounds the wait for a VNI that a device of a dying namespace holds: the
	// kernel takes namespaces down in the background.
	tunnelPatience = 2 * time.Second
	tunnelPulse    = 20 * time.Millisecond
)

// bearTunnel makes the VXLAN device of op i: by a request to its underlay, so that the
// device sends from there, in the namespace where it belongs, under its final name.
func (r *run) bearTunnel(i int, n *nursery) error {
	l := r.wave[i].After.(state.Link)
	underlay, err := r.at(l.Tunnel.Underlay)
	if err != nil {
		n.fail(i, err)
		return nil
	}
	own, err := r.at(l.Place)
	if err != nil {
		n.fail(i, err)
		return nil
	}
	delete(own.index, l.Name)
	fd := -1
	if l.Place != l.Tunnel.Underlay {
		if fd, err = r.netnsFD(l.Place); err != nil {
			n.fail(i, err)
			return nil
		}
		defer unix.Close(fd)
	}
	m := &making{op: i, link: l}
	patience := time.After(tunnelPatience)
	for {
		b := &batch{}
		newVXLAN(b, l, m.group(), fd)
		if err = underlay.conn.one(noCancel, b); !isAny(err, unix.EEXIST) {
			break
		}
		if _, missing := own.lookup(r.ctx, l.Name); missing == nil || !r.pause(patience) {
			break // the name is taken, or the VNI for good
		}
	}
	n.fail(i, err)
	if err == nil {
		n.add(m)
	}
	return nil
}

// pause waits a little, unless there is no more patience.
func (r *run) pause(patience <-chan time.Time) bool {
	select {
	case <-r.ctx.Done():
	case <-patience:
	case <-time.After(tunnelPulse):
		return true
	}
	return false
}

// newVXLAN adds the request that makes a VXLAN device in the namespace of nsfd (-1: where
// the request goes to).
func newVXLAN(b *batch, l state.Link, group uint32, nsfd int) {
	b.request(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL, ifinfo(0, 0, 0))
	birth(&b.message, l, group)
	if nsfd >= 0 {
		b.u32(unix.IFLA_NET_NS_FD, uint32(nsfd))
	}
	b.nest(unix.IFLA_LINKINFO, func() {
		b.text(unix.IFLA_INFO_KIND, string(state.VXLAN))
		b.nest(unix.IFLA_INFO_DATA, func() {
			b.u32(unix.IFLA_VXLAN_ID, l.Tunnel.VNI)
			b.attr(unix.IFLA_VXLAN_PORT, binary.BigEndian.AppendUint16(nil, l.Tunnel.Port))
			tunnelSettings(&b.message, l.Tunnel)
		})
	})
	b.end()
}

// changeTunnel adds the request that sets what a VXLAN device can change.
func changeTunnel(b *batch, l state.Link) {
	b.request(unix.RTM_NEWLINK, 0, ifinfo(0, 0, 0)) // RTM_SETLINK ignores IFLA_LINKINFO
	b.text(unix.IFLA_IFNAME, l.Name)
	b.nest(unix.IFLA_LINKINFO, func() {
		b.text(unix.IFLA_INFO_KIND, string(state.VXLAN))
		b.nest(unix.IFLA_INFO_DATA, func() { tunnelSettings(&b.message, l.Tunnel) })
	})
	b.end()
}

func tunnelSettings(m *message, t state.Tunnel) {
	switch {
	case t.Local.Is6():
		m.addr(unix.IFLA_VXLAN_LOCAL6, t.Local)
	case t.Local.IsValid():
		m.addr(unix.IFLA_VXLAN_LOCAL, t.Local)
	}
	m.u8(unix.IFLA_VXLAN_LEARNING, bit(t.Learning))
}

// parseTunnel reads a VXLAN device's own attributes (IFLA_INFO_DATA).
func (l *link) parseTunnel(b []byte) {
	attrs(b, func(typ uint16, data []byte) {
		switch typ {
		case unix.IFLA_VXLAN_ID:
			l.tunnel.VNI = number(data)
		case unix.IFLA_VXLAN_PORT:
			if len(data) >= 2 {
				l.tunnel.Port = binary.BigEndian.Uint16(data)
			}
		case unix.IFLA_VXLAN_LOCAL, unix.IFLA_VXLAN_LOCAL6:
			if a := address(data); a.IsValid() && !a.IsUnspecified() {
				l.tunnel.Local = a
			}
		case unix.IFLA_VXLAN_LEARNING:
			l.tunnel.Learning = number(data) != 0
		}
	})
}

// readChecksums finds out who computes the checksums of what the place's tunnels carry. The
// calling thread is in the place.
func (r *reading) readChecksums() error {
	if !r.on.tunnels() {
		return nil
	}
	for i := range r.on.links {
		l := &r.on.links[i]
		if !l.ours || l.kind != state.VXLAN {
			continue
		}
		offload, err := txChecksum(l.name, unix.ETHTOOL_GTXCSUM, 0)
		switch {
		case isAny(err, unix.ENODEV): // gone meanwhile
		case err != nil:
			return fmt.Errorf("reading the checksum offload of %s: %w", l.name, err)
		default:
			l.tunnel.Checksums = offload == 0
		}
	}
	return nil
}

// setChecksums has the new tunnels compute checksums, where they shall.
func (r *run) setChecksums(n *nursery) {
	for _, p := range n.places {
		for _, m := range n.well(p) {
			if m.link.Type == state.VXLAN && m.link.Tunnel.Checksums {
				n.fail(m.op, r.switchChecksums(m.link))
			}
		}
	}
}

// switchChecksums says who computes checksums for a tunnel.
func (k *Kernel) switchChecksums(l state.Link) error {
	return excursion(func() error {
		if err := k.visit(l.Place); err != nil {
			return err
		}
		if _, err := txChecksum(l.Name, unix.ETHTOOL_STXCSUM, uint32(bit(!l.Tunnel.Checksums))); err != nil {
			return fmt.Errorf("switching the checksum offload of %s: %w", l.Name, err)
		}
		return nil
	})
}

// ethtoolValue and ethtoolRequest are struct ethtool_value of linux/ethtool.h, and struct
// ifreq of linux/if.h as that is passed.
type (
	ethtoolValue   struct{ cmd, data uint32 }
	ethtoolRequest struct {
		name  [unix.IFNAMSIZ]byte
		value unsafe.Pointer
		_     [24 - unsafe.Sizeof(uintptr(0))]byte
	}
)

// txChecksum reads or sets whether a link's checksums are left to the hardware, in the
// namespace of the calling thread. There is a netlink way to do so, which takes a socket
// of another family, the family's number and bit sets by name.
func txChecksum(link string, cmd, set uint32) (uint32, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	value := ethtoolValue{cmd, set}
	req := ethtoolRequest{value: unsafe.Pointer(&value)}
	if copy(req.name[:unix.IFNAMSIZ-1], link) < len(link) {
		return 0, errors.New("the name is too long")
	}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&req))); errno != 0 {
		return 0, os.NewSyscallError("ioctl", errno)
	}
	return value.data, nil
}

// strangers collects the VNIs of tunnels that are not the stack's, while namespaces are read
// in parallel.
type strangers struct {
	mu   sync.Mutex
	vnis map[uint32]bool
}

func (s *strangers) reset() { s.vnis = map[uint32]bool{} }

// note adds the VNIs of the links that are not ours, which have been sorted out, as far as
// they send from the host: those in the host itself that were made there, and those
// elsewhere that were not made there.
func (s *strangers) note(links []link, onHost bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range links {
		if l := &links[i]; l.kind == state.VXLAN && !l.ours && onHost == (l.netnsid < 0) {
			s.vnis[l.tunnel.VNI] = true
		}
	}
}

// underlay is the place that a VXLAN device's packets go out of; "" for one that was not
// read.
func (m *matchmaker) underlay(r *reading, l *link, numbers map[int32]int32) state.Place {
	if in := m.otherSide(r, l, numbers); in != nil {
		return in.place
	}
	return ""
}

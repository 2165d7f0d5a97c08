package kernel

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/cnmctl/cnmctl/state"
	"golang.org/x/sys/unix"
)

// What golang.org/x/sys/unix lacks of linux/sock_diag.h, linux/inet_diag.h and net/tcp_states.h.
const (
	sockDiagByFamily = 20
	inetDiagSkV6Only = 11
	tcpClose         = 7 // also UDP sockets that are bound and not connected
	tcpListen        = 10
)

// PortHolders are those who have ports of the host: programs that listen, and other stacks
// that publish.
func (k *Kernel) PortHolders(ctx context.Context) ([]state.PortHolder, error) {
	var sockets []socket
	var holders []state.PortHolder
	err := k.inPlace(ctx, state.Host, func(int) (err error) {
		if sockets, err = listening(ctx); err != nil {
			return fmt.Errorf("reading who listens on the host: %w", err)
		}
		if holders, err = k.otherStacks(ctx); err != nil {
			return fmt.Errorf("reading what other stacks publish: %w", err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	programs := programsOf(sockets)
	for _, s := range sockets {
		if s.Who = programs[s.inode]; s.Who == "" {
			s.Who = "a program"
		}
		s.Program = true
		holders = append(holders, s.PortHolder)
	}
	return holders, nil
}

// socket is a port that somebody listens on.
type socket struct {
	state.PortHolder
	inode uint32
}

// listening dumps the sockets that wait for somebody, in the namespace of the calling thread.
func listening(ctx context.Context) ([]socket, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	c := &conn{fd: fd, buffers: newBuffers()}
	defer c.close()
	var all []socket
	for _, ask := range []struct {
		proto uint8
		state uint
	}{{unix.IPPROTO_TCP, tcpListen}, {unix.IPPROTO_UDP, tcpClose}, {unix.IPPROTO_SCTP, tcpListen}} {
		for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
			var found []socket
			err := c.dump(ctx, sockDiagByFamily, diagRequest(family, ask.proto, 1<<ask.state), func() { found = found[:0] }, func(body []byte) {
				if s, ok := parseSocket(body, protoName(ask.proto)); ok {
					found = append(found, s)
				}
			})
			if err != nil && !isAny(err, unix.ENOENT, unix.EOPNOTSUPP, unix.EINVAL, unix.EPROTONOSUPPORT) {
				return nil, err // else the kernel has no such sockets, or does not show them
			}
			all = append(all, found...)
		}
	}
	return all, nil
}

// diagRequest is struct inet_diag_req_v2.
func diagRequest(family, proto uint8, states uint32) []byte {
	b := make([]byte, 56)
	b[0], b[1] = family, proto
	native.PutUint32(b[4:], states)
	return b
}

// parseSocket reads struct inet_diag_msg and its attributes.
func parseSocket(b []byte, proto string) (s socket, ok bool) {
	const size = 72
	if len(b) < size {
		return s, false
	}
	s.Protocol, s.Port = proto, binary.BigEndian.Uint16(b[4:])
	s.inode = native.Uint32(b[68:])
	if s.Port == 0 {
		return s, false // a raw socket, or one that is not bound
	}
	only6 := true
	if b[0] == unix.AF_INET {
		s.Address, _ = netip.AddrFromSlice(b[8:12])
		return s, true
	}
	s.Address, _ = netip.AddrFromSlice(b[8:24])
	attrs(b[size:], func(typ uint16, data []byte) {
		if typ == inetDiagSkV6Only && len(data) == 1 {
			only6 = data[0] != 0
		}
	})
	s.Address = s.Address.Unmap()
	if s.Address == netip.IPv6Unspecified() && !only6 {
		s.Address = netip.Addr{} // it hears both families
	}
	return s, true
}

// programsOf finds out which programs have the sockets open, as far as /proc tells.
func programsOf(sockets []socket) map[uint32]string {
	wanted := map[string]uint32{}
	for _, s := range sockets {
		wanted["socket:["+strconv.FormatUint(uint64(s.inode), 10)+"]"] = s.inode
	}
	programs := map[uint32]string{}
	if len(wanted) == 0 {
		return programs
	}
	processes, _ := filepath.Glob("/proc/[0-9]*")
	for _, p := range processes {
		fds, err := os.ReadDir(p + "/fd")
		if err != nil {
			continue // it has ended, or is not ours to look into
		}
		for _, fd := range fds {
			to, _ := os.Readlink(p + "/fd/" + fd.Name())
			if inode, ok := wanted[to]; ok && programs[inode] == "" {
				name, _ := os.ReadFile(p + "/comm")
				programs[inode] = strings.TrimSpace(string(name)) + " (process " + filepath.Base(p) + ")"
			}
		}
	}
	return programs
}

// otherStacks are the ports that the tables of other stacks lead somewhere.
func (k *Kernel) otherStacks(ctx context.Context) ([]state.PortHolder, error) {
	c, err := k.openFilter()
	if errors.Is(err, unix.EPROTONOSUPPORT) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer c.close()
	if !c.speaksFilter() {
		return nil, nil
	}
	var names []string
	err = c.list(ctx, unix.NFT_MSG_GETTABLE, filterHead(familyInet, 0), func(body []byte) {
		attrs(body, func(typ uint16, data []byte) {
			if typ == unix.NFTA_TABLE_NAME && strings.HasPrefix(text(data), state.TableName("")) && text(data) != state.TableName(k.stack) {
				names = append(names, text(data))
			}
		})
	})
	if err != nil {
		return nil, err
	}
	var holders []state.PortHolder
	for _, name := range names {
		t, err := c.readTable(ctx, name)
		if errors.Is(err, unix.ENOENT) || t.owner == "" {
			continue
		}
		if err != nil {
			return nil, err
		}
		holders = append(holders, published(t)...)
	}
	return holders, nil
}

// published are the ports of a table, with whom they belong to.
func published(t liveTable) []state.PortHolder {
	var holders []state.PortHolder
	for _, s := range t.Sets {
		ipv6 := s.Data == state.AddrPort6
		if s.Data != state.AddrPort4 && !ipv6 {
			continue
		}
		for _, e := range s.Elements {
			p, ok := parseHostPort(e.Key, ipv6)
			if !ok {
				continue
			}
			if !p.address.IsValid() && ipv6 {
				p.address = netip.IPv6Unspecified()
			} else if !p.address.IsValid() {
				p.address = netip.IPv4Unspecified()
			}
			holders = append(holders, state.PortHolder{
				Protocol: protoName(p.protocol), Address: p.address, Port: p.port, Who: e.Owner + " of stack " + t.owner,
			})
		}
	}
	return holders
}

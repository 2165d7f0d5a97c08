package kernel

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"

	"github.com/cnmctl/cnmctl/state"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Watcher hears of changes in the host's network namespace, and in those that it follows.
// It has one socket for all of them (NETLINK_LISTEN_ALL_NSID): a socket inside a namespace
// would keep it alive after somebody deleted it.
type Watcher struct {
	finder
	changes chan struct{}
	handle  *netlink.Handle
	sockets []*os.File

	mu       sync.Mutex
	followed map[int32]bool
	// secured: it hears of IPsec.
	secured bool
}

// Watch begins to listen, in the network namespace of the calling thread.
func Watch(cfg Config) (*Watcher, error) {
	w := &Watcher{finder: newFinder(cfg), changes: make(chan struct{}, 1), followed: map[int32]bool{}}
	var err error
	if w.handle, err = netlink.NewHandle(unix.NETLINK_ROUTE); err != nil {
		return nil, fmt.Errorf("opening a route socket: %w", err)
	}
	for _, s := range []struct {
		protocol int
		groups   []int
	}{
		{unix.NETLINK_ROUTE, []int{
			unix.RTNLGRP_LINK, unix.RTNLGRP_NEIGH, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR,
			unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE, unix.RTNLGRP_IPV4_RULE, unix.RTNLGRP_IPV6_RULE, unix.RTNLGRP_NSID,
		}},
		{unix.NETLINK_NETFILTER, []int{unix.NFNLGRP_NFTABLES}},
	} {
		if err := w.hear(s.protocol, s.groups); err != nil {
			_ = w.Close() // the first error counts
			return nil, err
		}
	}
	return w, nil
}

// hear tells of what happens to the groups.
func (w *Watcher) hear(protocol int, groups []int) error {
	f, err := listen(protocol, groups)
	if err != nil {
		return fmt.Errorf("listening for changes in the kernel: %w", err)
	}
	w.sockets = append(w.sockets, f)
	go w.receive(f, protocol)
	return nil
}

// FollowIPsec listens to IPsec from the first world on that has some: to listen makes the
// kernel load a module.
func (w *Watcher) FollowIPsec(world state.World) error {
	if w.secured || !likeIPsec([]state.World{world}) {
		return nil
	}
	const states, policies = 3, 4 // XFRMNLGRP_SA, XFRMNLGRP_POLICY of linux/xfrm.h
	err := w.hear(unix.NETLINK_XFRM, []int{states, policies})
	w.secured = err == nil
	return err
}

// Changes has something when anything has changed since it was last received from.
func (w *Watcher) Changes() <-chan struct{} { return w.changes }

// Close stops listening.
func (w *Watcher) Close() error {
	w.handle.Close()
	var errs []error
	for _, f := range w.sockets {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

// Follow listens to the namespaces of these names, and no longer to others. The kernel passes on
// what happens in a namespace only if the host has a number for it.
func (w *Watcher) Follow(names []string) error {
	followed := map[int32]bool{}
	var errs []error
	for _, name := range names {
		nsid, err := w.number(name)
		switch {
		case errors.Is(err, os.ErrNotExist), errors.Is(err, errNotNetns):
		case err != nil:
			errs = append(errs, fmt.Errorf("following namespace %s: %w", name, err))
		default:
			followed[nsid] = true
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.followed = followed
	return errors.Join(errs...)
}

// number is the host's number for a namespace, which it gets if it has none.
func (w *Watcher) number(name string) (int32, error) {
	v, err := w.find(context.Background(), name)
	if err != nil {
		return -1, err
	}
	if v.fd < 0 {
		return -1, errNotNetns
	}
	fd := v.fd
	defer unix.Close(fd)
	nsid, err := w.handle.GetNetNsIdByFd(fd)
	if err != nil || nsid >= 0 {
		return int32(nsid), err
	}
	if err := w.handle.SetNetNsIdByFd(fd, -1); err != nil && !errors.Is(err, unix.EEXIST) {
		return -1, err
	}
	nsid, err = w.handle.GetNetNsIdByFd(fd)
	return int32(nsid), err
}

// listen opens a socket that hears of the groups in all namespaces that have a number.
func listen(protocol int, groups []int) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	f := os.NewFile(uintptr(fd), "netlink")
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		f.Close()
		return nil, os.NewSyscallError("bind", err)
	}
	options := []struct{ name, value int }{{unix.NETLINK_LISTEN_ALL_NSID, 1}}
	for _, g := range groups {
		options = append(options, struct{ name, value int }{unix.NETLINK_ADD_MEMBERSHIP, g})
	}
	for _, o := range options {
		if err := unix.SetsockoptInt(fd, unix.SOL_NETLINK, o.name, o.value); err != nil {
			f.Close()
			return nil, os.NewSyscallError("setsockopt", err)
		}
	}
	return f, nil
}

// receive tells of changes until the socket is closed.
func (w *Watcher) receive(f *os.File, protocol int) {
	raw, err := f.SyscallConn()
	if err != nil {
		return // it is closed
	}
	buf, oob := make([]byte, 1<<16), make([]byte, 256)
	for {
		var n, oobn int
		var failure error
		err := raw.Read(func(fd uintptr) bool {
			n, oobn, _, _, failure = unix.Recvmsg(int(fd), buf, oob, 0)
			return !errors.Is(failure, unix.EAGAIN) && !errors.Is(failure, unix.EINTR)
		})
		switch {
		case err != nil:
			return
		case errors.Is(failure, unix.ENOBUFS): // too much changed for the socket to hold
			w.tell()
		case failure != nil:
			return
		case w.concerns(oob[:oobn]) && (protocol != unix.NETLINK_ROUTE || changes(buf[:n])):
			w.tell()
		}
	}
}

func (w *Watcher) tell() {
	select {
	case w.changes <- struct{}{}:
	default:
	}
}

// concerns reports that a message comes from the host's namespace, which has no number, or
// from one that is followed.
func (w *Watcher) concerns(oob []byte) bool {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return true
	}
	for _, m := range messages {
		if m.Header.Level == unix.SOL_NETLINK && m.Header.Type == unix.NETLINK_LISTEN_ALL_NSID && len(m.Data) >= 4 {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.followed[int32(binary.NativeEndian.Uint32(m.Data))]
		}
	}
	return true
}

// changes reports that one of the messages is about more than neighbors coming and going by
// themselves.
func changes(buf []byte) bool {
	messages, err := syscall.ParseNetlinkMessage(buf)
	if err != nil {
		return true
	}
	for _, m := range messages {
		if !passingNeighbor(m) {
			return true
		}
	}
	return false
}

// passingNeighbor reports a neighbor or forwarding entry that the kernel found out, which
// is never ours. One that is deleted is said to have failed first.
func passingNeighbor(m syscall.NetlinkMessage) bool {
	if m.Header.Type != unix.RTM_NEWNEIGH && m.Header.Type != unix.RTM_DELNEIGH {
		return false
	}
	const stateAt = 8 // in struct ndmsg
	if len(m.Data) < stateAt+2 {
		return false
	}
	state := binary.NativeEndian.Uint16(m.Data[stateAt:])
	if m.Header.Type == unix.RTM_DELNEIGH && state&unix.NUD_FAILED != 0 {
		return false
	}
	return state&(unix.NUD_PERMANENT|unix.NUD_NOARP) == 0
}

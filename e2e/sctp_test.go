package e2e

import (
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/cnmctl/cnmctl/state"
	"golang.org/x/sys/unix"
)

// sctp is what a script needs that speaks it.
const sctp state.Feature = "sctp"

// Package net knows nothing of SCTP, but takes a socket of it for one of TCP.

// sctpSocket makes a socket and hands it to do, with the address; then it is net's.
func sctpSocket(address string, do func(fd int, to unix.Sockaddr) error) (*os.File, error) {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, err
	}
	family, name := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()})
	if to.Addr().Is4() {
		family, name = unix.AF_INET, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_SCTP)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	f := os.NewFile(uintptr(fd), "sctp")
	if err := do(fd, name); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func listenSCTP(address string) (net.Listener, error) {
	f, err := sctpSocket(address, func(fd int, at unix.Sockaddr) error {
		if err := unix.Bind(fd, at); err != nil {
			return os.NewSyscallError("bind", err)
		}
		return os.NewSyscallError("listen", unix.Listen(fd, 16))
	})
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return net.FileListener(f)
}

func dialSCTP(address string, patience time.Duration) (net.Conn, error) {
	f, err := sctpSocket(address, func(fd int, to unix.Sockaddr) error {
		limit := unix.NsecToTimeval(int64(patience))
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &limit); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
		return os.NewSyscallError("connect", unix.Connect(fd, to))
	})
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return net.FileConn(f)
}

// sctpMissing is why there is no SCTP here, nil if there is.
func sctpMissing() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_SCTP)
	if err != nil {
		return os.NewSyscallError("making a socket of SCTP", err)
	}
	return unix.Close(fd)
}

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

const threadNetns = "/proc/thread-self/ns/net"

// batch is how many links are asked for in one message; more gain nothing.
const batch = 50

func create(boxes []sandbox) error {
	host, err := unix.Open(threadNetns, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	c, err := dial()
	if err != nil {
		return err
	}
	defer c.close()
	if err := makeBridge(c); err != nil {
		return fmt.Errorf("making the bridge: %w", err)
	}
	if err := masquerade(); err != nil {
		return fmt.Errorf("adding the masquerade rule: %w", err)
	}
	if err := makeNamespaces(boxes); err != nil {
		return fmt.Errorf("making namespaces: %w", err)
	}
	if err := unix.Setns(host, unix.CLONE_NEWNET); err != nil {
		return err
	}
	if err := makePairs(c, boxes); err != nil {
		return fmt.Errorf("making links: %w", err)
	}
	for _, s := range boxes {
		if err := furnish(s); err != nil {
			return fmt.Errorf("setting up %s: %w", s.name, err)
		}
	}
	if err := unix.Setns(host, unix.CLONE_NEWNET); err != nil {
		return err
	}
	// All ports at once: those that come up one by one flood each other.
	c.add(unix.RTM_NEWLINK, 0, ifinfo(0, unix.IFF_UP, unix.IFF_UP), func(a *attrs) { a.u32(unix.IFLA_GROUP, group) })
	if err := c.flush(); err != nil {
		return fmt.Errorf("bringing the ports up: %w", err)
	}
	return writeHosts(boxes)
}

func makeBridge(c *conn) error {
	for _, path := range []string{"/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding"} {
		if err := os.WriteFile(path, []byte("1"), 0); err != nil {
			return err
		}
	}
	four := gateway4.Addr().As4()
	c.add(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL, ifinfo(bridgeIndex, unix.IFF_UP, unix.IFF_UP), func(a *attrs) {
		a.text(unix.IFLA_IFNAME, bridge)
		a.bytes(unix.IFLA_ADDRESS, []byte{0x02, 0x42, four[0], four[1], four[2], four[3]})
		a.nest(unix.IFLA_LINKINFO, func() { a.text(unix.IFLA_INFO_KIND, "bridge") })
	})
	c.address(bridgeIndex, gateway4)
	c.address(bridgeIndex, gateway6)
	return c.flush()
}

// makeNamespaces leaves the thread in the last one.
func makeNamespaces(boxes []sandbox) error {
	if err := os.MkdirAll(netnsDir, 0o755); err != nil {
		return err
	}
	for i := range boxes {
		s := &boxes[i]
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		path := filepath.Join(netnsDir, s.name)
		fd, err := unix.Open(path, unix.O_CREAT|unix.O_EXCL|unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		unix.Close(fd)
		if err := unix.Mount(threadNetns, path, "", unix.MS_BIND, ""); err != nil {
			return err
		}
		if s.fd, err = unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
			return err
		}
	}
	return nil
}

// makePairs makes each veth with its peer in its final namespace under its final name,
// and switches IPv6 off on the ends that are bridge ports: they need no address.
func makePairs(c *conn, boxes []sandbox) error {
	for i := range boxes {
		s := &boxes[i]
		c.add(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL, ifinfo(0, 0, 0), func(a *attrs) {
			a.text(unix.IFLA_IFNAME, s.port)
			a.u32(unix.IFLA_MASTER, bridgeIndex)
			a.u32(unix.IFLA_GROUP, group)
			a.nest(unix.IFLA_LINKINFO, func() {
				a.text(unix.IFLA_INFO_KIND, "veth")
				a.nest(unix.IFLA_INFO_DATA, func() {
					a.nest(vethInfoPeer, func() {
						// IFF_UP here would fail: the peer is opened before it is paired.
						a.b = append(a.b, ifinfo(innerIndex, 0, 0)...)
						a.text(unix.IFLA_IFNAME, "eth0")
						a.bytes(unix.IFLA_ADDRESS, s.mac[:])
						a.u32(unix.IFLA_NET_NS_FD, uint32(s.fd))
					})
				})
			})
		})
		if i%batch == batch-1 || i == len(boxes)-1 {
			if err := c.flush(); err != nil {
				return err
			}
		}
	}
	for _, s := range boxes {
		if err := os.WriteFile("/proc/sys/net/ipv6/conf/"+s.port+"/disable_ipv6", []byte("1"), 0); err != nil {
			return err
		}
	}
	return nil
}

const (
	vethInfoPeer = 1 // VETH_INFO_PEER of linux/veth.h
	innerIndex   = 2 // the index that eth0 asks for in its namespace; lo is 1
)

// furnish sets up all there is in one namespace, with one message.
func furnish(s sandbox) error {
	if err := unix.Setns(s.fd, unix.CLONE_NEWNET); err != nil {
		return err
	}
	unix.Close(s.fd)
	c, err := dial()
	if err != nil {
		return err
	}
	defer c.close()
	c.up(1)
	c.up(innerIndex)
	c.address(innerIndex, s.ip4)
	c.address(innerIndex, s.ip6)
	c.defaultRoute(gateway4.Addr())
	c.defaultRoute(gateway6.Addr())
	return c.flush()
}

// writeHosts gives all sandboxes one hosts file, which has a name in each one's folder.
func writeHosts(boxes []sandbox) error {
	var b strings.Builder
	b.WriteString("127.0.0.1 localhost\n::1 localhost\n")
	for _, s := range boxes {
		fmt.Fprintf(&b, "%s %s\n%s %s\n", s.ip4.Addr(), s.name, s.ip6.Addr(), s.name)
	}
	first := ""
	for _, s := range boxes {
		dir := filepath.Join(filesDir, s.name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		path := filepath.Join(dir, "hosts")
		var err error
		if first == "" {
			first, err = path, os.WriteFile(path, []byte(b.String()), 0o644)
		} else {
			err = os.Link(first, path)
			if errors.Is(err, unix.EMLINK) {
				first, err = path, os.WriteFile(path, []byte(b.String()), 0o644)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

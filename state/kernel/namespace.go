package kernel

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/cnmctl/cnmctl/state"
	"golang.org/x/sys/unix"
)

// netnsNames lists what is in the netns directory; none if there is no directory.
func (k *Kernel) netnsNames() ([]string, error) {
	entries, err := os.ReadDir(k.netnsDir)
	if err != nil && !os.IsNotExist(err) {
		return nil, fmt.Errorf("listing namespaces: %w", err)
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, nil
}

// readSpace makes a namespace of its links, and tells by the mark on its lo whose it is.
func (k *Kernel) readSpace(name string, links []link) (n state.Namespace, ours bool) {
	n.Name = name
	for i := range links {
		if links[i].index == loopbackIndex {
			owner, marked := state.ParseMark(links[i].alias)
			n.Mark, n.LoDown = owner, !links[i].up
			return n, marked && owner.Stack == k.stack
		}
	}
	return n, false
}

// whose asks a namespace for its owner.
func (k *Kernel) whose(fd int) (owner state.Owner, ours bool, err error) {
	err = excursion(func() error {
		if err := enter(fd); err != nil {
			return err
		}
		c, err := openConn(k.buffers)
		if err != nil {
			return err
		}
		defer c.close()
		links, err := c.links(noCancel)
		n, mine := k.readSpace("", links)
		owner, ours = n.Mark, mine
		return err
	})
	return owner, ours, err
}

// foreignSpace says what a namespace is that is not ours.
func foreignSpace(owner state.Owner) string {
	if owner.Stack != "" {
		return fmt.Sprintf("a network namespace of stack %s (%s)", owner.Stack, owner.Address)
	}
	return "a network namespace that cnmctl did not make"
}

// readUnmounted tells what a file is that no namespace is mounted on. One with our mark was
// being made or deleted when its run was cut short; it is ours, without a namespace in it.
func (k *Kernel) readUnmounted(name string, fd int) (_ *reading, foreign string, err error) {
	owner, marked := markOf(fd)
	if marked && owner.Stack == k.stack {
		r := &reading{place: state.Netns(name), nsid: noNsid, unmounted: true}
		r.on.space = owner
		r.objects = append(r.objects, state.Namespace{Name: name, Mark: state.Owner{Stack: k.stack}})
		return r, "", nil
	}
	if marked {
		return nil, fmt.Sprintf("a namespace of stack %s (%s) that is being made", owner.Stack, owner.Address), nil
	}
	return nil, "a file that is not a network namespace", nil
}

// markOf reads the mark of an open file.
func markOf(fd int) (state.Owner, bool) {
	return readMark(func(attr string, value []byte) (int, error) { return unix.Fgetxattr(fd, attr, value) })
}

// makeNamespace makes one namespace and gives it its name. The calling thread is left in
// it. At every moment a crash leaves either nothing or something that is marked: the name
// comes last, and the file that the name is starts its life with the mark on it.
func (k *Kernel) makeNamespace(n state.Namespace) (*conn, uint64, error) {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return nil, 0, os.NewSyscallError("unshare", err)
	}
	c, err := openConn(k.buffers)
	if err != nil {
		return nil, 0, err
	}
	// To look into /proc/sys costs more than to ask, now and again when the namespace dies.
	if on, err := c.forwards(); err != nil || on {
		if err := forwardNothing(); err != nil {
			c.close()
			return nil, 0, err
		}
	}
	ino, err := k.nameNamespace(c, n)
	if err != nil {
		c.close()
		return nil, 0, err
	}
	return c, ino, nil
}

// forwardNothing has the namespace of the calling thread, a new one, forward no IPv4. Such
// a namespace begins with the settings of the first one (net.core.devconf_inherit_init_net),
// so on a host that routes it would be a router that nobody asked for. IPv6 begins with the
// kernel's own defaults.
func forwardNothing() error {
	const path = "net/ipv4/ip_forward"
	if value, err := readSysctl(path); err != nil || value == "0" {
		return err
	}
	return writeSysctl(path, "0")
}

// Attributes of linux/netconf.h.
const (
	netconfIfindex    = 1 // NETCONFA_IFINDEX
	netconfForwarding = 2 // NETCONFA_FORWARDING
)

// forwards reports that the socket's namespace forwards IPv4 (RTM_GETNETCONF, see
// inet_netconf_get_devconf of net/ipv4/devinet.c).
func (c *conn) forwards() (on bool, err error) {
	m := &message{}
	m.begin(unix.RTM_GETNETCONF, 0, []byte{unix.AF_INET, 0, 0, 0}) // struct netconfmsg, aligned
	m.u32(netconfIfindex, ^uint32(0))                              // NETCONFA_IFINDEX_ALL
	m.end()
	err = c.get(m, func(body []byte) {
		if len(body) < 4 {
			return
		}
		attrs(body[4:], func(typ uint16, data []byte) {
			if typ == netconfForwarding {
				on = number(data) != 0
			}
		})
	})
	return on, err
}

// nameNamespace marks the namespace of the calling thread and mounts it on its name.
func (k *Kernel) nameNamespace(c *conn, n state.Namespace) (uint64, error) {
	if err := k.markSpace(c, n); err != nil {
		return 0, err
	}
	fd, err := openNetns(threadNetns)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	path := filepath.Join(k.netnsDir, n.Name)
	if err := k.makeMountpoint(path, n.Mark); err != nil {
		return 0, err
	}
	if err := unix.Mount(threadNetns, path, "", unix.MS_BIND, ""); err != nil {
		return 0, &os.PathError{Op: "mount", Path: path, Err: err}
	}
	return inode(fd), nil
}

// makeMountpoint makes the empty file that a namespace is mounted on. It gets its name only
// when it bears the mark: an empty file without one is anybody's and would stay forever.
func (k *Kernel) makeMountpoint(path string, mark state.Owner) error {
	fd, err := unix.Open(k.netnsDir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: k.netnsDir, Err: err}
	}
	defer unix.Close(fd)
	set := func(attr string, value []byte) error { return unix.Fsetxattr(fd, attr, value, 0) }
	if err := writeMark(mark, set); err != nil {
		return &os.PathError{Op: "setxattr", Path: path, Err: err}
	}
	self := fmt.Sprintf("/proc/thread-self/fd/%d", fd)
	err = unix.Linkat(unix.AT_FDCWD, self, unix.AT_FDCWD, path, unix.AT_SYMLINK_FOLLOW)
	if err != nil {
		return &os.PathError{Op: "link", Path: path, Err: err}
	}
	return nil
}

// dropNamespace takes the name away; the kernel then deletes the namespace in the
// background, unless a process is still in it.
func (k *Kernel) dropNamespace(name string) error {
	path := filepath.Join(k.netnsDir, name)
	if err := unix.Unmount(path, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil && err != unix.EINVAL && err != unix.ENOENT {
		return &os.PathError{Op: "unmount", Path: path, Err: err}
	}
	if err := unix.Unlink(path); err != nil && err != unix.ENOENT {
		return &os.PathError{Op: "unlink", Path: path, Err: err}
	}
	return nil
}

// markSpace puts the mark on the namespace's lo, and brings lo up (or down, to put back
// what was there).
func (k *Kernel) markSpace(c *conn, n state.Namespace) error {
	var flags uint32 = unix.IFF_UP
	if n.LoDown {
		flags = 0
	}
	b := &batch{}
	b.request(unix.RTM_SETLINK, 0, ifinfo(loopbackIndex, flags, unix.IFF_UP))
	marks(&b.message, state.Link{Mark: n.Mark})
	b.end()
	if err := c.one(noCancel, b); err != nil {
		return fmt.Errorf("marking lo: %w", err)
	}
	return nil
}

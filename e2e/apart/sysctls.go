package apart

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// switched reports a setting that cnmctl turns on for the machine and leaves on, or that
// the kernel changes along with one.
func switched(name string) bool {
	switch name {
	case "ip_forward", "forwarding", "mc_forwarding", "accept_redirects":
		return true
	}
	return false
}

// sysctls lists the settings below net/ipv4 and net/ipv6, a line each. Of the machine's own
// those that are switched for good are left out.
func sysctls(own bool) (string, error) {
	var b strings.Builder
	for _, dir := range []string{"/proc/sys/net/ipv4", "/proc/sys/net/ipv6"} {
		if err := settings(&b, unix.AT_FDCWD, dir, dir, own); err != nil {
			return "", fmt.Errorf("reading %s: %w", dir, err)
		}
	}
	return b.String(), nil
}

// settings lists those below the directory, which is called name in the directory at. An
// interface may go meanwhile. There are a thousand in every namespace, and finding a file from
// the root takes the kernel longer than reading it.
func settings(b *strings.Builder, at int, name, path string, own bool) error {
	fd, err := unix.Openat(at, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	dir := os.NewFile(uintptr(fd), path)
	defer dir.Close()
	entries, err := dir.ReadDir(-1)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	slices.SortFunc(entries, func(a, b os.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	for _, e := range entries {
		switch {
		case e.IsDir():
			err = errors.Join(err, settings(b, fd, e.Name(), path+"/"+e.Name(), own))
		case !own || !switched(e.Name()):
			setting(b, fd, e.Name(), path)
		}
	}
	return err
}

// setting reads a file below /proc/sys, if it can be read: some are only for writing, or
// secret. os.ReadFile takes five calls for each, and the kernel fills as much memory with zeros
// as the reader has room for (proc_sys_call_handler).
func setting(b *strings.Builder, at int, name, path string) {
	fd, err := unix.Openat(at, name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	var short [64]byte
	buf := short[:]
	n, err := unix.Read(fd, buf)
	if err == nil && n == len(buf) { // there is more, which only a first reading gives
		buf = make([]byte, 1<<16)
		n, err = unix.Pread(fd, buf, 0)
	}
	if err != nil {
		return
	}
	for _, s := range []string{path, "/", name, ":", strings.TrimSpace(string(buf[:n])), "\n"} {
		b.WriteString(s)
	}
}

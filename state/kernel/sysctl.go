package kernel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/cnmctl/cnmctl/state"
	"golang.org/x/sys/unix"
)

// procSys shows the settings of the network namespace of the thread that looks.
const procSys = "/proc/sys"

// ReadSysctls adds to w the live values of the settings that are in the worlds of like. They are
// not part of a Snapshot, because there are hundreds of them in each namespace. Settings
// that the kernel does not have are left out. What there is of IPsec is added too, if one of
// like has any.
func (k *Kernel) ReadSysctls(ctx context.Context, w state.World, like ...state.World) error {
	wanted := map[state.Place][]state.Sysctl{}
	seen := map[state.Key]bool{}
	for _, world := range like {
		for key, o := range world {
			if s, ok := o.(state.Sysctl); ok && !seen[key] {
				seen[key] = true
				wanted[s.Place] = append(wanted[s.Place], s)
			}
		}
	}
	if !k.secured && likeIPsec(like) {
		k.secured = true
		if err := k.readIPsec(ctx, w); err != nil {
			return err
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	return excursion(func() error {
		for p, sysctls := range wanted {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := k.readSysctls(w, p, sysctls); err != nil {
				return fmt.Errorf("reading sysctls in %s: %w", p, err)
			}
		}
		return nil
	})
}

// readSysctls reads the settings of one place, on an excursion.
func (k *Kernel) readSysctls(w state.World, p state.Place, sysctls []state.Sysctl) error {
	if err := k.visit(p); errors.Is(err, os.ErrNotExist) || errors.Is(err, errNotNetns) {
		return nil // a namespace that is still to be made
	} else if err != nil {
		return err
	}
	if ns, ok := p.Netns(); ok {
		if _, ours := w[state.NamespaceKey(ns)].(state.Namespace); !ours && !k.visits[ns].accessible() {
			return nil
		}
	}
	for _, s := range sysctls {
		value, err := readSysctl(s.Path)
		switch {
		case isAny(err, unix.ENOENT) && s.Optional, err == nil && s.Keep && atLeast(value, s.Value):
			w.Add(s)
			continue
		case isAny(err, unix.ENOENT):
			continue
		case err != nil:
			return err
		}
		// Who owns a setting cannot be seen on it: it is whoever owns what it is on.
		s.Value = sameValue(s.Value, value)
		w.Add(s)
	}
	return nil
}

// visit takes the calling thread, on an excursion, to the place.
func (k *Kernel) visit(p state.Place) error {
	if p == state.Host {
		return enter(k.host)
	}
	fd, err := k.netnsFD(p)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if !isNetns(fd) {
		return errNotNetns
	}
	return enter(fd)
}

func readSysctl(path string) (string, error) {
	text, err := os.ReadFile(filepath.Join(procSys, path))
	return strings.TrimSpace(string(text)), err
}

// sameValue is live, written like want if both mean the same: the kernel separates the
// numbers of a list by tabs.
func sameValue(want, live string) string {
	if slices.Equal(strings.Fields(want), strings.Fields(live)) {
		return want
	}
	return live
}

func writeSysctl(path, value string) error {
	f, err := os.OpenFile(filepath.Join(procSys, path), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value + "\n")
	return errors.Join(err, f.Close())
}

// writeSysctls sets the wave's settings, place by place on one thread.
func (r *run) writeSysctls(ops []int) error {
	places, in := r.byPlace(ops)
	return excursion(func() error {
		for _, p := range places {
			if err := r.ctx.Err(); err != nil {
				return err
			}
			err := r.visit(p)
			for _, i := range in[p] {
				if err != nil {
					r.report(i, err)
				} else {
					r.report(i, r.setSysctl(r.wave[i]))
				}
			}
			if r.first != nil {
				break
			}
		}
		return nil
	})
}

// setSysctl sets one setting in the namespace of the calling thread. A deletion writes back
// what a new namespace has. What is kept is only ever raised: others may rely on it.
func (k *Kernel) setSysctl(op state.Op) error {
	s := op.Object().(state.Sysctl)
	switch {
	case op.Action == state.Delete && s.Keep:
		return nil
	case op.Action == state.Delete:
		if _, err := readSysctl(s.Path); err != nil {
			return err // which may say that it is gone
		}
		value, err := k.defaultSysctl(s)
		if err != nil {
			// Not wrapped: a default that is missing is no sign that the setting is gone.
			return fmt.Errorf("reading what a new namespace has: %v", err) //nolint:errorlint // see above
		}
		return writeSysctl(s.Path, value)
	case s.Keep:
		live, err := readSysctl(s.Path)
		if err == nil && atLeast(live, s.Value) || isAny(err, unix.ENOENT) && s.Optional {
			return nil
		}
	}
	return writeSysctl(s.Path, s.Value)
}

// atLeast compares two numbers; other values only by whether they are the same.
func atLeast(live, want string) bool {
	a, errA := strconv.ParseInt(live, 10, 64)
	b, errB := strconv.ParseInt(want, 10, 64)
	if errA != nil || errB != nil {
		return live == want
	}
	return a >= b
}

// defaultSysctl is the value that a new namespace has; for an interface's setting, that a
// new interface would get there.
func (k *Kernel) defaultSysctl(s state.Sysctl) (value string, err error) {
	if value, ok := k.defaults[s.Path]; ok {
		return value, nil
	}
	paths := []string{s.Path}
	if s.Link != "" {
		// Neighbor tables have their defaults in the first namespace alone; there, lo
		// starts with them like any other.
		of := "/" + s.Link + "/"
		paths = []string{strings.Replace(s.Path, of, "/default/", 1), strings.Replace(s.Path, of, "/lo/", 1)}
	}
	err = excursion(func() (err error) {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return os.NewSyscallError("unshare", err)
		}
		if err := forwardNothing(); err != nil {
			return err
		}
		for _, path := range paths {
			if value, err = readSysctl(path); err == nil {
				break
			}
		}
		return err
	})
	if err != nil {
		return "", err
	}
	if k.defaults == nil {
		k.defaults = map[string]string{}
	}
	k.defaults[s.Path] = value
	return value, nil
}

// ipv6Switch goes to the place, on an excursion, and returns how to switch IPv6 of links
// there, and what to call in the end. The directory is opened once: its path is half the
// cost of a write.
func (k *Kernel) ipv6Switch(p state.Place) (write func(link string, off bool) error, done func(), err error) {
	if err := k.visit(p); err != nil {
		return nil, nil, fmt.Errorf("entering %s: %w", p, err)
	}
	const path = procSys + "/net/ipv6/conf"
	dir, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err == unix.ENOENT {
		return func(string, bool) error { return nil }, func() {}, nil // a kernel without IPv6
	}
	if err != nil {
		return nil, nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	write = func(link string, off bool) error {
		name := link + "/disable_ipv6"
		fd, err := unix.Openat(dir, name, unix.O_WRONLY|unix.O_CLOEXEC, 0)
		if err == unix.ENOENT {
			return nil // an MTU below 1280 has switched it off already
		}
		if err == nil {
			_, err = unix.Write(fd, []byte{'0' + bit(off)})
			unix.Close(fd)
		}
		if err != nil {
			return &os.PathError{Op: "write", Path: path + "/" + name, Err: err}
		}
		return nil
	}
	return write, func() { unix.Close(dir) }, nil
}

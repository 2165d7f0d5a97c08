package kernel

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cnmctl/cnmctl/state"
	"golang.org/x/sys/unix"
)

// visit is a namespace of somebody else that sandboxes are in. It is found anew for each
// snapshot and stays open until the next: a process's number can be given to another one
// meanwhile, an open namespace cannot become another.
type visit struct {
	fd int // -1: it is not there
	id inodeID
	// is says what it is, barred why it cannot be gone into.
	is, barred string
}

// finder finds namespaces by what they are called.
type finder struct {
	netnsDir   string
	containers func(ctx context.Context, engine, name string) (pid int, err error)
}

func newFinder(cfg Config) finder {
	return finder{cmp.Or(cfg.NetnsDir, "/run/netns"), cfg.Containers}
}

// Visit has the kernel look into namespaces of others, from the next snapshot on: by name,
// path or container, see state.Container. It reports whether any of them is new. Of two
// that turn out to be one namespace, the first to be asked for is gone into.
func (k *Kernel) Visit(names []string) (news bool) {
	for _, name := range names {
		if !slices.Contains(k.asked, name) {
			k.asked, news = append(k.asked, name), true
		}
	}
	return news
}

// leave lets go of the namespaces of others.
func (k *Kernel) leave() {
	for _, v := range k.visits {
		if v.fd >= 0 {
			unix.Close(v.fd)
		}
	}
	k.visits = map[string]*visit{}
}

// findVisits finds the namespaces of others that were asked for. One that is not there is
// no error; one that cannot be looked for is.
func (k *Kernel) findVisits(ctx context.Context) error {
	k.leave()
	seen := map[inodeID]string{}
	if id, ok := identity(k.host); ok {
		seen[id] = ""
	}
	for _, name := range k.asked {
		v, err := k.find(ctx, name)
		if err != nil {
			return fmt.Errorf("looking for namespace %s: %w", name, err)
		}
		k.visits[name] = v
		if v.fd < 0 {
			continue
		}
		switch first, taken := seen[v.id]; {
		case taken && first == "":
			v.barred = "it is the host's own namespace, which a sandbox is by an endpoint on a network of the driver host"
		case taken:
			v.barred = "it is the same namespace as " + first + "; have one sandbox share the other's (shares)"
		default:
			seen[v.id] = name
		}
	}
	return nil
}

// find opens a namespace of somebody else.
func (f finder) find(ctx context.Context, name string) (*visit, error) {
	v := &visit{fd: -1}
	path, pid, err := f.open(ctx, name, v)
	var absent *state.AbsentError
	switch {
	case errors.As(err, &absent):
		v.barred = absent.Why
		return v, nil
	case err != nil:
		return nil, err
	case v.fd < 0:
		v.barred = missing(path)
		return v, nil
	case !isNetns(v.fd):
		unix.Close(v.fd)
		v.fd, v.barred = -1, path+" is not a network namespace"
		return v, nil
	}
	v.id, _ = identity(v.fd)
	v.is = fmt.Sprintf("net:[%d]", v.id.ino)
	if pid != 0 {
		v.is = fmt.Sprintf("process %d, net:[%d]", pid, v.id.ino)
	}
	return v, nil
}

// openTries is how often a container may start again while it is looked for.
const openTries = 5

// open opens the file that a namespace is found by; v.fd stays -1 when there is none.
func (f finder) open(ctx context.Context, name string, v *visit) (path string, pid int, err error) {
	for range openTries {
		if path, pid, err = f.pathOf(ctx, name); err != nil {
			return path, pid, err
		}
		v.fd, err = openNetns(path)
		if err != nil && !isAny(err, unix.ENOENT, unix.ESRCH) {
			return path, pid, err
		}
		if pid == 0 {
			break
		}
		// The container may have ended before its namespace was opened, and the number been
		// given to another process.
		_, now, err := f.pathOf(ctx, name)
		if now == pid && v.fd >= 0 {
			break
		}
		if v.fd >= 0 {
			unix.Close(v.fd)
			v.fd = -1
		}
		if err != nil {
			return path, now, err
		}
	}
	return path, pid, nil
}

// pathOf is the file of a namespace, and the process that it is found by, 0 for none.
func (f finder) pathOf(ctx context.Context, name string) (path string, pid int, err error) {
	switch engine, container, ok := state.Container(name); {
	case ok && f.containers == nil:
		return "", 0, errors.New("containers cannot be asked for here")
	case ok:
		if pid, err = f.containers(ctx, engine, container); err != nil {
			return "", 0, err
		}
		return fmt.Sprintf("/proc/%d/ns/net", pid), pid, nil
	case state.Named(name):
		return filepath.Join(f.netnsDir, name), 0, nil
	}
	return name, 0, nil
}

// NetnsPath is the file in which a namespace of somebody else is now.
func (k *Kernel) NetnsPath(ctx context.Context, name string) (string, error) {
	path, _, err := k.pathOf(ctx, name)
	return path, err
}

// LookFor says what a namespace of somebody else is now, or why nobody can be in it.
func LookFor(ctx context.Context, cfg Config, name string) (state.Foreign, error) {
	v, err := newFinder(cfg).find(ctx, name)
	if err != nil {
		return state.Foreign{}, fmt.Errorf("looking for namespace %s: %w", name, err)
	}
	if v.fd >= 0 {
		unix.Close(v.fd)
	}
	return v.object(name), nil
}

// missing says that there is nothing at a path.
func missing(path string) string {
	if rest, ok := strings.CutPrefix(path, "/proc/"); ok {
		if process, _, ok := strings.Cut(rest, "/"); ok {
			return "process " + process + " does not run"
		}
	}
	if filepath.IsAbs(path) && filepath.Dir(path) != "/run/netns" {
		return "there is no file " + path
	}
	return "there is no namespace of that name (ip netns lists those that there are)"
}

// identity tells one namespace from every other that there is.
func identity(fd int) (inodeID, bool) {
	var st unix.Stat_t
	err := unix.Fstat(fd, &st)
	return inodeID{st.Dev, st.Ino}, err == nil
}

// lent reports that the place is somebody else's, so that what is ours in it has to say so.
func (k *Kernel) lent(p state.Place) bool {
	if name, ok := p.Netns(); ok {
		return k.visits[name] != nil
	}
	return p == state.Host
}

// openSpace opens the namespace that a place is called by.
func (k *Kernel) openSpace(name string) (int, error) {
	v := k.visits[name]
	switch {
	case v == nil && !state.Named(name):
		return -1, fmt.Errorf("%s was not looked for: %w", name, os.ErrNotExist)
	case v == nil:
		return openNetns(filepath.Join(k.netnsDir, name))
	case v.fd < 0:
		return -1, fmt.Errorf("%s: %w", v.barred, unix.ENOENT)
	}
	return unix.FcntlInt(uintptr(v.fd), unix.F_DUPFD_CLOEXEC, 0)
}

// accessible reports that the namespace can be gone into.
func (v *visit) accessible() bool { return v != nil && v.barred == "" }

// visitable adds the namespaces of others that can be gone into to names.
func (k *Kernel) visitable(names []string) []string {
	for _, name := range k.asked {
		if k.visits[name].accessible() && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// object is the namespace as those see it who want to be in it.
func (v *visit) object(name string) state.Foreign {
	return state.Foreign{K: state.NamespaceKey(name), What: v.is, Barred: v.barred}
}

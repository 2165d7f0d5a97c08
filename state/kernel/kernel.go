package kernel

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/cnmctl/cnmctl/state"
	"golang.org/x/sys/unix"
)

// Config says whose objects are ours and where the directories are.
type Config struct {
	Stack string
	// NetnsDir holds the named namespaces; "" is /run/netns, which `ip netns` uses.
	NetnsDir string
	// EtcDir holds a directory of files for each namespace; "" is /etc/netns.
	EtcDir string
	// Containers finds the process of a container by its engine and its name there; a
	// *state.AbsentError says that it does not run. nil: nobody can be asked.
	Containers func(ctx context.Context, engine, name string) (pid int, err error)
	// Secrets are what the keys of IPsec states are made of, by generation. nil: there are none.
	Secrets func(ctx context.Context) (map[uint32]state.Secret, error)
}

// Kernel is the live kernel as seen from one network namespace, the host. It implements
// state.Target. It is not safe for use by several goroutines at once.
type Kernel struct {
	finder
	stack   string
	etcDir  string
	host    int // the host's network namespace
	buffers *sync.Pool
	known   ruleMemo
	places  map[state.Place]*place
	maxOpen int
	// doomed are links that an earlier run was about to delete, by place.
	doomed map[state.Place][]string
	late   []crowded // ports that wait
	// carriers are those that ends behind ports which have waited are getting, nil for none.
	carriers *carriers
	// mute are ports whose carriers the kernel has not acted on when they were read.
	mute []string
	// strangers are tunnels of others that a snapshot comes across.
	strangers strangers
	defaults  map[string]string // sysctls of a new namespace, by path
	// asked are the namespaces of others to look into, visits those that the last snapshot
	// found, by what they are called.
	asked  []string
	visits map[string]*visit
	// askSecrets is Config.Secrets. secured: the last snapshot has IPsec states and policies.
	askSecrets func(context.Context) (map[uint32]state.Secret, error)
	secured    bool
	// room is how many open files there is room for, see makeRoom.
	room int
	// background is what goes on beside the calls: sockets that are being closed, and room
	// that is being made.
	background sync.WaitGroup
}

var _ state.Target = (*Kernel)(nil)

// place is an open namespace: its route socket and what is known of its links.
type place struct {
	conn *conn
	ino  uint64
	// index holds link names to interface numbers, as far as they were looked up.
	index map[string]int32
}

// Open looks at the kernel from the network namespace of the calling thread. Nothing is
// changed.
func Open(cfg Config) (*Kernel, error) {
	k := &Kernel{
		finder:  newFinder(cfg),
		stack:   cfg.Stack,
		etcDir:  cfg.EtcDir,
		buffers: newBuffers(),
		places:  map[state.Place]*place{},
		maxOpen: maxOpenPlaces(),
		visits:  map[string]*visit{},

		askSecrets: cfg.Secrets,
	}
	if k.etcDir == "" {
		k.etcDir = "/etc/netns"
	}
	var err error
	if k.host, err = openNetns(threadNetns); err != nil {
		return nil, fmt.Errorf("opening the host's network namespace: %w", err)
	}
	c, err := openConn(k.buffers)
	if err != nil {
		unix.Close(k.host)
		return nil, fmt.Errorf("opening a route socket: %w", err)
	}
	k.places[state.Host] = &place{conn: c, index: map[string]int32{}}
	return k, nil
}

// Close lets go of all namespaces.
func (k *Kernel) Close() error {
	_ = k.awaitCarriers() // the kernel gets to them by itself, if later
	for name := range k.places {
		k.forget(name)
	}
	k.leave()
	k.background.Wait()
	return unix.Close(k.host)
}

// forget closes what is open in the place. An open socket would keep a namespace alive
// that was deleted.
func (k *Kernel) forget(p state.Place) {
	if open := k.places[p]; open != nil {
		_ = k.carriers.wait() // awaitCarriers tells the error
		open.conn.close()
		delete(k.places, p)
	}
}

// letGo closes the socket of a namespace that was read, unless it was open before.
func (k *Kernel) letGo(r *reading) {
	if r == nil {
		return
	}
	if known := k.places[r.place]; known == nil || known.conn != r.conn {
		r.conn.close()
		r.conn = nil
	}
}

// keepOnly remembers the sockets of the namespaces that were read, and closes all others.
func (k *Kernel) keepOnly(spaces []*reading) {
	old := k.places
	k.places = map[state.Place]*place{state.Host: old[state.Host]}
	for _, r := range spaces {
		switch {
		case r.conn == nil:
		case len(k.places) <= k.maxOpen:
			k.places[r.place] = &place{conn: r.conn, ino: r.ino}
		case old[r.place] == nil || old[r.place].conn != r.conn:
			r.conn.close()
		}
	}
	for p, known := range old {
		if now := k.places[p]; now != nil && now.conn == known.conn {
			continue
		}
		_ = k.carriers.wait() // awaitCarriers tells the error
		known.conn.close()
	}
}

// maxOpenPlaces leaves half of the process's file descriptors to others: while a snapshot is
// read, as many sockets again may be open as were before.
func maxOpenPlaces() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 256
	}
	return int(min(limit.Cur/4, 1<<16))
}

// errNotNetns reports a file that no namespace is mounted on.
var errNotNetns = errors.New("not a network namespace")

// at is the open place; namespaces are opened when first needed.
func (k *Kernel) at(p state.Place) (*place, error) {
	if open := k.places[p]; open != nil {
		return open, nil
	}
	name, ok := p.Netns()
	if !ok {
		return nil, fmt.Errorf("opening %s: not a place in the kernel", p)
	}
	fd, err := k.openSpace(name)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", p, err)
	}
	defer unix.Close(fd)
	if !isNetns(fd) {
		return nil, fmt.Errorf("opening %s: %w", p, errNotNetns)
	}
	var c *conn
	err = excursion(func() (err error) {
		if err := enter(fd); err != nil {
			return err
		}
		c, err = openConn(k.buffers)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("entering %s: %w", p, err)
	}
	return k.keep(p, c, inode(fd)), nil
}

// keep remembers an open socket of a place, and lets another one go when there are too
// many.
func (k *Kernel) keep(p state.Place, c *conn, ino uint64) *place {
	k.forget(p)
	for other := range k.places {
		if len(k.places) < k.maxOpen {
			break
		}
		if other != state.Host {
			k.forget(other)
		}
	}
	open := &place{conn: c, ino: ino, index: map[string]int32{}}
	k.places[p] = open
	return open
}

// netnsFD opens the namespace of the place, for use in a message or by another library.
func (k *Kernel) netnsFD(p state.Place) (int, error) {
	name, ok := p.Netns()
	if !ok {
		return unix.FcntlInt(uintptr(k.host), unix.F_DUPFD_CLOEXEC, 0)
	}
	return k.openSpace(name)
}

// inPlace runs fn on a thread that is in the place's namespace.
func (k *Kernel) inPlace(ctx context.Context, p state.Place, fn func(nsfd int) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	fd, err := k.netnsFD(p)
	if err != nil {
		return fmt.Errorf("opening %s: %w", p, err)
	}
	defer unix.Close(fd)
	return excursion(func() error {
		if err := enter(fd); err != nil {
			return fmt.Errorf("entering %s: %w", p, err)
		}
		return fn(fd)
	})
}

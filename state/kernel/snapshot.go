package kernel

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"

	"github.com/cnmctl/cnmctl/state"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// readers is how many threads read namespaces at once. Dumps share RTNL or need none, so
// they scale with the processors; more threads than those get in each other's way, and
// lose more than one thread alone would take.
func readers() int { return min(runtime.GOMAXPROCS(0), 4) }

// Live is what the kernel holds, as far as it concerns the stack.
type Live struct {
	// World holds the stack's objects, and a state.Foreign for each name that is taken by
	// something else. Sysctls are not in it, nor is IPsec unless there are rules about it:
	// see ReadSysctls.
	World state.World
	// HostRoutes are the destinations that the host routes elsewhere than over the stack's
	// own links, without default routes.
	HostRoutes []netip.Prefix
	// HostAddresses are the host's addresses on links that are not the stack's, with the
	// links' names; without link-local and loopback ones, and what the stack put there.
	HostAddresses map[netip.Addr]string
	// Nameservers are those of the host's resolv.conf.
	Nameservers []netip.Addr
	// Links are all interface names taken on the host, whoever has them.
	Links map[string]bool
	// MTUs are those of the host's interfaces, by name.
	MTUs map[string]int
	// Down are the host's interfaces that are down; Ports are those that are ports of a
	// bridge, bond or the like, with its name.
	Down  map[string]bool
	Ports map[string]string
	// Identities tell namespaces and links of the stack from others that have or had their
	// keys, by numbers that the kernel gives once.
	Identities map[state.Key]string
	// VNIs are the numbers of tunnels that are not the stack's, here and in the namespaces
	// that have a name.
	VNIs map[uint32]bool
}

// reading is one namespace as it was read.
type reading struct {
	place     state.Place
	on        held
	objects   []state.Object
	foreign   []state.Object // names in a place of somebody else's that are taken
	nsid      int32          // of the namespace as the host counts; -1: none
	conn      *conn
	ino       uint64
	unmounted bool // only the file for it is there
}

// Snapshot reads the live kernel. An error means that nothing is known; there are no
// partial answers. Ports that wait for all else come up when the namespaces have been read,
// before the host is.
func (k *Kernel) Snapshot(ctx context.Context) (*Live, error) {
	if err := k.awaitCarriers(); err != nil {
		return nil, err
	}
	if err := k.findVisits(ctx); err != nil {
		return nil, err
	}
	names, err := k.netnsNames()
	if err != nil {
		return nil, err
	}
	k.makeRoom(len(names))
	live := &Live{
		World: make(state.World, 16*len(names)), HostAddresses: map[netip.Addr]string{},
		Links: map[string]bool{}, MTUs: map[string]int{}, VNIs: map[uint32]bool{},
		Down: map[string]bool{}, Ports: map[string]string{}, Identities: map[state.Key]string{},
	}
	k.strangers.reset()
	host := &reading{place: state.Host, nsid: -1, conn: k.places[state.Host].conn}
	host.on.space, host.on.lent = state.Owner{Stack: k.stack}, true
	// The host's links come first: dumping them numbers the namespaces of their peers.
	if host.on.links, err = host.conn.links(ctx); err != nil {
		return nil, fmt.Errorf("in the host's namespace: %w", err)
	}
	var spaces []*reading
	group, gctx := errgroup.WithContext(ctx)
	if len(k.late) == 0 {
		group.Go(func() error { return k.readHost(gctx, host, live) })
	}
	group.Go(func() (err error) {
		spaces, err = k.readNamespaces(gctx, k.visitable(names), live.World)
		return err
	})
	var files []state.Object
	group.Go(func() (err error) {
		files, err = k.readFiles()
		return err
	})
	if err := group.Wait(); err != nil {
		return nil, err
	}
	if len(k.late) > 0 {
		if err := k.raiseAndRead(ctx, host, live); err != nil {
			return nil, err
		}
	}
	if err := k.gather(ctx, live, host, spaces); err != nil {
		return nil, err
	}
	addFiles(live.World, files)
	if k.secured = k.secured || encrypts(host.objects); k.secured {
		if err := k.readIPsec(ctx, live.World); err != nil {
			return nil, err
		}
	}
	live.Nameservers = k.nameservers()
	return live, nil
}

// readHost reads what sits on the host's links.
func (k *Kernel) readHost(ctx context.Context, host *reading, live *Live) error {
	if err := k.readTables(ctx, host, live); err != nil {
		return fmt.Errorf("in the host's namespace: %w", err)
	}
	return k.inPlace(ctx, state.Host, func(int) error { return k.readFilter(host) })
}

// raiseAndRead brings up the ports that wait, and reads the host. What is behind them gets its
// carrier meanwhile, and while what was read is compared.
func (k *Kernel) raiseAndRead(ctx context.Context, host *reading, live *Live) error {
	err := k.raiseLate(ctx)
	if err != nil {
		return errors.Join(err, k.awaitCarriers())
	}
	if host.on.links, err = host.conn.links(ctx); err == nil {
		k.listen(host.on.links)
		err = k.readHost(ctx, host, live)
	}
	if err != nil {
		return fmt.Errorf("in the host's namespace: %w", err)
	}
	return nil
}

// gather puts what was read together: the links need to know of all namespaces, because
// their peers may be in any of them.
func (k *Kernel) gather(ctx context.Context, live *Live, host *reading, spaces []*reading) error {
	peers, err := pairUp(ctx, host, spaces)
	if err != nil {
		return err
	}
	k.keepOnly(spaces)
	for _, r := range append(spaces, host) {
		index := make(map[string]int32, len(r.on.links))
		space := r.conn.cookie()
		for i := range r.on.links {
			l := &r.on.links[i]
			index[l.name] = l.index
			r.foreign = append(r.foreign, l.otherNames(r.place)...)
			if ns, ok := r.place.Netns(); ok && l.index == loopbackIndex {
				if !r.on.lent {
					live.Identities[state.NamespaceKey(ns)] = space
				}
				continue // its mark is the namespace's, or it is none of our business
			}
			o := l.object(r.place, &r.on, k.stack)
			if mine, ok := o.(state.Link); ok {
				if space != "" {
					live.Identities[mine.Key()] = space + "/" + strconv.Itoa(int(l.index))
				}
				o = withPeer(mine, peers[end{r, l.index}])
			}
			live.World.Add(o)
		}
		live.World.Add(r.objects...)
		if r.unmounted {
			continue
		}
		if open := k.places[r.place]; open != nil {
			open.index = index
		}
	}
	for _, r := range append(spaces, host) {
		for _, o := range r.foreign {
			if live.World[o.Key()] == nil {
				live.World.Add(o)
			}
		}
	}
	for i := range host.on.links {
		l := &host.on.links[i]
		live.Links[l.name], live.MTUs[l.name], live.Down[l.name] = true, l.mtu, !l.up
		if master, _ := host.on.above(l); master != "" {
			live.Ports[l.name] = master
		}
	}
	k.strangers.note(host.on.links, true)
	live.VNIs = k.strangers.vnis
	k.doomed = k.leftovers(host, spaces)
	return nil
}

// addFiles adds the files, with the namespace's owner where there is one.
func addFiles(world state.World, files []state.Object) {
	for _, o := range files {
		if f, ok := o.(state.File); ok {
			ns, _ := f.Place.Netns()
			if space, ours := world[state.NamespaceKey(ns)].(state.Namespace); ours {
				f.Mark = space.Mark
			}
			o = f
		}
		world.Add(o)
	}
}

// readNamespaces reads all named namespaces in parallel. Names that are not ours are put
// into the world as they are found.
func (k *Kernel) readNamespaces(ctx context.Context, names []string, world state.World) ([]*reading, error) {
	found := make([]*reading, len(names))
	foreign := make([]string, len(names))
	var next atomic.Int64 // a channel would wake a thread for each namespace
	group, ctx := errgroup.WithContext(ctx)
	for range min(readers(), len(names)) {
		group.Go(func() error {
			return k.reader(func(host *conn) error {
				for ctx.Err() == nil {
					i := int(next.Add(1) - 1)
					if i >= len(names) {
						return nil
					}
					var err error
					if found[i], foreign[i], err = k.readNamespace(ctx, names[i], host); err != nil {
						return fmt.Errorf("reading namespace %s: %w", names[i], err)
					}
					if i >= k.maxOpen {
						k.letGo(found[i])
					}
				}
				return ctx.Err()
			})
		})
	}
	err := group.Wait()
	spaces := found[:0]
	for i, r := range found {
		switch {
		case r != nil && err != nil:
			k.letGo(r)
		case r != nil:
			spaces = append(spaces, r)
		case foreign[i] != "":
			world.Add(state.Foreign{K: state.NamespaceKey(names[i]), What: foreign[i]})
		}
	}
	for name, v := range k.visits {
		if _, mine := world[state.NamespaceKey(name)].(state.Namespace); !mine {
			world.Add(v.object(name))
		}
	}
	return k.aliases(spaces, world), err
}

// reader runs fn on a thread of its own with a socket of the host.
func (k *Kernel) reader(fn func(host *conn) error) error {
	return excursion(func() error {
		if err := enter(k.host); err != nil {
			return err
		}
		host, err := openConn(k.buffers)
		if err != nil {
			return err
		}
		defer host.close()
		return fn(host)
	})
}

// readNamespace reads the namespace called name, or says what else there is. Both are
// empty when it is gone meanwhile.
func (k *Kernel) readNamespace(ctx context.Context, name string, host *conn) (_ *reading, foreign string, err error) {
	visited := k.visits[name]
	if visited != nil && !visited.accessible() {
		return nil, "", nil
	}
	fd, err := k.openSpace(name)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, "", nil
	case err != nil:
		return nil, "", err
	}
	defer unix.Close(fd)
	if !isNetns(fd) {
		return k.readUnmounted(name, fd)
	}
	if err := enter(fd); errors.Is(err, unix.EPERM) {
		return nil, "a network namespace that cnmctl may not enter", nil
	} else if err != nil {
		return nil, "", err
	}
	r := &reading{place: state.Netns(name), ino: inode(fd)}
	if known := k.places[r.place]; known != nil && known.ino == r.ino {
		r.conn = known.conn
	} else if r.conn, err = openConn(k.buffers); err != nil {
		return nil, "", err
	} else {
		defer func() {
			if err != nil || foreign != "" {
				r.conn.close()
			}
		}()
	}
	if r.on.links, err = r.conn.links(ctx); err != nil {
		return nil, "", err
	}
	space, ours := k.readSpace(name, r.on.links)
	switch {
	case ours && visited != nil:
		visited.barred = fmt.Sprintf("it is that of %s: write shares = %[1]s", space.Mark.Address)
		return nil, foreignSpace(space.Mark), nil
	case ours:
		r.on.space = space.Mark
		r.objects = append(r.objects, space)
	case visited != nil:
		r.on.space, r.on.lent = state.Owner{Stack: k.stack}, true
	default:
		r.on.sort(k.stack)
		k.strangers.note(r.on.links, false)
		return nil, foreignSpace(space.Mark), nil
	}
	if err := k.readTables(ctx, r, nil); err != nil {
		return nil, "", err
	}
	if err := k.readFilter(r); err != nil {
		return nil, "", err
	}
	r.nsid, err = host.nsid(fd, hasRemotePeer(r.on.links))
	return r, "", err
}

// readFilter reads the rulesets of the namespace that the calling thread is in, and what
// else can only be read from inside.
func (k *Kernel) readFilter(r *reading) error {
	if err := r.readChecksums(); err != nil {
		return err
	}
	rulesets, err := k.readRulesets(r.place)
	r.objects = append(r.objects, rulesets...)
	return err
}

// readTables reads what sits on the links of r and what routes among them. live is given
// for the host alone.
func (k *Kernel) readTables(ctx context.Context, r *reading, live *Live) error {
	r.on.sort(k.stack)
	addresses, err := r.conn.addresses(ctx)
	if err != nil {
		return err
	}
	routes, err := r.conn.routes(ctx)
	if err != nil {
		return err
	}
	rules, err := r.conn.rules(ctx)
	if err != nil {
		return err
	}
	neighbors, err := r.conn.neighbors(ctx)
	if err != nil {
		return err
	}
	if err := r.readQdiscs(ctx); err != nil {
		return err
	}
	if err := r.readRedirects(ctx); err != nil {
		return err
	}
	add := func(o state.Object) {
		if o != nil {
			r.objects = append(r.objects, o)
		}
	}
	connected := connections(routes)
	for _, a := range addresses {
		o := a.object(r.place, &r.on, k.stack)
		if mine, ok := o.(state.IPAddress); ok && a.connects(&r.on) && !connected[connection{a.index, a.prefix.Masked()}] {
			mine.CutOff = true
			o = mine
		}
		add(o)
		if r.on.lent && o == nil {
			r.foreignAddress(a, live)
		}
	}
	for i := range routes {
		o := routes[i].object(r.place, &r.on, k.stack)
		add(o)
		if r.on.lent && !r.on.ours(routes[i].index) {
			r.foreignRoute(&routes[i], o == nil, live)
		}
	}
	for i := range rules {
		add(rules[i].object(r.place, &r.on, k.stack))
	}
	for _, n := range neighbors {
		add(n.object(r.place, &r.on))
	}
	return r.readForwardings(ctx)
}

package kernel

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/cnmctl/cnmctl/state"
	"golang.org/x/sys/unix"
)

const (
	// settlePatience is how long nothing may die before we look closer: a process inside
	// keeps a namespace alive after its name has gone.
	settlePatience = 2 * time.Second
	// settleLimit bounds the wait as a whole.
	settleLimit = 60 * time.Second
	// monitorBuffer holds the notifications of thousands of links.
	monitorBuffer = 16 << 20
	monitorPulse  = 100 * time.Millisecond
)

// doomed are the host's links that deletions of this run make the kernel delete by itself,
// some time later: the outer ends of namespaces that go.
type doomed struct {
	monitor *conn
	waiting map[int32]string
	// leftovers stand in the doomed group since an earlier run, by place.
	leftovers map[state.Place][]string
}

func (d *doomed) close() {
	d.monitor.close()
	d.monitor, d.waiting = nil, nil
}

// watchDoomed begins to listen before the namespaces of the ops go, and notes the links
// that go with them.
func (r *run) watchDoomed(ops []int) error {
	host := r.places[state.Host]
	for _, i := range ops {
		for _, o := range r.wave[i].Along {
			k := o.Key()
			if k.Kind != state.KindLink || k.Place != state.Host {
				continue
			}
			index, err := host.lookup(r.ctx, k.Name)
			if isAny(err, absent...) {
				continue
			}
			if err != nil {
				return err
			}
			if err := r.listen(); err != nil {
				return err
			}
			r.doomed.waiting[index] = k.Name
			delete(host.index, k.Name)
		}
	}
	return nil
}

// deleteAbroad deletes at once what the kernel would take its time for, and nobody could
// wait for: links in namespaces that stay, whose other ends go; and those that hold
// something in another namespace until they are gone, tunnels their VNI, and links on
// others the MAC or the addresses that they have there.
func (r *run) deleteAbroad(ops []int) error {
	dying := map[state.Place]bool{}
	for _, i := range ops {
		dying[state.Netns(r.wave[i].Key.Name)] = true
	}
	names := map[state.Place][]string{}
	var places []state.Place
	for _, i := range ops {
		for _, o := range r.wave[i].Along {
			l, ok := o.(state.Link)
			if !ok || l.Place == state.Host || dying[l.Place] && l.Type != state.VXLAN && !l.Stacked() {
				continue
			}
			if names[l.Place] == nil {
				places = append(places, l.Place)
			}
			names[l.Place] = append(names[l.Place], l.Name)
		}
	}
	for _, p := range places {
		open, err := r.at(p)
		if isAny(err, unix.ENOENT) || errors.Is(err, errNotNetns) {
			continue
		}
		if err == nil {
			err = open.deleteLinks(names[p], state.DoomedGroup(r.stack))
		}
		if err != nil {
			return fmt.Errorf("deleting links %s in %s: %w", strings.Join(names[p], ", "), p, err)
		}
	}
	return nil
}

// listen subscribes to what happens to the host's links.
func (k *Kernel) listen() error {
	if k.doomed.monitor != nil {
		return nil
	}
	err := k.reader(func(*conn) (err error) {
		k.doomed.monitor, err = openConn(k.buffers)
		return err
	})
	if err == nil {
		err = k.doomed.monitor.subscribe()
	}
	if err != nil {
		k.doomed.close()
		return fmt.Errorf("listening for deleted links: %w", err)
	}
	k.doomed.waiting = map[int32]string{}
	return nil
}

func (c *conn) subscribe() error {
	// In a user namespace it gets what everybody gets; who lost messages looks again.
	if unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, monitorBuffer) != nil {
		_ = unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, monitorBuffer)
	}
	pulse := unix.NsecToTimeval(int64(monitorPulse))
	if err := unix.SetsockoptTimeval(c.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &pulse); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	return os.NewSyscallError("bind", unix.Bind(c.fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: unix.RTMGRP_LINK}))
}

// Settle waits until the links that deletions of this run doomed are gone: the kernel
// deletes what is in a namespace in the background.
func (k *Kernel) Settle(ctx context.Context) error {
	defer k.doomed.close()
	if len(k.doomed.waiting) == 0 {
		return nil
	}
	if err := k.strike(ctx); err != nil {
		return err
	}
	start, progress := time.Now(), time.Now()
	for len(k.doomed.waiting) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		died, err := k.hear()
		switch {
		case errors.Is(err, unix.ENOBUFS):
			err = k.strike(ctx) // notifications were lost: look
		case died:
			progress = time.Now()
		case time.Since(start) > settleLimit:
			return fmt.Errorf("waiting for the kernel to delete links %s: still there after %s", k.doomed.names(), settleLimit)
		case time.Since(progress) > settlePatience:
			progress = time.Now()
			err = k.finishOff(ctx)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *doomed) names() string {
	names := slices.Sorted(maps.Values(d.waiting))
	return strings.Join(names[:min(5, len(names))], ", ")
}

// strike takes the links off the list that are gone already.
func (k *Kernel) strike(ctx context.Context) error {
	links, err := k.places[state.Host].conn.links(ctx)
	if err != nil {
		return err
	}
	there := make(map[int32]bool, len(links))
	for i := range links {
		there[links[i].index] = true
	}
	maps.DeleteFunc(k.doomed.waiting, func(index int32, _ string) bool { return !there[index] })
	return nil
}

// hear takes the next notification, and reports whether a link died that was waited for.
func (k *Kernel) hear() (died bool, err error) {
	in := k.buffers.Get().(*[recvSize]byte)
	defer k.buffers.Put(in)
	b, err := k.doomed.monitor.read(in)
	if errors.Is(err, unix.EAGAIN) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	err = split(b, func(h header, body []byte) error {
		// A port that leaves its bridge is announced as deleted too, in family AF_BRIDGE.
		if h.typ != unix.RTM_DELLINK || len(body) < unix.SizeofIfInfomsg || body[0] != unix.AF_UNSPEC {
			return nil
		}
		index := int32(native.Uint32(body[4:]))
		if _, ok := k.doomed.waiting[index]; ok {
			delete(k.doomed.waiting, index)
			died = true
		}
		return nil
	})
	return died, err
}

// finishOff deletes the links that are still there: somebody holds their namespace, which
// lives on without a name, but the links were ours to delete.
func (k *Kernel) finishOff(ctx context.Context) error {
	host := k.places[state.Host]
	b := &batch{}
	for index := range k.doomed.waiting {
		b.request(unix.RTM_SETLINK, 0, ifinfo(index, 0, 0))
		b.u32(unix.IFLA_GROUP, state.DoomedGroup(k.stack))
		b.end()
	}
	if _, err := host.conn.send(ctx, b); err != nil {
		return err
	}
	if err := host.deleteGroup(state.DoomedGroup(k.stack)); err != nil {
		return fmt.Errorf("deleting links %s: %w", k.doomed.names(), err)
	}
	return k.strike(ctx)
}

// settleFor waits for doomed links whose names the ops need.
func (r *run) settleFor(ops []int) error {
	if len(r.doomed.waiting) == 0 {
		return nil
	}
	names := map[string]bool{}
	for _, name := range r.doomed.waiting {
		names[name] = true
	}
	for _, i := range ops {
		for _, o := range append([]state.Object{r.wave[i].After}, r.wave[i].Along...) {
			if k := o.Key(); k.Kind == state.KindLink && k.Place == state.Host && names[k.Name] {
				return r.Settle(r.ctx)
			}
		}
	}
	return nil
}

package kernel

import (
	"context"
	"errors"
	"fmt"

	"github.com/cnmctl/cnmctl/state"
	"golang.org/x/sys/unix"
)

// crowd is how many new ports make a wave's ports wait. What a port sends when it comes up
// (reports of the multicast groups that its IPv6 addresses join, a search for routers) goes
// to all other ports: of a thousand, that keeps both processors of a small machine busy for
// ten seconds, in which all else takes twice as long.
const crowd = 64

// crowded are ports in the host that are made, and come up when all else is done and has
// been read back.
type crowded struct {
	run   *run
	ports *nursery
}

// postpone takes the host's ports out of the nursery if there is a crowd of them.
func (r *run) postpone(n *nursery) {
	var ports, others []*making
	for _, m := range n.in[state.Host] {
		if m.born && m.pending() && m.link.Type == state.Veth {
			ports = append(ports, m)
		} else {
			others = append(others, m)
		}
	}
	if len(ports) < crowd {
		return
	}
	n.in[state.Host] = others
	late := &nursery{in: map[state.Place][]*making{}, failed: map[int]error{}}
	n.idle = map[state.End]bool{}
	for _, m := range ports {
		late.add(m)
		n.idle[m.link.Peer] = true
	}
	r.late = append(r.late, crowded{r, late})
}

// Raise brings up the ports that wait until all else has been done, and returns when all that
// is behind ports has its carrier, and the ports themselves. A Snapshot brings them up too,
// when it has read the namespaces, but does not wait for carriers.
func (k *Kernel) Raise(ctx context.Context) error {
	err := k.raiseLate(ctx)
	return errors.Join(err, k.awaitCarriers(), k.settleMute())
}

// listen notes the ports of the host that pass nothing on because the kernel saw them before
// their carrier came, and has not got to them again: it gets to a hundred in a second.
func (k *Kernel) listen(links []link) {
	k.mute = k.mute[:0]
	for i := range links {
		if l := &links[i]; l.mute && ownGroup(l.group, k.stack) {
			k.mute = append(k.mute, l.name)
		}
	}
}

// settleMute has the kernel act on the carriers of the ports that listen has noted.
func (k *Kernel) settleMute() error {
	names := k.mute
	k.mute = nil
	for _, name := range names {
		if err := k.places[state.Host].conn.askFor(noCancel, name); err != nil && !isAny(err, unix.ENODEV) {
			return fmt.Errorf("waiting for the carrier of %s in the host: %w", name, err)
		}
	}
	return nil
}

// raiseLate brings up the ports that wait, and has the kernel act on the carriers of what is
// behind them.
func (k *Kernel) raiseLate(ctx context.Context) error {
	late := k.late
	k.late = nil
	var behind []state.End
	for _, c := range late {
		c.run.ctx = ctx
		if err := c.raise(); err != nil {
			return errors.Join(fmt.Errorf("bringing up the new ports: %w", err), k.settlePeers(behind))
		}
		for _, m := range c.ports.well(state.Host) {
			behind = append(behind, m.link.Peer)
		}
	}
	return k.settlePeers(behind)
}

func (c crowded) raise() error {
	if err := c.run.raise(c.ports, state.Host); err != nil {
		return err
	}
	var failures []error
	for _, err := range c.ports.failed {
		if !isAny(err, absent...) { // one that a rollback has deleted
			failures = append(failures, err)
		}
	}
	if err := errors.Join(failures...); err != nil {
		return err
	}
	return c.run.settleCarriers(c.ports)
}

// settlePeers has the kernel act on the carriers of the ends behind ports. Those in namespaces
// whose sockets are open get them while other work goes on; not those in the host, whose socket
// others use, nor any that a socket has to be opened for, and maybe another one closed.
func (k *Kernel) settlePeers(behind []state.End) error {
	later := make([]peer, 0, len(behind))
	for _, e := range behind {
		if open := k.places[e.Place]; open != nil && e.Place != state.Host {
			later = append(later, peer{e, open.conn})
		}
	}
	if len(later) == len(behind) {
		k.settleLater(later)
		return nil
	}
	for _, e := range behind {
		open, err := k.at(e.Place)
		if err == nil {
			err = peer{e, open.conn}.settle()
		}
		if err != nil && !isAny(err, unix.ENOENT) {
			return err
		}
	}
	return nil
}

// peer is the end behind a port, and the socket of the namespace that it is in.
type peer struct {
	end  state.End
	conn *conn
}

// settle has the kernel act on the carrier of the end behind a port.
func (p peer) settle() error {
	if err := p.conn.askFor(noCancel, p.end.Name); err != nil && !isAny(err, unix.ENODEV) {
		return fmt.Errorf("waiting for the carrier of %s in %s: %w", p.end.Name, p.end.Place, err)
	}
	return nil
}

// carriers are those that peers get in the background.
type carriers struct {
	done chan struct{}
	err  error
}

func (k *Kernel) settleLater(peers []peer) {
	if len(peers) == 0 {
		return
	}
	c := &carriers{done: make(chan struct{})}
	k.carriers = c
	go func() {
		defer close(c.done)
		for _, p := range peers {
			if c.err = p.settle(); c.err != nil {
				return
			}
		}
	}()
}

// awaitCarriers waits for what settleLater has begun.
func (k *Kernel) awaitCarriers() error {
	if k.carriers == nil {
		return nil
	}
	err := k.carriers.wait()
	k.carriers = nil
	return err
}

// wait is for whoever closes a socket: it may be in use.
func (c *carriers) wait() error {
	if c == nil {
		return nil
	}
	<-c.done
	return c.err
}

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

// Raise brings up the ports that wait until all else has been done. A Snapshot does so too,
// when it has read the namespaces.
func (k *Kernel) Raise(ctx context.Context) error {
	late, err := k.raiseLate(ctx)
	return errors.Join(err, late.settlePeers())
}

// crowds are all ports that have waited.
type crowds []crowded

// raiseLate brings up the ports that wait. What is behind them still has to be settled.
func (k *Kernel) raiseLate(ctx context.Context) (late crowds, err error) {
	late, k.late = k.late, nil
	for i, c := range late {
		c.run.ctx = ctx
		if err := errors.Join(c.raise(), late[i:i+1].settle(inHost)); err != nil {
			return late[:i], fmt.Errorf("bringing up the new ports: %w", err)
		}
	}
	return late, nil
}

func inHost(p state.Place) bool { return p == state.Host }
func apart(p state.Place) bool  { return p != state.Host }

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

// settlePeers settles the ends in namespaces. It uses their sockets, and not the host's.
func (late crowds) settlePeers() error { return late.settle(apart) }

// settle has the kernel act on the carriers of the ends behind the ports, in some places.
func (late crowds) settle(in func(state.Place) bool) error {
	for _, c := range late {
		for _, m := range c.ports.well(state.Host) {
			if !in(m.link.Peer.Place) {
				continue
			}
			if err := c.run.settlePeer(m.link.Peer); err != nil {
				return err
			}
		}
	}
	return nil
}

// settlePeer has the kernel act on the carrier of the end behind a port.
func (r *run) settlePeer(e state.End) error {
	open, err := r.at(e.Place)
	if err == nil {
		err = open.conn.askFor(noCancel, e.Name)
	}
	if err != nil && !isAny(err, unix.ENODEV, unix.ENOENT) {
		return fmt.Errorf("waiting for the carrier of %s in %s: %w", e.Name, e.Place, err)
	}
	return nil
}

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
// is behind ports has its carrier. A Snapshot brings them up too, when it has read the
// namespaces, but does not wait for carriers.
func (k *Kernel) Raise(ctx context.Context) error {
	err := k.raiseLate(ctx)
	return errors.Join(err, k.awaitCarriers())
}

// raiseLate brings up the ports that wait, and has the kernel act on the carriers of what is
// behind them, in the background.
func (k *Kernel) raiseLate(ctx context.Context) error {
	late := k.late
	k.late = nil
	var behind []peer
	defer func() { k.settlePeers(behind) }()
	for _, c := range late {
		c.run.ctx = ctx
		if err := c.raise(); err != nil {
			return fmt.Errorf("bringing up the new ports: %w", err)
		}
		peers, err := c.peers()
		if behind = append(behind, peers...); err != nil {
			return fmt.Errorf("bringing up the new ports: %w", err)
		}
	}
	return nil
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

// peer is the end behind a port, and the socket of the namespace that it is in.
type peer struct {
	end  state.End
	conn *conn
}

// peers lists the ends behind the ports. Those in the host, whose socket others use, get their
// carrier at once.
func (c *crowded) peers() (behind []peer, err error) {
	for _, m := range c.ports.well(state.Host) {
		open, err := c.run.at(m.link.Peer.Place)
		if isAny(err, unix.ENOENT) {
			continue
		}
		if err != nil {
			return behind, err
		}
		p := peer{m.link.Peer, open.conn}
		if p.end.Place != state.Host {
			behind = append(behind, p)
		} else if err := p.settle(); err != nil {
			return behind, err
		}
	}
	return behind, nil
}

// settlePeers has the kernel act on the carriers of the ends behind ports, while other work
// goes on.
func (k *Kernel) settlePeers(behind []peer) {
	if len(behind) == 0 {
		return
	}
	done := make(chan error, 1)
	k.carriers = done
	go func() {
		for _, p := range behind {
			if err := p.settle(); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
}

// awaitCarriers waits for what settlePeers has begun.
func (k *Kernel) awaitCarriers() error {
	if k.carriers == nil {
		return nil
	}
	err := <-k.carriers
	k.carriers = nil
	return err
}

// settle has the kernel act on the carrier of the end behind a port.
func (p peer) settle() error {
	if err := p.conn.askFor(noCancel, p.end.Name); err != nil && !isAny(err, unix.ENODEV) {
		return fmt.Errorf("waiting for the carrier of %s in %s: %w", p.end.Name, p.end.Place, err)
	}
	return nil
}

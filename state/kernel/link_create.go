package kernel

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cnmctl/cnmctl/state"
	"golang.org/x/sys/unix"
)

// making is one end that a wave makes, on its way from a name to a link that is up.
type making struct {
	op   int // whose creation it is part of
	link state.Link
	born bool // by the first message, with its master
}

// pending reports that the end waits, down, in the pending group: ports come up together.
func (m *making) pending() bool { return m.link.Up && m.link.Master != "" }

func (m *making) group() uint32 {
	if m.pending() {
		return state.PendingGroup(m.link.Mark.Stack)
	}
	return state.LinkGroup(m.link.Mark.Stack)
}

// nursery is the links of one wave by place, and what went wrong by op.
type nursery struct {
	places []state.Place
	in     map[state.Place][]*making
	failed map[int]error
	// idle are ends whose carrier comes with a port that is postponed.
	idle map[state.End]bool
}

func (n *nursery) add(m *making) {
	p := m.link.Place
	if n.in[p] == nil {
		n.places = append(n.places, p)
	}
	n.in[p] = append(n.in[p], m)
}

// fail notes an op's first error; a success changes nothing.
func (n *nursery) fail(op int, err error) {
	if err != nil && n.failed[op] == nil {
		n.failed[op] = err
	}
}

// well lists the ends in a place that nothing went wrong with.
func (n *nursery) well(p state.Place) []*making {
	return slices.DeleteFunc(slices.Clone(n.in[p]), func(m *making) bool { return n.failed[m.op] != nil })
}

// createLinks makes the wave's links in four passes over all of them: made (down), IPv6
// off where it is not wanted, set up as ports, and at last up and marked. Who has begun is
// brought to its end even when others fail, so that little is left half made.
func (r *run) createLinks(ops []int) error {
	n := &nursery{in: map[state.Place][]*making{}, failed: map[int]error{}}
	tried, err := r.bear(ops, n)
	if err == nil {
		r.quietIPv6(n)
		r.setChecksums(n)
		r.postpone(n)
		for _, p := range r.portsLast(n) {
			if err = r.raise(n, p); err != nil {
				break
			}
		}
		err = errors.Join(err, r.settleCarriers(n))
	}
	for _, i := range tried {
		if e := n.failed[i]; e != nil || err == nil {
			r.report(i, e)
		}
	}
	return err
}

// portsLast puts places with ports of bridges behind the others, and the host last: ports
// come up when what is behind them is. Of a pair, who is up first has no carrier yet, and sends
// nothing until the kernel gets to it (see settleCarriers): a port that would be loses what
// is the first to be sent to a new sandbox.
func (r *run) portsLast(n *nursery) []state.Place {
	rank := func(p state.Place) int {
		isPort := func(m *making) bool { return m.link.Master != "" }
		return 2*int(bit(p == state.Host)) + int(bit(slices.ContainsFunc(n.in[p], isPort)))
	}
	slices.SortStableFunc(n.places, func(a, b state.Place) int { return rank(a) - rank(b) })
	return n.places
}

// bear makes the links, the outer ends' place by place, and lists the ops that were tried.
func (r *run) bear(ops []int, n *nursery) (tried []int, err error) {
	fromAfar := map[int]func(int, *nursery) error{}
	for _, i := range ops {
		l, _ := r.wave[i].After.(state.Link)
		switch {
		case l.Type == state.VXLAN:
			fromAfar[i] = r.bearTunnel
		case l.Stacked():
			fromAfar[i] = r.bearStacked
		case l.Type == state.Given:
			fromAfar[i] = r.bearGiven
		default:
			continue
		}
		if err := r.ctx.Err(); err != nil {
			return tried, err
		}
		tried = append(tried, i)
		if err := fromAfar[i](i, n); err != nil || r.failing(n) {
			return tried, err
		}
	}
	places, in := r.byPlace(slices.DeleteFunc(slices.Clone(ops), func(i int) bool { return fromAfar[i] != nil }))
	for _, p := range places {
		open, err := r.at(p)
		if err != nil {
			return tried, err
		}
		for part := range slices.Chunk(in[p], batchSize) {
			if err := r.ctx.Err(); err != nil {
				return tried, err
			}
			tried = append(tried, part...)
			if err := r.bearBatch(open, part, n); err != nil {
				return tried, err
			}
			if r.failing(n) {
				return tried, nil
			}
		}
	}
	return tried, nil
}

// failing reports that something has gone wrong for good. A name that is taken may still
// turn out to be the wanted link.
func (r *run) failing(n *nursery) bool {
	for i, err := range n.failed {
		if verdict(r.wave[i], err) == failed {
			return true
		}
	}
	return false
}

// bearBatch makes links of one place with one sendmsg.
func (r *run) bearBatch(open *place, ops []int, n *nursery) error {
	b := &batch{}
	var sent []int
	var files []int
	defer func() {
		for _, fd := range files {
			unix.Close(fd)
		}
	}()
	for _, i := range ops {
		fd, err := r.birthRequest(b, open, i)
		if fd >= 0 {
			files = append(files, fd)
		}
		if err != nil {
			n.fail(i, err)
			continue
		}
		sent = append(sent, i)
	}
	results, err := open.conn.send(noCancel, b)
	for at, e := range results {
		n.fail(sent[at], e)
		if e == nil {
			r.adopt(sent[at], n)
		}
	}
	return err
}

// birthRequest adds the message that makes the link of op i. fd is the peer's namespace,
// to be closed when the message was sent.
func (r *run) birthRequest(b *batch, open *place, i int) (fd int, err error) {
	l := r.wave[i].After.(state.Link)
	first := making{link: l}
	delete(open.index, l.Name)
	switch l.Type {
	case state.Bridge:
		newBridge(b, l, first.group())
		return -1, nil
	case state.Dummy, state.IFB:
		newPlain(b, l, first.group())
		return -1, nil
	case state.VRF:
		newVRF(b, l, first.group())
		return -1, nil
	case state.Veth:
	default:
		return -1, fmt.Errorf("links of type %q are not known", l.Type)
	}
	peer, err := r.otherHalf(i)
	if err != nil {
		return -1, err
	}
	var master int32
	if l.Master != "" {
		if master, err = open.lookup(r.ctx, l.Master); err != nil {
			return -1, err
		}
	}
	fd = -1
	if peer.Place != l.Place {
		if fd, err = r.netnsFD(peer.Place); err != nil {
			return -1, err
		}
	}
	second := making{link: peer}
	newVeth(b, l, peer, master, [2]uint32{first.group(), second.group()}, fd)
	return fd, nil
}

// otherHalf is the second end of the veth pair that op i makes.
func (r *run) otherHalf(i int) (state.Link, error) {
	first := r.wave[i].After.(state.Link)
	if first.Peer.Name == "" {
		return state.Link{}, errors.New("a veth link needs a peer")
	}
	key := state.LinkKey(first.Peer.Place, first.Peer.Name)
	for _, o := range r.wave[i].Along {
		if l, ok := o.(state.Link); ok && l.Key() == key {
			return l, nil
		}
	}
	return state.Link{}, fmt.Errorf("its other end, %s, is not part of the operation", key)
}

// adopt puts the ends that op i has made into the nursery.
func (r *run) adopt(i int, n *nursery) {
	l := r.wave[i].After.(state.Link)
	n.add(&making{op: i, link: l, born: true})
	if l.Type == state.Veth {
		peer, _ := r.otherHalf(i)
		if open := r.places[peer.Place]; open != nil {
			delete(open.index, peer.Name)
		}
		n.add(&making{op: i, link: peer})
	}
}

// quietIPv6 switches IPv6 off on the ends that want none, before they come up. In a
// namespace of somebody else it may be off for new interfaces, as Docker has it.
func (r *run) quietIPv6(n *nursery) {
	err := excursion(func() error {
		for _, p := range n.places {
			r.quietPlace(p, n)
		}
		return nil
	})
	if err != nil {
		for _, p := range n.places {
			for _, m := range n.in[p] {
				n.fail(m.op, err)
			}
		}
	}
}

func (r *run) quietPlace(p state.Place, n *nursery) {
	var quiet []*making
	for _, m := range n.well(p) {
		if m.link.NoIPv6 || p != state.Host && r.lent(p) {
			quiet = append(quiet, m)
		}
	}
	if len(quiet) == 0 {
		return
	}
	write, done, err := r.ipv6Switch(p)
	for _, m := range quiet {
		if err == nil {
			n.fail(m.op, write(m.link.Name, m.link.NoIPv6))
		} else {
			n.fail(m.op, err)
		}
	}
	if err == nil {
		done()
	}
}

// raise sets up the new ends of a place: ports first get their flags, then the ports come
// up at once, then each link gets its mark, and what is no port comes up with it.
func (r *run) raise(n *nursery, p state.Place) error {
	open, err := r.at(p)
	if err != nil {
		return err
	}
	b := &batch{}
	var ops []int
	add := func(op int) { ops = append(ops, op) }
	ports := false
	for _, m := range n.well(p) {
		l := m.link
		ports = ports || m.pending()
		if !m.born && l.Master != "" {
			master, err := open.lookup(r.ctx, l.Master)
			if err != nil {
				n.fail(m.op, err)
				continue
			}
			change(b, l.Name, 0, 0)
			b.u32(unix.IFLA_MASTER, uint32(master))
			b.end()
			add(m.op)
		}
		if l.VRF != "" {
			if err := open.enslave(r.ctx, b, l); err != nil {
				n.fail(m.op, err)
				continue
			}
			add(m.op)
		}
		if l.Master != "" && (l.Hairpin || l.Isolated || l.Quiet) {
			portFlags(b, l)
			add(m.op)
		}
		requests, err := newPortVLANs(r.ctx, b, open, l)
		n.fail(m.op, err)
		for range requests {
			add(m.op)
		}
	}
	if err := r.flush(open, b, ops, n); err != nil {
		return err
	}
	if ports && !r.failing(n) {
		upByGroup(b, state.PendingGroup(r.stack))
		if err := open.conn.one(noCancel, b); err != nil {
			err = fmt.Errorf("bringing up the new ports in %s: %w", p, err)
			if isAny(err, unix.EADDRINUSE) {
				err = fmt.Errorf("%w: %s", err, portTaken)
			}
			return err
		}
		b.reset()
	}
	ops = ops[:0]
	for _, m := range n.well(p) {
		complete(b, m.link, m.link.Up)
		add(m.op)
	}
	if err := r.flush(open, b, ops, n); err != nil {
		return err
	}
	r.insist(open, n, p)
	return nil
}

// flush sends the batch, whose requests belong to ops, and empties it.
func (r *run) flush(open *place, b *batch, ops []int, n *nursery) error {
	results, err := open.conn.send(noCancel, b)
	for i, e := range results {
		n.fail(ops[i], e)
	}
	b.reset()
	return err
}

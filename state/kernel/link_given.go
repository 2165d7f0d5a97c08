package kernel

import (
	"errors"
	"fmt"

	"github.com/cnmctl/cnmctl/state"
	"golang.org/x/sys/unix"
)

// Given links are made by a plugin, on the host. They are marked there, moved into their
// sandbox and named; and on the way back named as they were, moved and unmarked. The mark
// remembers the first name, and is on the link whenever it is not the plugin's.

// bearGiven moves the link of op i to where it is wanted.
func (r *run) bearGiven(i int, n *nursery) error {
	l := r.wave[i].After.(state.Link)
	if err := r.take(l); err != nil {
		n.fail(i, err)
		return nil
	}
	open, err := r.at(l.Place)
	if err != nil {
		return err
	}
	delete(open.index, l.Name)
	b := &batch{}
	change(b, l.Name, 0, 0)
	if l.MTU != 0 {
		b.u32(unix.IFLA_MTU, uint32(l.MTU))
	}
	if !l.MAC.IsZero() {
		b.attr(unix.IFLA_ADDRESS, l.MAC[:])
	}
	b.end()
	n.fail(i, open.conn.one(noCancel, b))
	n.add(&making{op: i, link: l})
	return nil
}

// take marks the link on the host and moves it.
func (r *run) take(l state.Link) error {
	host, err := r.at(state.Host)
	if err != nil {
		return err
	}
	delete(host.index, l.From)
	there, err := host.look(l.From)
	if isAny(err, absent...) {
		if r.there(l) {
			return unix.EEXIST // a run that was cut short has moved it
		}
		return fmt.Errorf("the plugin named the interface %q of the host, which is not there: %w", l.From, err)
	}
	if err != nil {
		return err
	}
	if err := r.mayTake(l, there, host); err != nil {
		return err
	}
	b := &batch{}
	b.request(unix.RTM_SETLINK, 0, ifinfo(there.index, 0, unix.IFF_UP)) // who is up cannot be renamed
	marks(&b.message, l)
	b.end()
	if err := host.conn.one(noCancel, b); err != nil {
		return fmt.Errorf("marking %s of the host: %w", l.From, err)
	}
	delete(host.index, l.From)
	return r.move(host, there.index, l.Place, l.Name)
}

// there reports that the link is where it is wanted.
func (r *run) there(l state.Link) bool {
	open, err := r.at(l.Place)
	if err != nil {
		return false
	}
	_, err = open.look(l.Name)
	return err == nil
}

// mayTake refuses what is not the plugin's to give: an interface that others have marked,
// and one that the host itself has an address on.
func (r *run) mayTake(l state.Link, there link, host *place) error {
	owner, _, given := state.ParseGiven(there.alias)
	if marked, ours := there.ownedBy(r.stack); ours && !given || ours && marked != l.Mark || !ours && owner.Stack != "" {
		return fmt.Errorf("the plugin named the interface %q of the host, which is %s", l.From, there.foreign())
	}
	if given {
		return nil
	}
	all, err := host.conn.addresses(r.ctx)
	if err != nil {
		return err
	}
	for _, a := range all {
		if a.index == there.index && a.prefix.Addr().IsGlobalUnicast() {
			return fmt.Errorf("the plugin named the interface %q of the host, on which the host has the address %s: it is the host's own", l.From, a.prefix)
		}
	}
	return nil
}

// move puts a link that is down into another place, under another name.
func (r *run) move(from *place, index int32, to state.Place, name string) error {
	b := &batch{}
	b.request(unix.RTM_SETLINK, 0, ifinfo(index, 0, 0))
	b.text(unix.IFLA_IFNAME, name)
	if r.places[to] != from {
		fd, err := r.netnsFD(to)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		b.u32(unix.IFLA_NET_NS_FD, uint32(fd))
	}
	b.end()
	if err := from.conn.one(noCancel, b); err != nil {
		return fmt.Errorf("moving it to %s as %s: %w", to, name, err)
	}
	return nil
}

// look reads the link called name.
func (p *place) look(name string) (found link, err error) {
	m := &message{}
	m.begin(unix.RTM_GETLINK, 0, linkRequest())
	m.text(unix.IFLA_IFNAME, name)
	m.end()
	err = p.conn.get(m, func(body []byte) {
		if len(body) >= unix.SizeofIfInfomsg {
			found = parseLink(body)
		}
	})
	return found, err
}

// giveBack puts the given links of a place back to where they came from, and lists the
// other ops.
func (r *run) giveBack(open *place, ops []int) (rest []int) {
	for _, i := range ops {
		l, ok := r.wave[i].Before.(state.Link)
		if !ok || l.Type != state.Given {
			rest = append(rest, i)
			continue
		}
		if r.first == nil {
			r.report(i, r.returnLink(open, l))
		}
	}
	return rest
}

func (r *run) returnLink(open *place, l state.Link) error {
	there, err := open.look(l.Name)
	if err != nil {
		return err
	}
	delete(open.index, l.Name)
	host, err := r.at(state.Host)
	if err != nil {
		return err
	}
	if l.Place != state.Host || l.Name != l.From {
		b := &batch{}
		b.request(unix.RTM_SETLINK, 0, ifinfo(there.index, 0, unix.IFF_UP))
		b.end()
		if err := open.conn.one(noCancel, b); err != nil {
			return err
		}
		if err := r.move(open, there.index, state.Host, l.From); err != nil {
			if isAny(err, unix.EEXIST) {
				err = errors.Join(err, fmt.Errorf("the host has another interface %s by now: remove or rename it", l.From))
			}
			return err
		}
	}
	delete(host.index, l.From)
	b := &batch{}
	change(b, l.From, 0, 0)
	marks(&b.message, state.Link{})
	b.end()
	return host.conn.one(noCancel, b)
}

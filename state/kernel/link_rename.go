package kernel

import (
	"fmt"

	"github.com/cnmctl/cnmctl/state"
	"golang.org/x/sys/unix"
)

// renameLink gives a link another name. Since Linux 6.2 one that is up can have it, and
// nothing else changes; before, the kernel answers EBUSY, and the link has to go down.
func (r *run) renameLink(before, after state.Link) error {
	open, err := r.at(after.Place)
	if err != nil {
		return err
	}
	index, err := open.lookup(r.ctx, before.Name)
	if isAny(err, absent...) {
		if _, done := open.lookup(r.ctx, after.Name); done == nil {
			return nil
		}
	}
	if err != nil {
		return err
	}
	err = open.conn.setName(index, after.Name)
	if isAny(err, unix.EBUSY) {
		err = open.conn.renameDown(index, after.Name)
	}
	if err != nil {
		return err
	}
	delete(open.index, before.Name)
	open.index[after.Name] = index
	return nil
}

func (c *conn) setName(index int32, name string) error {
	b := &batch{}
	b.request(unix.RTM_SETLINK, 0, ifinfo(index, 0, 0))
	b.text(unix.IFLA_IFNAME, name)
	b.end()
	return c.one(noCancel, b)
}

func (c *conn) setUp(index int32, up bool) error {
	var flags uint32
	if up {
		flags = unix.IFF_UP
	}
	b := &batch{}
	b.request(unix.RTM_SETLINK, 0, ifinfo(index, flags, unix.IFF_UP))
	b.end()
	return c.one(noCancel, b)
}

// renameDown takes a link down, gives it the name, brings it up again, and puts back what
// a link loses when it goes down: IPv6 addresses, routes and permanent neighbors. It is
// brought up under whatever name it has: a failure leaves the link as it was.
func (c *conn) renameDown(index int32, name string) error {
	lost, err := c.losable(index)
	if err != nil {
		return fmt.Errorf("noting what a link loses when it goes down: %w", err)
	}
	if err := c.setUp(index, false); err != nil {
		return err
	}
	failure := c.setName(index, name)
	if err := c.setUp(index, true); err != nil {
		return err
	}
	if err := c.one(noCancel, lost); err != nil && failure == nil {
		return fmt.Errorf("putting back what the link lost when it went down: %w", err)
	}
	return failure
}

// losable are the requests that make again what a link loses when it goes down: the
// kernel's own words about them, said back to it. Addresses come before routes, and routes
// to what is on the link before those with a next hop.
func (c *conn) losable(index int32) (*batch, error) {
	var addresses, direct, far, neighbors [][]byte
	reset := func(lists ...*[][]byte) func() {
		return func() {
			for _, l := range lists {
				*l = nil
			}
		}
	}
	keep := func(list *[][]byte, body []byte) { *list = append(*list, append([]byte(nil), body...)) }
	scope := make([]byte, unix.SizeofIfAddrmsg)
	scope[0] = unix.AF_INET6
	err := c.dump(noCancel, unix.RTM_GETADDR, scope, reset(&addresses), func(body []byte) {
		if len(body) >= unix.SizeofIfAddrmsg && int32(native.Uint32(body[4:])) == index {
			keep(&addresses, body)
		}
	})
	if err != nil {
		return nil, err
	}
	for _, family := range []byte{unix.AF_INET, unix.AF_INET6} {
		var near, via [][]byte
		fixed := make([]byte, unix.SizeofRtMsg)
		fixed[0] = family
		err := c.dump(noCancel, unix.RTM_GETROUTE, fixed, reset(&near, &via), func(body []byte) {
			switch dev, gateway, ours := routeLink(body); {
			case !ours || dev != index:
			case gateway:
				keep(&via, body)
			default:
				keep(&near, body)
			}
		})
		if err != nil {
			return nil, err
		}
		direct, far = append(direct, near...), append(far, via...)
	}
	err = c.dump(noCancel, unix.RTM_GETNEIGH, make([]byte, unix.SizeofNdMsg), reset(&neighbors), func(body []byte) {
		if len(body) >= unix.SizeofNdMsg && int32(native.Uint32(body[4:])) == index && native.Uint16(body[8:])&unix.NUD_PERMANENT != 0 {
			keep(&neighbors, body)
		}
	})
	if err != nil {
		return nil, err
	}
	b := &batch{}
	again := func(typ uint16, list [][]byte) {
		for _, body := range list {
			b.request(typ, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, body)
			b.end()
		}
	}
	again(unix.RTM_NEWADDR, addresses)
	again(unix.RTM_NEWROUTE, direct)
	again(unix.RTM_NEWROUTE, far)
	again(unix.RTM_NEWNEIGH, neighbors)
	return b, nil
}

// routeLink reads from a route by which link it leads, whether it has a next hop, and
// whether it is one that somebody made: the kernel makes its own again by itself.
func routeLink(body []byte) (dev int32, gateway, made bool) {
	if len(body) < unix.SizeofRtMsg {
		return 0, false, false
	}
	const protocol, flags = 5, 8 // in struct rtmsg
	made = body[protocol] != unix.RTPROT_KERNEL && native.Uint32(body[flags:])&unix.RTM_F_CLONED == 0
	attrs(body[unix.SizeofRtMsg:], func(typ uint16, data []byte) {
		switch {
		case typ == unix.RTA_OIF && len(data) >= 4:
			dev = int32(native.Uint32(data))
		case typ == unix.RTA_GATEWAY || typ == unix.RTA_VIA:
			gateway = true
		}
	})
	return dev, gateway, made
}

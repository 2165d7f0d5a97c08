package kernel

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/cnmctl/cnmctl/state"
	"golang.org/x/sys/unix"
)

// ifaProto is IFA_PROTO, since Linux 5.18: who made an address. The values up to 3 are
// the kernel's own (IFAPROT_KERNEL_LO, _RA, _LL of linux/if_addr.h).
const (
	ifaProto       = 11
	ifaProtoKernel = 3
)

// ownLoopback4 and ownLoopback6 are what every lo has.
var (
	ownLoopback4 = netip.MustParsePrefix("127.0.0.1/8")
	ownLoopback6 = netip.MustParsePrefix("::1/128")
)

// ipAddress is what a dump says of one address.
type ipAddress struct {
	index  int32
	prefix netip.Prefix
	proto  uint8
	scope  uint8
}

// addresses reads the IP addresses of the socket's namespace.
func (c *conn) addresses(ctx context.Context) (found []ipAddress, err error) {
	fixed := make([]byte, unix.SizeofIfAddrmsg)
	err = c.dump(ctx, unix.RTM_GETADDR, fixed, func() { found = found[:0] }, func(body []byte) {
		if len(body) >= unix.SizeofIfAddrmsg {
			found = append(found, parseAddress(body))
		}
	})
	if err != nil {
		return nil, fmt.Errorf("reading addresses: %w", err)
	}
	return found, nil
}

func parseAddress(b []byte) ipAddress {
	a := ipAddress{index: int32(native.Uint32(b[4:])), scope: b[3]}
	var ip netip.Addr
	attrs(b[unix.SizeofIfAddrmsg:], func(typ uint16, data []byte) {
		switch {
		case typ == unix.IFA_LOCAL, typ == unix.IFA_ADDRESS && !ip.IsValid():
			ip = address(data) // with a point-to-point peer, IFA_ADDRESS is the peer's
		case typ == ifaProto:
			a.proto = uint8(number(data))
		}
	})
	a.prefix = netip.PrefixFrom(ip, int(b[1]))
	return a
}

// object is the address as an object, nil for one that is the kernel's own or on a link
// that is not ours and without our mark.
func (a ipAddress) object(p state.Place, on *held, stack string) state.Object {
	o := state.IPAddress{Place: p, Link: on.name(a.index), Prefix: a.prefix, Mark: on.owner(a.index), Sole: on.sole(a.index)}
	o.LinkScope = a.prefix.Addr().Is4() && a.scope == unix.RT_SCOPE_LINK
	switch {
	case o.Link == "lo" && (a.prefix == ownLoopback4 || a.prefix == ownLoopback6):
		return nil // the kernel gives them to lo when it comes up, IPv4 without a protocol
	case on.ours(a.index) && (a.proto == 0 || a.proto > ifaProtoKernel):
		return o
	case a.proto == state.Protocol(stack):
		o.Loan, o.Mark = true, state.Owner{Stack: stack}
		return o
	}
	return nil
}

// connection is a destination on a link.
type connection struct {
	index int32
	to    netip.Prefix
}

// connections are those that routes lead straight to.
func connections(routes []route) map[connection]bool {
	all := make(map[connection]bool, len(routes))
	for i := range routes {
		if r := &routes[i]; r.Type == state.Unicast && !r.Via.IsValid() {
			all[connection{r.index, r.Dst}] = true
		}
	}
	return all
}

// connects reports that the kernel makes a connected route with the address while its link
// is up (fib_add_ifaddr, inet6_addr_add).
func (a ipAddress) connects(on *held) bool {
	l := on.link(a.index)
	return l != nil && l.ours && l.up && l.index != loopbackIndex && !a.prefix.IsSingleIP()
}

// writeAddress adds the request that makes or deletes the address.
func (k *Kernel) writeAddress(ctx context.Context, b *batch, open *place, op state.Op) error {
	a := op.Object().(state.IPAddress)
	index, err := open.lookup(ctx, a.Link)
	if err != nil {
		return err
	}
	fixed := make([]byte, unix.SizeofIfAddrmsg)
	fixed[0], fixed[1] = family(a.Prefix.Addr()), uint8(a.Prefix.Bits())
	if a.LinkScope {
		fixed[3] = unix.RT_SCOPE_LINK
	}
	native.PutUint32(fixed[4:], uint32(index))
	switch op.Action {
	case state.Delete:
		b.request(unix.RTM_DELADDR, 0, fixed)
	case state.Create:
		b.request(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_EXCL, fixed)
	default:
		b.request(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, fixed)
	}
	b.addr(unix.IFA_LOCAL, a.Prefix.Addr())
	b.addr(unix.IFA_ADDRESS, a.Prefix.Addr())
	if op.Action != state.Delete {
		b.u32(unix.IFA_FLAGS, unix.IFA_F_NODAD|unix.IFA_F_PERMANENT)
		if a.Loan {
			b.u8(ifaProto, k.protocol(a.Mark))
		}
	}
	b.end()
	return nil
}

// released reports that the op takes our mark off an address that stays.
func released(op state.Op) bool {
	a, ok := op.After.(state.IPAddress)
	return ok && op.Action == state.Update && a.Mark == (state.Owner{})
}

// release takes our mark off an address. Kernels before 6.16 keep the protocol of an IPv4
// address that is replaced by itself (inet_rtm_newaddr): there it has to be made anew.
func (r *run) release(open *place, op state.Op) error {
	b := &batch{}
	if err := r.writeAddress(r.ctx, b, open, op); err != nil {
		return err
	}
	if err := open.conn.one(r.ctx, b); err != nil {
		return err
	}
	a := op.After.(state.IPAddress)
	index, err := open.lookup(r.ctx, a.Link)
	if err != nil {
		return err
	}
	all, err := open.conn.addresses(r.ctx)
	if err != nil {
		return err
	}
	marked := func(got ipAddress) bool {
		return got.index == index && got.prefix == a.Prefix && got.proto == state.Protocol(r.stack)
	}
	if !slices.ContainsFunc(all, marked) {
		return nil
	}
	b.reset()
	for _, action := range []state.Action{state.Delete, state.Create} {
		if err := r.writeAddress(r.ctx, b, open, state.Op{Action: action, Key: op.Key, Before: a, After: a}); err != nil {
			return err
		}
	}
	results, err := open.conn.send(noCancel, b)
	return errors.Join(append(results, err)...)
}

// protocol is the number that marks what sits on a foreign link, 0 for what is forgotten.
func (k *Kernel) protocol(owner state.Owner) uint8 {
	if owner == (state.Owner{}) {
		return 0
	}
	return state.Protocol(k.stack)
}

package kernel

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/cnmctl/cnmctl/state"
	"golang.org/x/sys/unix"
)

// route is what a dump says of one route.
type route struct {
	state.Route
	index int32
	proto uint8
}

var routeTypes = map[uint8]state.RouteType{
	unix.RTN_UNICAST:     state.Unicast,
	unix.RTN_BLACKHOLE:   state.Blackhole,
	unix.RTN_UNREACHABLE: state.Unreachable,
	unix.RTN_PROHIBIT:    state.Prohibit,
}

func routeNumber(t state.RouteType) uint8 {
	for n, name := range routeTypes {
		if name == t {
			return n
		}
	}
	return unix.RTN_UNICAST
}

// routes reads the routes of the socket's namespace, all tables but local.
func (c *conn) routes(ctx context.Context) (found []route, err error) {
	fixed := make([]byte, unix.SizeofRtMsg)
	err = c.dump(ctx, unix.RTM_GETROUTE, fixed, func() { found = found[:0] }, func(body []byte) {
		if r, ok := parseRoute(body); ok {
			found = append(found, r)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("reading routes: %w", err)
	}
	return found, nil
}

// parseRoute reads one route; not ok are those that the kernel manages for itself: the
// local table, multicast and broadcast, cached ones.
func parseRoute(b []byte) (r route, ok bool) {
	if len(b) < unix.SizeofRtMsg {
		return r, false
	}
	r.Type, ok = routeTypes[b[7]]
	r.Table = uint32(b[4])
	r.proto = b[5]
	flags := native.Uint32(b[8:])
	r.OnLink = flags&unix.RTNH_F_ONLINK != 0
	if !ok || flags&unix.RTM_F_CLONED != 0 {
		return r, false
	}
	dst := netip.IPv4Unspecified()
	switch b[0] {
	case unix.AF_INET6:
		dst = netip.IPv6Unspecified()
	case unix.AF_INET:
	default:
		return r, false
	}
	attrs(b[unix.SizeofRtMsg:], func(typ uint16, data []byte) {
		switch typ {
		case unix.RTA_DST:
			dst = address(data)
		case unix.RTA_TABLE:
			r.Table = number(data)
		case unix.RTA_PRIORITY:
			r.Metric = number(data)
		case unix.RTA_GATEWAY:
			r.Via = address(data)
		case unix.RTA_VIA: // an IPv4 route by an IPv6 next hop
			if len(data) > 2 {
				r.Via = address(data[2:])
			}
		case unix.RTA_OIF:
			r.index = int32(number(data))
		case unix.RTA_PREFSRC:
			r.Src = address(data)
		case unix.RTA_MULTIPATH: // not ours; its first hop stands for it
			r.firstHop(data)
		}
	})
	r.Dst = netip.PrefixFrom(dst, int(b[1]))
	if r.Type != state.Unicast {
		r.index = 0 // the kernel puts IPv6 routes that drop on lo
	}
	return r, r.Table != unix.RT_TABLE_LOCAL
}

// firstHop reads the first struct rtnexthop of a multipath route.
func (r *route) firstHop(b []byte) {
	if len(b) < unix.SizeofRtNexthop {
		return
	}
	r.index = int32(native.Uint32(b[4:]))
	attrs(b[unix.SizeofRtNexthop:min(len(b), max(unix.SizeofRtNexthop, int(native.Uint16(b))))], func(typ uint16, data []byte) {
		if typ == unix.RTA_GATEWAY {
			r.Via = address(data)
		}
	})
}

// kernelMade: connected routes come and go with addresses, others with router
// advertisements and redirects.
func (r *route) kernelMade() bool {
	return r.proto == unix.RTPROT_KERNEL || r.proto == unix.RTPROT_RA || r.proto == unix.RTPROT_REDIRECT
}

// object is the route as an object, nil for one that is the kernel's own or, outside of
// our namespaces, somebody else's.
func (r *route) object(p state.Place, on *held, stack string) state.Object {
	if r.kernelMade() {
		return nil
	}
	o := r.Route
	o.Place, o.Dev, o.Mark = p, on.name(r.index), on.owner(r.index)
	switch {
	case on.ours(r.index) || !on.lent:
		return o
	case r.proto == state.Protocol(stack):
		o.Loan, o.Mark = o.Dev != "", state.Owner{Stack: stack}
		return o
	}
	return nil
}

// writeRoute adds the request that makes, replaces or deletes the route.
func (k *Kernel) writeRoute(ctx context.Context, b *batch, open *place, op state.Op) error {
	r := op.Object().(state.Route)
	var index int32
	if r.Dev != "" {
		var err error
		if index, err = open.lookup(ctx, r.Dev); err != nil {
			return err
		}
	}
	fixed := make([]byte, unix.SizeofRtMsg)
	fixed[0], fixed[1] = family(r.Dst.Addr()), uint8(r.Dst.Bits())
	fixed[4] = unix.RT_TABLE_COMPAT // the number is in RTA_TABLE, which has room for it
	switch op.Action {
	case state.Delete:
		fixed[6] = unix.RT_SCOPE_NOWHERE // any scope
		b.request(unix.RTM_DELROUTE, 0, fixed)
		k.routeAttrs(b, r, index)
		b.end()
		return nil
	case state.Create:
		b.request(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_EXCL, k.routeFixed(fixed, r))
	default:
		b.request(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, k.routeFixed(fixed, r))
	}
	k.routeAttrs(b, r, index)
	if r.Src.IsValid() {
		b.addr(unix.RTA_PREFSRC, r.Src)
	}
	b.end()
	return nil
}

// routeFixed completes the fixed part of a route that is made.
func (k *Kernel) routeFixed(fixed []byte, r state.Route) []byte {
	fixed[5] = unix.RTPROT_STATIC
	if (r.Loan || k.lent(r.Place)) && r.Mark != (state.Owner{}) {
		fixed[5] = state.Protocol(k.stack)
	}
	fixed[6] = unix.RT_SCOPE_UNIVERSE
	if r.Type == state.Unicast && !r.Via.IsValid() {
		fixed[6] = unix.RT_SCOPE_LINK
	}
	fixed[7] = routeNumber(r.Type)
	if r.OnLink {
		native.PutUint32(fixed[8:], unix.RTNH_F_ONLINK)
	}
	return fixed
}

// routeAttrs are the attributes that name a route and where it leads.
func (k *Kernel) routeAttrs(b *batch, r state.Route, index int32) {
	if r.Dst.Bits() > 0 {
		b.addr(unix.RTA_DST, r.Dst.Addr())
	}
	b.u32(unix.RTA_TABLE, r.Table)
	if r.Metric != 0 {
		b.u32(unix.RTA_PRIORITY, r.Metric)
	}
	if r.Via.IsValid() {
		if r.Via.Is4() == r.Dst.Addr().Is4() {
			b.addr(unix.RTA_GATEWAY, r.Via)
		} else {
			via := native.AppendUint16(nil, uint16(family(r.Via)))
			b.attr(unix.RTA_VIA, append(via, r.Via.AsSlice()...))
		}
	}
	if index != 0 {
		b.u32(unix.RTA_OIF, uint32(index))
	}
}

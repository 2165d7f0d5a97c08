package kernel

import (
	"net/netip"

	"github.com/cnmctl/cnmctl/state"
)

// foreignAddress notes an address in a place of somebody else's that is not ours. live is
// given for the host.
func (r *reading) foreignAddress(a ipAddress, live *Live) {
	if ip := a.prefix.Addr(); r.on.ours(a.index) || ip.IsLoopback() || ip.IsLinkLocalUnicast() {
		return
	}
	link := r.on.name(a.index)
	if live != nil {
		live.HostAddresses[a.prefix.Addr()] = link
	}
	r.foreign = append(r.foreign, state.Foreign{
		K: state.AddressKey(r.place, link, a.prefix), What: "an address that cnmctl did not put there",
	})
}

// foreignRoute notes a route in a place of somebody else's that does not go over the stack's
// links. It takes its key if it is not ours altogether.
func (r *reading) foreignRoute(way *route, foreign bool, live *Live) {
	if live != nil && way.Dst.Bits() > 0 {
		live.HostRoutes = append(live.HostRoutes, way.Dst)
	}
	if !foreign || everyLinkHas(way.Dst) {
		return
	}
	o := way.Route
	o.Place = r.place
	r.foreign = append(r.foreign, state.Foreign{K: o.Key(), What: "a route that cnmctl did not make"})
}

// everyLinkHas reports a destination to which each link has a route of its own.
func everyLinkHas(dst netip.Prefix) bool {
	return dst.Addr().IsLinkLocalUnicast() || dst.Addr().IsMulticast()
}

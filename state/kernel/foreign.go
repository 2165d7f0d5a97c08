package kernel

import (
	"net/netip"

	"github.com/cnmctl/cnmctl/state"
)

// foreignAddress notes an address of the host that is somebody else's.
func (l *Live) foreignAddress(host *reading, a ipAddress) {
	if ip := a.prefix.Addr(); host.on.ours(a.index) || ip.IsLoopback() || ip.IsLinkLocalUnicast() {
		return
	}
	link := host.on.name(a.index)
	l.HostAddresses[a.prefix.Addr()] = link
	host.foreign = append(host.foreign, state.Foreign{
		K: state.AddressKey(state.Host, link, a.prefix), What: "an address that cnmctl did not put there",
	})
}

// foreignRoute notes a route of the host that does not go over the stack's links. It takes
// its key if it is somebody else's altogether.
func (l *Live) foreignRoute(host *reading, r *route, foreign bool) {
	if r.Dst.Bits() > 0 {
		l.HostRoutes = append(l.HostRoutes, r.Dst)
	}
	if !foreign || everyLinkHas(r.Dst) {
		return
	}
	o := r.Route
	o.Place = state.Host
	host.foreign = append(host.foreign, state.Foreign{K: o.Key(), What: "a route that cnmctl did not make"})
}

// everyLinkHas reports a destination to which each link has a route of its own.
func everyLinkHas(dst netip.Prefix) bool {
	return dst.Addr().IsLinkLocalUnicast() || dst.Addr().IsMulticast()
}

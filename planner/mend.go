package planner

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/cnmctl/cnmctl/state"
)

// mend finds what stays but is damaged by what goes, and has it set again. These are the
// kernel's habits that no object declares, because they depend on what else is there.
func (d *diff) mend() {
	if d.fresh {
		return
	}
	var ports []*node
	for _, n := range d.all {
		if n.dead {
			d.mendAddresses()
			break
		}
	}
	for _, n := range d.all {
		if l, ok := n.live.(state.Link); ok && l.Above() != "" && !n.dead && n.want != nil {
			ports = append(ports, n)
		}
	}
	for _, n := range ports {
		d.mendPort(n)
	}
	d.mendCycled()
	d.mendNeighbors()
}

// mendCycled: a link that gets into a VRF or out of one is taken down and up (cycle_netdev),
// and loses its IPv6 addresses, its routes and its neighbors.
func (d *diff) mendCycled() {
	cycled := map[state.Key]bool{}
	for _, n := range d.all {
		live, ok := n.live.(state.Link)
		if want, isLink := n.want.(state.Link); ok && isLink && n.updated && live.VRF != want.VRF {
			cycled[n.key] = true
		}
	}
	if len(cycled) == 0 {
		return
	}
	for _, n := range d.all {
		if n.want == nil || n.live == nil || n.dead || n.made || n.updated || n.forgotten {
			continue
		}
		var on state.Key
		switch o := n.want.(type) {
		case state.IPAddress:
			if o.Prefix.Addr().Is6() {
				on = state.LinkKey(o.Place, o.Link)
			}
		case state.Route:
			on = state.LinkKey(o.Place, o.Dev)
		case state.Neighbor:
			on = state.LinkKey(o.Place, o.Link)
		}
		if cycled[on] {
			n.reason = "because " + on.String() + " changes"
			n.update(n.want)
		}
	}
}

// mendNeighbors: a link that gets another MAC, or loses or gets IPv6, forgets all neighbors
// of the family, the permanent ones too (neigh_changeaddr, addrconf_ifdown).
func (d *diff) mendNeighbors() {
	forgetful := map[state.Key]bool{}
	for _, n := range d.all {
		if n.key.Kind == state.KindLink && n.updated && slices.ContainsFunc(n.delta.Fields, func(f state.Field) bool {
			return f.Name == "mac" || f.Name == "no_ipv6" || f.Name == "up"
		}) {
			forgetful[n.key] = true
		}
	}
	if len(forgetful) == 0 {
		return
	}
	for _, n := range d.all {
		o, ok := n.want.(state.Neighbor)
		if on := state.LinkKey(o.Place, o.Link); ok && forgetful[on] && n.live != nil && !n.dead && !n.made && !n.updated {
			n.reason = "because " + on.String() + " changes"
			n.update(n.want)
		}
	}
}

// mendPort: a port whose bridge goes has no master (br_dev_delete), and a link whose VRF goes
// is in none (vrf_dellink), so one whose bridge or VRF is made anew has to be put into it again.
func (d *diff) mendPort(n *node) {
	live := n.live.(state.Link)
	bridge := d.nodes[state.LinkKey(live.Place, live.Above())]
	if bridge == nil || !bridge.dead || !bridge.made {
		return
	}
	live.Master, live.VRF, live.Hairpin, live.Isolated = "", "", false, false
	lost := d.opts.unignored(n.owner(), state.Compare(n.want, live))
	if lost.Same() {
		return
	}
	if !n.updated {
		n.reason = "because " + bridge.key.String() + " is replaced"
	}
	n.delta = lost
	n.live = live // which is what the update will find
	n.update(n.want)
}

// onLink is where addresses and routes of one family meet.
type onLink struct {
	place state.Place
	link  string
	is6   bool
}

// addresses are those of one link and family, by what becomes of them.
type addresses struct{ going, staying, routes, neighbors []*node }

// mendAddresses deals with links that stay and lose an address.
//
// Deleting a primary IPv4 address takes the secondary ones of its subnet along, unless
// promote_secondaries is set (__inet_del_ifa); deleting the last one of a link takes all
// its routes and neighbors (fib_inetaddr_event, fib_disable_ip); deleting any takes the routes that
// name it as their source, in IPv4 (fib_sync_down_addr).
func (d *diff) mendAddresses() {
	links := d.losingAddresses()
	if len(links) == 0 {
		return
	}
	for _, n := range d.all {
		switch o := keeper(n).(type) {
		case state.IPAddress:
			if l := links[onLink{o.Place, o.Link, o.Prefix.Addr().Is6()}]; l != nil && n.live != nil && !n.dead {
				l.staying = append(l.staying, n)
			}
		case state.Route:
			if l := links[onLink{o.Place, o.Dev, o.Dst.Addr().Is6()}]; l != nil && !n.dead {
				l.routes = append(l.routes, n)
			}
		case state.Neighbor:
			if l := links[onLink{o.Place, o.Link, o.IP.Is6()}]; l != nil && !n.dead {
				l.neighbors = append(l.neighbors, n)
			}
		}
	}
	for at, l := range links {
		if !at.is6 {
			d.mendLink(l)
		}
	}
}

// keeper is the wanted object of a node that changes nothing or in place, or is new.
func keeper(n *node) state.Object {
	if n.forgotten {
		return nil
	}
	return n.want
}

// losingAddresses finds the links that stay and lose an address.
func (d *diff) losingAddresses() map[onLink]*addresses {
	links := map[onLink]*addresses{}
	for _, n := range d.all {
		a, ok := n.live.(state.IPAddress)
		if !ok || !n.dead {
			continue
		}
		if link := d.nodes[state.LinkKey(a.Place, a.Link)]; link != nil && link.dead {
			continue
		}
		at := onLink{a.Place, a.Link, a.Prefix.Addr().Is6()}
		if links[at] == nil {
			links[at] = &addresses{}
		}
		links[at].going = append(links[at].going, n)
	}
	return links
}

// mendLink sets again what the addresses that go take with them.
func (d *diff) mendLink(l *addresses) {
	last := true
	for _, s := range l.staying {
		secondary := false
		for _, g := range l.going {
			if prefixOf(s).Masked() == prefixOf(g).Masked() {
				d.again(s, g)
				secondary = true
			}
		}
		last = last && secondary
	}
	if last {
		for _, n := range l.neighbors {
			for _, g := range l.going {
				d.again(n, g)
			}
		}
	}
	for _, r := range l.routes {
		for _, g := range l.going {
			if last || r.want.(state.Route).Src == prefixOf(g).Addr() {
				d.again(r, g)
			}
		}
	}
}

func prefixOf(n *node) netip.Prefix { return n.live.(state.IPAddress).Prefix }

// again has n set after gone has gone.
func (d *diff) again(n, gone *node) {
	d.shaken[gone] = append(d.shaken[gone], n)
	if n.made || n.updated {
		return
	}
	reason := fmt.Sprintf("goes with address %s", prefixOf(gone))
	if n.reason == "" || reason < n.reason {
		n.reason = reason
	}
	n.update(n.want)
}

package drivers

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/cnmctl/cnmctl/state"
)

func (s *sandbox) hasLink(name string) bool {
	return slices.ContainsFunc(s.attached, func(a attachment) bool { return a.Interface != "" && a.Interface == name })
}

// onHost reports that the sandbox is the host's own namespace (the host driver). What is
// there is not ours: no default route, no files, and marks on all that is added.
func (s *sandbox) onHost() bool { return s.Netns == "" }

// expandSandbox lists what a sandbox is made of beside its endpoints' interfaces.
func (x *expander) expandSandbox(s *sandbox) ([]state.Object, error) {
	routes, err := s.routes()
	if err != nil {
		return nil, err
	}
	objects := slices.Concat(s.loopback(), s.vrfs(), routes, s.rules(), s.neighbors(), s.sysctls(), s.foreignLinks())
	if s.onHost() || s.Shares != "" {
		return objects, nil // the rest is the host's, or that of the sandbox whose namespace it is
	}
	if s.Foreign {
		objects = append(objects, state.Adopted{K: state.NamespaceKey(s.Netns), Asker: s.Mark})
	} else {
		objects = append(objects, state.Namespace{Name: s.Netns, Mark: s.Mark})
	}
	objects = append(objects, s.defaultRoutes()...)
	if !state.Named(s.Netns) {
		return objects, nil // `ip netns exec` finds no files for it
	}
	return append(objects, x.files(s)...), nil
}

func (s *sandbox) loopback() []state.Object {
	var objects []state.Object
	for _, p := range s.Loopback {
		objects = append(objects, state.IPAddress{Place: s.Place(), Link: "lo", Prefix: p, Mark: s.Mark, Loan: s.onHost()})
	}
	return objects
}

func (s *sandbox) routes() ([]state.Object, error) {
	var objects []state.Object
	for _, r := range s.Routes {
		dev := s.devOf(r)
		if dev == "" && r.Via.IsValid() {
			return nil, fmt.Errorf("adding a route to %s: no endpoint of the sandbox is in the subnet of its next hop %s", r.To, r.Via)
		}
		objects = append(objects, state.NewRoute(state.Route{
			Place: s.Place(), Dst: r.To, Table: s.tableOf(r), Metric: r.Metric, Type: r.Type,
			Via: r.Via, Dev: dev, Src: r.Src, OnLink: r.OnLink, Mark: s.Mark, Loan: s.onHost() && !s.hasLink(dev),
		}))
	}
	return objects, nil
}

// reaching is the endpoint whose subnet an address is in; the narrowest when several are,
// and only one in the VRF if that is said.
func (s *sandbox) reaching(ip netip.Addr, vrf string) (attachment, bool) {
	best, bits := attachment{}, -1
	for _, a := range s.attached {
		if vrf != "" && a.VRF != vrf {
			continue
		}
		for _, p := range []netip.Prefix{a.IPv4, a.IPv6} {
			if p.IsValid() && p.Contains(ip) && p.Bits() > bits {
				best, bits = a, p.Bits()
			}
		}
	}
	return best, bits >= 0
}

// devOf is the interface that a route leads by, "" for none.
func (s *sandbox) devOf(r state.StaticRoute) string {
	if r.Dev == "" && r.Via.IsValid() {
		a, _ := s.reaching(r.Via, r.VRF)
		return a.Interface
	}
	return r.Dev
}

// tableOf is the table that a route is in: the one that it says, by name or number, else
// that of the endpoint that it leads by.
func (s *sandbox) tableOf(r state.StaticRoute) uint32 {
	if r.Table != 0 || r.VRF != "" || len(s.VRFs) == 0 {
		return cmp.Or(r.Table, s.VRFs[r.VRF])
	}
	dev := s.devOf(r)
	for _, a := range s.attached {
		if a.Interface == dev && dev != "" {
			return a.table()
		}
	}
	return 0
}

func (s *sandbox) rules() []state.Object {
	var objects []state.Object
	for _, r := range s.Rules {
		objects = append(objects, state.Rule{
			Place: s.Place(), Priority: r.Priority, IPv6: r.IPv6, From: r.From, To: r.To,
			Iif: r.Iif, Oif: r.Oif, FwMark: r.FwMark, Table: r.Table, Mark: s.Mark,
		})
	}
	return objects
}

func (s *sandbox) neighbors() []state.Object {
	var objects []state.Object
	for _, n := range s.Neighbors {
		objects = append(objects, state.Neighbor{Place: s.Place(), Link: n.Dev, IP: n.IP, MAC: n.MAC, Mark: s.Mark})
	}
	return objects
}

// foreignLinks are the host's own interfaces that routes of a host sandbox go out by: they
// have to be there.
func (s *sandbox) foreignLinks() []state.Object {
	var objects []state.Object
	for _, r := range s.Routes {
		if s.onHost() && r.Dev != "" && r.Dev != "lo" && !s.hasLink(r.Dev) {
			objects = append(objects, state.Adopted{K: state.LinkKey(state.Host, r.Dev), Asker: s.Mark})
		}
	}
	return objects
}

// defaultRoutes are the sandbox's ways out, one per family and routing domain, by election.
// Internal endpoints do not stand, and a static default route leaves nothing to elect.
func (s *sandbox) defaultRoutes() []state.Object {
	var objects []state.Object
	for _, vrf := range s.domains() {
		objects = append(objects, s.waysOut(vrf, default4, func(o Offer) (netip.Addr, bool) { return o.Gateway4, o.Direct4 })...)
		objects = append(objects, s.waysOut(vrf, default6, func(o Offer) (netip.Addr, bool) { return o.Gateway6, o.Direct6 })...)
	}
	return objects
}

// waysOut are the default route to dst in the table of the VRF ("" is main), and what goes
// with it.
func (s *sandbox) waysOut(vrf string, dst netip.Prefix, way func(Offer) (via netip.Addr, direct bool)) []state.Object {
	if s.hasDefault(vrf, dst) {
		return nil
	}
	a, offer, ok := s.elect(vrf, way)
	if !ok {
		return nil
	}
	via, _ := way(offer)
	return append([]state.Object{state.NewRoute(state.Route{
		Place: s.Place(), Dst: dst, Via: via, Dev: offer.Link, OnLink: offer.OnLink, Table: a.table(), Mark: a.Mark,
		// Somebody else's way out is left alone unless ours is asked for.
		Yields: s.Foreign && a.Priority <= 0,
	})}, offer.Elected...)
}

func (s *sandbox) hasDefault(vrf string, dst netip.Prefix) bool {
	wanted := state.NewRoute(state.Route{Place: s.Place(), Dst: dst, Table: s.VRFs[vrf]}).Key()
	return slices.ContainsFunc(s.Routes, func(r state.StaticRoute) bool {
		return state.NewRoute(state.Route{Place: s.Place(), Dst: r.To, Table: s.tableOf(r), Metric: r.Metric}).Key() == wanted
	})
}

func (s *sandbox) elect(vrf string, way func(Offer) (netip.Addr, bool)) (attachment, Offer, bool) {
	var stand []candidate
	for _, a := range s.attached {
		if a.VRF != vrf {
			continue
		}
		o, offered := a.network.offers[a.Mark.Address]
		if via, direct := way(o); offered && !o.Internal && (via.IsValid() || direct) {
			stand = append(stand, candidate{a, o.families()})
		}
	}
	if len(stand) == 0 {
		return attachment{}, Offer{}, false
	}
	winner := slices.MinFunc(stand, candidate.compare).attachment
	return winner, winner.network.offers[winner.Mark.Address], true
}

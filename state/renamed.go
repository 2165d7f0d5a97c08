package state

import "strings"

// What each kind of object that is in a network namespace refers to by name: its place, and
// links. A new kind has to say so here; a test finds those that do not.

// Names tells what namespaces and links are called when they have got other names.
type Names interface {
	// Place is the name of a place.
	Place(Place) Place
	// Link is the name of a link in a place, which is under its new name already.
	Link(p Place, name string) string
}

// Placed is implemented by objects in network namespaces.
type Placed interface {
	// Renamed is the object with all that it names under the new names.
	Renamed(Names) Object
}

// Renamed is the namespace under its new name.
func (n Namespace) Renamed(to Names) Object {
	n.Name, _ = to.Place(Netns(n.Name)).Netns()
	return n
}

// Renamed is the link with its own name, those of the links that it is joined to and on,
// and their places.
func (l Link) Renamed(to Names) Object {
	l.Place = to.Place(l.Place)
	l.Name = to.Link(l.Place, l.Name)
	l.Master = to.Link(l.Place, l.Master)
	l.VRF = to.Link(l.Place, l.VRF)
	l.Peer.Place = to.Place(l.Peer.Place)
	l.Peer.Name = to.Link(l.Peer.Place, l.Peer.Name)
	l.Tunnel.Underlay = to.Place(l.Tunnel.Underlay)
	l.On.Lower.Place = to.Place(l.On.Lower.Place)
	l.On.Lower.Name = to.Link(l.On.Lower.Place, l.On.Lower.Name)
	return l
}

// Renamed is the address on the link under its new name.
func (a IPAddress) Renamed(to Names) Object {
	a.Place = to.Place(a.Place)
	a.Link = to.Link(a.Place, a.Link)
	return a
}

// Renamed is the route by the link under its new name.
func (r Route) Renamed(to Names) Object {
	r.Place = to.Place(r.Place)
	r.Dev = to.Link(r.Place, r.Dev)
	return r
}

// Renamed is the rule in its place. The kernel keeps the names of interfaces in rules as
// they were written.
func (r Rule) Renamed(to Names) Object {
	r.Place = to.Place(r.Place)
	return r
}

// Renamed is the neighbor on the link under its new name.
func (n Neighbor) Renamed(to Names) Object {
	n.Place = to.Place(n.Place)
	n.Link = to.Link(n.Place, n.Link)
	return n
}

// Renamed is the entry on the link under its new name.
func (f FDB) Renamed(to Names) Object {
	f.Place = to.Place(f.Place)
	f.Link = to.Link(f.Place, f.Link)
	return f
}

// Renamed is the queue of the link under its new name.
func (q Qdisc) Renamed(to Names) Object {
	q.Place = to.Place(q.Place)
	q.Link = to.Link(q.Place, q.Link)
	return q
}

// Renamed is the redirection between the links under their new names.
func (r Redirect) Renamed(to Names) Object {
	r.Place = to.Place(r.Place)
	r.Link, r.To = to.Link(r.Place, r.Link), to.Link(r.Place, r.To)
	return r
}

// Renamed is the setting, whose path has the link's name in it.
func (s Sysctl) Renamed(to Names) Object {
	s.Place = to.Place(s.Place)
	if name := to.Link(s.Place, s.Link); s.Link != "" && name != s.Link {
		s.Path, s.Link = strings.Replace(s.Path, "/"+s.Link+"/", "/"+name+"/", 1), name
	}
	return s
}

// Renamed is the ruleset in its place. What it says of links is compared as it is: a link
// that gets another name is guarded under both for that moment.
func (r Ruleset) Renamed(to Names) Object {
	r.Place = to.Place(r.Place)
	return r
}

// Renamed is the file of the namespace under its new name.
func (f File) Renamed(to Names) Object {
	f.Place = to.Place(f.Place)
	return f
}

// Renamed is the state in its place.
func (s IPsecState) Renamed(to Names) Object {
	s.Place = to.Place(s.Place)
	return s
}

// Renamed is the policy in its place.
func (p IPsecPolicy) Renamed(to Names) Object {
	p.Place = to.Place(p.Place)
	return p
}

// Renamed is something of somebody else's, in a namespace or on a link under its new name.
func (f Foreign) Renamed(to Names) Object {
	f.K.Place = to.Place(f.K.Place)
	switch f.K.Kind {
	case KindAddress, KindNeighbor, KindFDB, KindQdisc, KindRedirect: // whose names are or begin with the link's
		link, rest, more := strings.Cut(f.K.Name, " ")
		if f.K.Name = to.Link(f.K.Place, link); more {
			f.K.Name += " " + rest
		}
	}
	return f
}

package planner

import (
	"slices"
	"strconv"

	"github.com/cnmctl/cnmctl/state"
)

// A namespace or link of a block that is wanted under another name is not made anew: it
// gets the name. So that all that is in it and on it is compared with what is wanted of it,
// the live world is looked at as if it had the new name already. The plan renames first of
// all; what other ops find is what they expect.

// renaming is which namespaces and links get other names.
type renaming struct {
	spaces map[state.Place]state.Place
	// links are the new names, by place (under its new name) and old name.
	links map[state.Key]string
}

func (r *renaming) empty() bool { return len(r.spaces)+len(r.links) == 0 }

// origin is what is renamed: its owner, and what it must be.
type origin struct {
	owner  state.Address
	kind   state.Kind
	place  state.Place
	typ    state.LinkType
	second bool
}

// findRenames pairs what is wanted under a name that is free with what is there of the same
// block under a name that nobody wants. Where it is not clear what becomes what, nothing
// is renamed. not are wanted keys that must be made.
func findRenames(live, want state.World, current func(state.Address) state.Address, not func(state.Key, state.Address) bool) *renaming {
	r := &renaming{spaces: map[state.Place]state.Place{}, links: map[state.Key]string{}}
	for _, kind := range []state.Kind{state.KindNamespace, state.KindLink} {
		var free []state.Object
		for k, o := range want {
			if k.Kind == kind && vacant(live, k) && !not(k, o.Owner().Address) {
				free = append(free, o)
			}
		}
		if len(free) == 0 {
			continue
		}
		wanted := map[origin][]state.Object{}
		taken := r.linkNames(live)
		for _, o := range free {
			if at, ok := originOf(o, o.Owner().Address); ok && !taken[o.Key()] {
				wanted[at] = append(wanted[at], o)
			}
		}
		there := map[origin][]state.Object{}
		several := r.severalAddresses(live)
		plugged := pluggedInto(live)
		for k, o := range live {
			if k.Kind != kind {
				continue
			}
			o = r.object(o)
			if _, ok := want[o.Key()]; ok || several[o.Key()] > 1 || plugged[k] {
				continue
			}
			if at, ok := originOf(o, current(o.Owner().Address)); ok {
				there[at] = append(there[at], o)
			}
		}
		for at, to := range wanted {
			if from := there[at]; len(from) == 1 && len(to) == 1 {
				r.add(from[0].Key(), to[0].Key())
			}
		}
	}
	return r
}

// linkNames are the names that links have, in places under their new names.
func (r *renaming) linkNames(live state.World) map[state.Key]bool {
	names := map[state.Key]bool{}
	for k, o := range live {
		if k.Kind == state.KindLink {
			names[r.object(o).Key()] = true
		}
	}
	return names
}

// severalAddresses counts the IPv4 addresses of links. With more than one, a link cannot
// get another name and be as if it always had it: the kernel numbers the labels of the
// others (eth0:2, inetdev_changename), and no message takes that back.
func (r *renaming) severalAddresses(live state.World) map[state.Key]int {
	count := map[state.Key]int{}
	for _, o := range live {
		if a, ok := o.(state.IPAddress); ok && a.Prefix.Addr().Is4() && a.Link != "lo" {
			count[state.LinkKey(r.Place(a.Place), a.Link)]++
		}
	}
	return count
}

// pluggedInto are the namespaces that plugins know by their paths, which cannot be told of
// another one.
func pluggedInto(live state.World) map[state.Key]bool {
	in := map[state.Key]bool{}
	for _, o := range live {
		if e, ok := o.(state.PluginEndpoint); ok {
			if ns, named := e.In.Netns(); named {
				in[state.NamespaceKey(ns)] = true
			}
		}
	}
	return in
}

func (r *renaming) add(from, to state.Key) {
	if from.Kind == state.KindNamespace {
		r.spaces[state.Netns(from.Name)] = state.Netns(to.Name)
		return
	}
	r.links[from] = to.Name
}

// originOf is what an object can be the other name of.
func originOf(o state.Object, owner state.Address) (origin, bool) {
	at := origin{owner: owner, kind: o.Key().Kind, place: o.Key().Place}
	switch o := o.(type) {
	case state.Namespace:
		return at, owner != "" && o.AliasOf == ""
	case state.Link:
		at.typ, at.second = o.Type, o.Second
		return at, owner != "" && !o.HalfMade
	}
	return at, false
}

// vacant reports that a name is free. What a move of a namespace leaves that was cut short
// is no obstacle: the new name beside the old one, or the file for it, and files already
// under the new name.
func vacant(live state.World, k state.Key) bool {
	if n, ok := live[k].(state.Namespace); live[k] != nil && (!ok || n.AliasOf == "" && n.Mark.Address != "") {
		return false
	}
	if k.Kind != state.KindNamespace {
		return true
	}
	return !slices.ContainsFunc(overEtc, func(name string) bool {
		_, foreign := live[state.File{Place: state.Netns(k.Name), Name: name}.Key()].(state.Foreign)
		return foreign
	})
}

// overEtc are the files that a namespace may have.
var overEtc = []string{"hosts", "resolv.conf", "hostname"}

// world is the world as it will be when all have their new names.
func (r *renaming) world(w state.World) state.World {
	if r.empty() {
		return w
	}
	out := make(state.World, len(w))
	for _, o := range w {
		if n, ok := o.(state.Namespace); !ok || !r.leftover(n) {
			out.Add(r.object(o))
		}
	}
	return out
}

// leftover reports that a namespace stands where another one goes, see vacant.
func (r *renaming) leftover(n state.Namespace) bool {
	for _, to := range r.spaces {
		if to == state.Netns(n.Name) {
			return true
		}
	}
	return false
}

// Place is the new name of a place.
func (r *renaming) Place(p state.Place) state.Place {
	if to, ok := r.spaces[p]; ok {
		return to
	}
	return p
}

// Link is the name of a link in a place that has its new name.
func (r *renaming) Link(p state.Place, name string) string {
	if to, ok := r.links[state.LinkKey(p, name)]; ok {
		return to
	}
	return name
}

// object is the object as it will be.
func (r *renaming) object(o state.Object) state.Object {
	if placed, ok := o.(state.Placed); ok {
		return placed.Renamed(r)
	}
	return o
}

// applyRenames has the diff look at the live world under its new names.
func (d *diff) applyRenames(live, want state.World, not map[state.Key]bool) state.World {
	d.renaming = &renaming{}
	if d.fresh {
		return live
	}
	d.renaming = findRenames(live, want, d.current, func(k state.Key, a state.Address) bool { return not[k] || d.forced(a) })
	if d.renaming.empty() {
		return live
	}
	d.was = map[state.Key]state.Object{}
	spaces := &renaming{spaces: d.renaming.spaces}
	for k, o := range live {
		to := d.renaming.object(o).Key()
		if k.Kind == state.KindNamespace && to != k {
			d.was[to] = o
		}
		if o := spaces.object(o); k.Kind == state.KindLink && to != o.Key() {
			d.was[to] = o
		}
	}
	return d.renaming.world(live)
}

// remadeInstead notes which of the renamed objects have to be made anew after all, and
// reports that there are any.
func (d *diff) remadeInstead(not map[state.Key]bool) bool {
	found := false
	for k := range d.was {
		if n := d.nodes[k]; n != nil && n.dead {
			not[k], found = true, true
		}
	}
	return found
}

// renameOp gives a live object its wanted name, and changes nothing else of it.
func renameOp(n *node) state.Op {
	return state.Op{
		Action: state.Update, Key: n.key, Before: n.was, After: n.live, Reason: n.reason,
		Delta: state.Delta{Fields: []state.Field{{
			Name: "name", Old: strconv.Quote(n.was.Key().Name), New: strconv.Quote(n.key.Name),
		}}},
	}
}

// renames reports that the op gives an object another name.
func renames(op state.Op) bool {
	return op.Action == state.Update && op.Before.Key() != op.Key
}

// renaming is what the plan renames.
func (p *Plan) renaming() *renaming {
	r := &renaming{spaces: map[state.Place]state.Place{}, links: map[state.Key]string{}}
	for _, op := range p.Ops {
		if renames(op) {
			r.add(op.Before.Key(), op.Key)
		}
	}
	return r
}

// renames orders those ops: namespaces, what is in them, then all else in the kernel.
func (g *graph) renames() {
	if len(g.d.was) == 0 {
		return
	}
	renamed := g.gate(gate{what: "renamed"})
	own := map[int32]bool{}
	for _, n := range g.d.changes {
		if n.passing != nil {
			own[int32(n.opPassing)] = true
		}
		if n.was == nil {
			continue
		}
		v := int32(n.opRenaming)
		own[v] = true
		g.edge(v, renamed)
		g.edge(v, g.ownMade(n.block))
		if ns, ok := n.key.Place.Netns(); ok {
			if space := g.d.nodes[state.NamespaceKey(ns)]; space != nil && space.was != nil {
				g.edge(int32(space.opRenaming), v)
			}
		}
	}
	for _, n := range g.d.changes {
		if n.passing == nil {
			continue
		}
		for _, link := range g.d.changes {
			if link.was != nil && link.key.Kind == state.KindLink && link.key.Place == n.key.Place {
				g.edge(int32(n.opPassing), int32(link.opRenaming))
			}
		}
	}
	for i, op := range g.ops {
		if v := int32(i); op.Key.Place != state.Store && !own[v] {
			g.edge(renamed, v)
		}
	}
}

// Settings are the settings that the plan changes, under the names that they have before
// and after it: a snapshot of the kernel does not hold them.
func (p *Plan) Settings() state.World {
	back := &renaming{spaces: map[state.Place]state.Place{}, links: map[state.Key]string{}}
	names := &renaming{spaces: map[state.Place]state.Place{}, links: map[state.Key]string{}}
	for from, to := range p.renaming().spaces {
		back.spaces[to] = from
	}
	for from, to := range p.renaming().links {
		names.links[state.LinkKey(from.Place, to)] = from.Name
	}
	w := state.World{}
	for _, op := range p.Ops {
		for _, o := range append([]state.Object{op.Object()}, op.Along...) {
			if s, ok := o.(state.Sysctl); ok {
				w.Add(s, back.object(names.object(s)))
			}
		}
	}
	return w
}

package planner

import (
	"maps"
	"slices"
	"strings"

	"github.com/cnmctl/cnmctl/state"
)

// What plugins make, and what follows from their answers.

// followers are those that go by ops of their own with what takes them along: a
// plugin is told of it, and its interface is given back.
func (d *diff) followers() map[*node][]*node {
	by := map[*node][]*node{}
	for _, n := range d.all {
		f, ok := n.live.(state.Dependent)
		if !ok {
			continue
		}
		for _, k := range f.Follows() {
			if leader := d.nodes[k]; leader != nil {
				by[leader] = append(by[leader], n)
			}
		}
	}
	return by
}

// putOffAnswers leaves for a plan that comes after this one what is made of an answer which a
// plugin gives in this one: the interface that it names, and all that is on it.
func (d *diff) putOffAnswers() {
	asked := map[*node]bool{}
	for _, n := range d.all {
		if n.made && n.key.Place.Asked() {
			asked[n] = true
		}
	}
	if len(asked) == 0 {
		return
	}
	for _, n := range d.all {
		d.putOffOutput(n)
	}
	for again := true; again; {
		again = false
		for _, n := range d.all {
			if asked[n] || n.want == nil || !n.key.Place.InKernel() || !n.made && !n.updated {
				continue
			}
			if slices.ContainsFunc(n.want.Needs(), func(k state.Key) bool { return asked[d.nodes[k]] }) {
				n.made, n.updated = false, false
				asked[n], again = true, true
			}
		}
	}
}

// refreshed is the world to go back to, with what plugins say now: an interface that is
// made once more may have another name. A redirection that led to a link which is gone can
// not be made again, and nobody misses it.
func refreshed(want, now state.World) state.World {
	var after state.World
	copied := func() {
		if after == nil {
			after = maps.Clone(want)
		}
	}
	for k, o := range want {
		if r, ok := o.(state.Redirect); ok && r.To == "" {
			copied()
			delete(after, k)
			continue
		}
		l, ok := o.(state.Link)
		if !ok || l.Type != state.Given {
			continue
		}
		e, ok := now[l.Giver].(state.PluginEndpoint)
		if !ok || e.Stage != state.Made || e.Joined.Source == l.From {
			continue
		}
		copied()
		l.From = e.Joined.Source
		after[k] = l
	}
	if after == nil {
		return want
	}
	return after
}

// Asks reports that the plan asks plugins for something, so that there may be more to do
// when they have answered.
func (p *Plan) Asks() bool {
	return slices.ContainsFunc(p.Ops, func(op state.Op) bool { return op.Action == state.Create && op.Key.Place.Asked() })
}

// callText says which calls make an object, or take it back, and what only the plugin
// knows.
func callText(o state.Object, symbol string) string {
	made, unmade := calls(o)
	if symbol == minus {
		return unmade
	}
	var open []string
	for _, a := range o.Attrs() {
		if a.Value == state.Assigned {
			open = append(open, a.Name)
		}
	}
	if len(open) > 0 {
		made += "; " + strings.Join(open, ", ") + " " + state.Assigned
	}
	return made
}

// calls are the plugin's, in the words of libnetwork's protocol.
func calls(o state.Object) (made, unmade string) {
	switch o := o.(type) {
	case state.Pool:
		made, unmade = "RequestPool", "ReleasePool"
		if o.WithGateway || len(o.Reserved) > 0 {
			made, unmade = made+", RequestAddress", "ReleaseAddress, "+unmade
		}
		return made, unmade
	case state.Lease:
		return "RequestAddress", "ReleaseAddress"
	case state.Allocation:
		return "AllocateNetwork", "FreeNetwork"
	case state.PluginNetwork:
		return "CreateNetwork", "DeleteNetwork"
	case state.PluginEndpoint:
		return "CreateEndpoint, Join", "Leave, DeleteEndpoint"
	case state.WayOut:
		return "ProgramExternalConnectivity", "RevokeExternalConnectivity"
	case state.Node:
		return "DiscoverNew", "DiscoverDelete"
	}
	return "", ""
}

// half reports that the object's making was cut short: it can be seen, and not wanted.
func half(o state.Object) bool {
	switch o := o.(type) {
	case state.Link:
		return o.HalfMade
	case state.Asked:
		return o.Reached() != state.Made
	}
	return false
}

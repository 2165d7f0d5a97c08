package planner

import "github.com/cnmctl/cnmctl/state"

// Rules stand before a link comes up, and until it is gone. Where a plan has links come
// and go, and the rules change, the rules that those that go came under stand beside the new
// ones for the time between (node.passing).

// standing is the op after which the node is there for those that need it: a ruleset says
// all that it is wanted to say when it still says what it said before, too.
func (n *node) standing() int32 {
	if n.passing != nil {
		return int32(n.opPassing)
	}
	return n.setting()
}

// findPassing gives rulesets that change a state on the way there in which they say both what
// they do and what they are to: where a link gets another name, so that it is guarded under
// both, and where new links wait for the new rules while others go that came under the
// old ones.
func (d *diff) findPassing() {
	for _, n := range d.all {
		live, ok := n.live.(state.Ruleset)
		want, wanted := n.want.(state.Ruleset)
		if !ok || !wanted || !n.updated {
			continue
		}
		both := want.With(live)
		if d.renamesLinks(n.key.Place) || !both.Equal(want) && d.awaited(n.key) && d.losesGuarded(n.key.Place) {
			n.passing = both
		}
	}
}

// renamesLinks reports that a link of the place gets another name.
func (d *diff) renamesLinks(p state.Place) bool {
	for k, o := range d.was {
		if o.Key().Kind == state.KindLink && k.Place == p {
			return true
		}
	}
	return false
}

// awaited reports that something that is set waits for the ruleset.
func (d *diff) awaited(ruleset state.Key) bool {
	for _, n := range d.all {
		if (n.made || n.updated) && d.guards(ruleset, n.want) {
			return true
		}
	}
	return false
}

// losesGuarded reports that something goes that is under the rules of the place.
func (d *diff) losesGuarded(p state.Place) bool {
	for _, n := range d.all {
		if at, is := underRules(n); is && at == p {
			return true
		}
	}
	return false
}

// guards reports that the ruleset has to stand before o is set. What was read in the kernel
// does not say what guards it, so on the way back to it whatever may be guarded is.
func (d *diff) guards(ruleset state.Key, o state.Object) bool {
	switch o := o.(type) {
	case state.Link:
		return o.Guard == ruleset || d.opts.back && meets(o) == ruleset.Place
	case state.Sysctl:
		return o.Guard == ruleset || d.opts.back && o.Link != "" && o.Place == ruleset.Place
	}
	return false
}

// meets is the place whose rules meet what goes through a link: those of a tunnel's packets
// are where its ends are.
func meets(l state.Link) state.Place {
	if l.Type == state.VXLAN {
		return l.Tunnel.Underlay
	}
	return l.Place
}

// underRules is the place whose rules have to stand until the node's live object is gone.
// (Which ruleset guards a live link is not written on it.) IPsec states are among them,
// because by the rules it is known that there are some.
func underRules(n *node) (state.Place, bool) {
	if !n.dead {
		return "", false
	}
	switch o := n.live.(type) {
	case state.Link:
		return meets(o), true
	case state.IPsecState:
		return o.Place, true
	case state.Sysctl: // what a ruleset guards is set back before the rules go
		return o.Place, o.Guard != (state.Key{})
	}
	return "", false
}

// rulesets orders rulesets: before what they guard is set, and away, or on to what they say
// in the end, after what they guard is gone.
func (g *graph) rulesets() {
	taken := map[state.Place]int32{}
	for _, n := range g.d.changes {
		if n.key.Kind != state.KindRuleset || n.dead && n.taker != n {
			continue // what goes with its namespace goes with the links in it
		}
		if g.d.opts.back {
			g.wayBack(n)
		}
		switch {
		case n.updated && (n.passing != nil || !g.d.awaited(n.key)):
			taken[n.key.Place] = g.gate(gate{what: "links taken", place: n.key.Place})
			g.putOff[n.setting()] = true
			g.edge(taken[n.key.Place], n.setting())
		case n.dead:
			taken[n.key.Place] = g.gate(gate{what: "links taken", place: n.key.Place})
			g.edge(taken[n.key.Place], n.taking())
		}
	}
	if len(taken) == 0 {
		return
	}
	for _, n := range g.d.changes {
		if at, is := underRules(n); is {
			if v, waits := taken[at]; waits {
				g.edge(n.taking(), v)
			}
		}
	}
}

// wayBack has all that the ruleset may guard wait for it.
func (g *graph) wayBack(ruleset *node) {
	for _, n := range g.d.changes {
		if n.setting() >= 0 && g.d.guards(ruleset.key, n.want) {
			g.edge(ruleset.standing(), n.setting())
		}
	}
}

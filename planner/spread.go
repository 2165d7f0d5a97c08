package planner

import (
	"slices"

	"github.com/cnmctl/cnmctl/state"
)

// spread carries deletions to what the kernel takes along, and creations to what is made
// together, until nothing more follows.
func (d *diff) spread() {
	if d.fresh {
		return
	}
	var queue []*node
	for _, n := range d.all {
		if n.dead || n.made {
			queue = append(queue, n)
		}
	}
	if len(queue) == 0 {
		return
	}
	d.indexInside()
	pairs := d.pairs()
	followers := d.followers()
	kill := func(n *node) {
		if n.live == nil || n.dead {
			return
		}
		n.dead, n.updated, n.forgotten = true, false, false
		if _, adopted := n.want.(state.Adopted); n.want != nil && !adopted {
			n.made = true
		}
		queue = append(queue, n)
	}
	for len(queue) > 0 {
		n := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		if n.dead {
			for _, content := range d.inside[n] {
				kill(content)
			}
			for _, follower := range followers[n] {
				kill(follower)
			}
		}
		if n.made {
			for _, partner := range pairs[n] {
				kill(partner) // if it is not there, it is being made already
			}
		}
	}
}

// indexInside finds what each live object takes along when it goes.
func (d *diff) indexInside() {
	d.inside = make(map[*node][]*node, len(d.nodes)/8)
	for _, n := range d.all {
		if n.live == nil {
			continue
		}
		for _, k := range containers(n.live) {
			if c, ok := d.nodes[k]; ok && c.live != nil {
				d.inside[c] = append(d.inside[c], n)
			}
		}
	}
}

// containers are what takes the object along. What somebody else put into a namespace of
// ours goes with it too, and the plan has to say so.
func containers(o state.Object) []state.Key {
	if _, foreign := o.(state.Foreign); foreign {
		if ns, ok := o.Key().Place.Netns(); ok {
			return []state.Key{state.NamespaceKey(ns)}
		}
	}
	return o.Inside()
}

// pairs links objects that are made by one op to each other.
func (d *diff) pairs() map[*node][]*node {
	pairs := map[*node][]*node{}
	for _, n := range d.all {
		if first := d.firstOf(n); first != nil {
			pairs[n] = append(pairs[n], first)
			pairs[first] = append(pairs[first], n)
		}
	}
	return pairs
}

// firstOf is the wanted node whose creation makes n, nil when n is made by itself.
func (d *diff) firstOf(n *node) *node {
	along, ok := n.want.(state.MadeAlong)
	if !ok {
		return nil
	}
	k, ok := along.MadeBy()
	if !ok {
		return nil
	}
	if first := d.nodes[k]; first != nil && first.want != nil {
		return first
	}
	return nil
}

// arrange puts the changed nodes in order and finds for each who takes it and who makes
// it. What is inside nothing that goes is deleted itself and takes the rest along. Where
// two are inside each other (a veth pair), the first end is deleted.
func (d *diff) arrange() {
	d.blocks = make(map[state.Address]*block, len(d.nodes)/4)
	for _, n := range d.all {
		if n.changed() {
			n.rank, n.block = rank[n.key.Kind], d.blockAt(n.owner())
			d.changes = append(d.changes, n)
		}
	}
	d.changes = sorted(d.changes)
	for _, n := range d.changes {
		if f, ok := n.live.(state.Dependent); ok && n.dead && len(f.Follows()) > 0 && !d.goesWithOther(n) {
			d.take(n) // with all that is on it, before its namespace goes
		}
	}
	for _, n := range d.changes {
		if n.dead && n.taker == nil && !d.goesWithOther(n) {
			d.take(n)
		}
	}
	for _, second := range []bool{false, true} {
		for _, n := range d.changes {
			if n.dead && n.taker == nil && isSecond(n.live) == second {
				d.take(n)
			}
		}
	}
	for _, n := range d.changes {
		if n.made {
			n.maker = n
			if first := d.firstOf(n); first != nil && first.made {
				n.maker = first
			}
		}
	}
}

// sorted sorts the nodes by rank and key, its halves at once: there are a hundred thousand.
func sorted(nodes []*node) []*node {
	half := len(nodes) / 2
	a, b := nodes[:half], nodes[half:]
	done := make(chan struct{})
	go func() {
		slices.SortFunc(a, compareNodes)
		close(done)
	}()
	slices.SortFunc(b, compareNodes)
	<-done
	merged := make([]*node, 0, len(nodes))
	for len(a) > 0 && len(b) > 0 {
		if compareNodes(a[0], b[0]) < 0 {
			merged, a = append(merged, a[0]), a[1:]
		} else {
			merged, b = append(merged, b[0]), b[1:]
		}
	}
	return append(append(merged, a...), b...)
}

func compareNodes(a, b *node) int {
	if a.rank != b.rank {
		return a.rank - b.rank
	}
	return state.CompareKeys(a.key, b.key)
}

// goesWithOther reports that something else that goes takes n along.
func (d *diff) goesWithOther(n *node) bool {
	return slices.ContainsFunc(containers(n.live), func(k state.Key) bool {
		c := d.nodes[k]
		return c != nil && c.dead
	})
}

// take makes root the one that is deleted, and whatever is inside it goes along.
func (d *diff) take(root *node) {
	root.taker = root
	queue := []*node{root}
	for len(queue) > 0 {
		n := queue[0]
		queue = queue[1:]
		for _, content := range d.inside[n] {
			if content.dead && content.taker == nil {
				content.taker = root
				queue = append(queue, content)
			}
		}
	}
}

func isSecond(o state.Object) bool {
	along, ok := o.(state.MadeAlong)
	if !ok {
		return false
	}
	_, second := along.MadeBy()
	return second
}

// rank lists the kinds from the outer to the inner, and the records after the kernel.
var rank = func() map[state.Kind]int {
	ranks := map[state.Kind]int{}
	for i, k := range []state.Kind{
		state.KindClaim, state.KindPool, state.KindLease, state.KindAllocation, state.KindNode, state.KindPluginNetwork,
		state.KindNamespace, state.KindRuleset, state.KindPluginEndpoint, state.KindLink, state.KindSysctl,
		state.KindQdisc, state.KindRedirect, state.KindNeighbor, state.KindFDB, state.KindAddress, state.KindRoute, state.KindRule, state.KindWayOut, state.KindFile,
		state.KindIPsecState, state.KindIPsecPolicy, state.KindKeyring,
		state.KindHost, state.KindPolicy, state.KindNetwork, state.KindSandbox, state.KindEndpoint, state.KindOutput,
	} {
		ranks[k] = i
	}
	return ranks
}()

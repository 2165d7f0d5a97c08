package planner

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cnmctl/cnmctl/state"
)

// All that is known about order is in this file:
//
//   - create and update after what the object needs, delete before what it needs;
//   - free a thing that only one can hold before somebody else takes it;
//   - set again what a deletion damages after that deletion;
//   - in one place: the namespace's own sysctls, then links, their sysctls, addresses,
//     routes (a gateway must be reachable), rules, and files last; away in reverse;
//   - claim before anything is made for an endpoint, and release after all is gone;
//   - publish a record after all kernel objects are made, withdraw it before any goes;
//   - creations first; what goes, goes as late as it may.

// The parts of a plan, which follow each other.
const (
	early  = iota // what is made, and what has to go to make room for it
	late          // what merely goes
	last          // what is forgotten
	phases        // their number
)

// graph orders ops. Its vertices are ops, and after them gates: a gate opens when all
// before it are done, and so stands for n × m edges with n + m.
type graph struct {
	d     *diff
	ops   []state.Op
	after [][]int32 // after[v] are the vertices that wait for v
	waits []int32   // waits[v] is how many vertices v waits for
	phase []uint8
	gates map[gate]int32
}

// gate names a gate: what has to be done, for whom.
type gate struct {
	what string
	who  string
}

// order puts the plan's ops in order and cuts them into waves.
func (p *Plan) order(d *diff) error {
	g := &graph{
		d: d, ops: p.Ops,
		after: make([][]int32, len(p.Ops), 2*len(p.Ops)),
		waits: make([]int32, len(p.Ops), 2*len(p.Ops)),
		phase: make([]uint8, len(p.Ops)),
		gates: map[gate]int32{},
	}
	g.rulesets()
	for _, n := range d.changes {
		g.needs(n)
		g.places(n)
		g.store(n)
	}
	g.damage()
	g.unique()
	g.split()
	waves, err := g.waves()
	if err != nil {
		return err
	}
	p.sort(waves)
	return nil
}

// edge has w wait for v. -1 is an op that there is not.
func (g *graph) edge(v, w int32) {
	if v < 0 || w < 0 || v == w {
		return
	}
	g.after[v] = append(g.after[v], w)
	g.waits[w]++
}

// gate is the vertex of the gate, made when first asked for.
func (g *graph) gate(what, who string) int32 {
	k := gate{what, who}
	v, ok := g.gates[k]
	if !ok {
		v = int32(len(g.after))
		g.after = append(g.after, nil)
		g.waits = append(g.waits, 0)
		g.gates[k] = v
	}
	return v
}

// setting is the op that makes the node as it is wanted, -1 for none.
func (n *node) setting() int32 {
	if n.made {
		return int32(n.opMaking)
	}
	return int32(n.opUpdating)
}

// taking is the op that takes the node's live object away, -1 for none.
func (n *node) taking() int32 { return int32(n.opTaking) }

// needs orders a node against what it needs, wanted and live.
func (g *graph) needs(n *node) {
	if n.dead && n.made {
		g.edge(n.taking(), n.setting())
	}
	if n.setting() >= 0 && n.want != nil {
		for _, k := range n.want.Needs() {
			if x := g.d.nodes[k]; x != nil {
				g.edge(x.setting(), n.setting())
			}
		}
	}
	if n.live == nil {
		return
	}
	for _, k := range n.live.Needs() {
		x := g.d.nodes[k]
		if x == nil || !x.dead {
			continue
		}
		if n.dead {
			g.edge(n.taking(), x.taking())
		} else if !x.made {
			g.edge(n.setting(), x.taking())
		}
	}
}

// step is the turn of an object within its place, both on the way in and, backwards, on
// the way out; -1 for kinds that wait only for what they need.
func step(o state.Object) int {
	switch o := o.(type) {
	case state.Sysctl:
		if o.Link == "" {
			return 0
		}
	case state.Link:
		return 1
	case state.IPAddress:
		return 2
	case state.Route:
		return 3
	case state.Rule:
		return 4
	case state.File:
		return 5
	}
	return -1
}

const steps = 6

// stepNames name the gates behind the steps.
var (
	stepsIn  = [steps]string{"sysctls set", "links made", "addresses set", "routes set", "rules set", "files written"}
	stepsOut = [steps]string{"sysctls unset", "links gone", "addresses gone", "routes gone", "rules gone", "files gone"}
)

// places orders the nodes of one place.
func (g *graph) places(n *node) {
	if n.key.Place == state.Store {
		return
	}
	if v := n.setting(); v >= 0 && n.want != nil {
		if s := step(n.want); s >= 0 {
			g.turn(v, s, string(n.key.Place), stepsIn[:], false)
		}
		g.linkSettings(n, v)
	}
	if n.dead && n.taker == n {
		if s := step(n.live); s >= 0 {
			g.turn(n.taking(), s, string(n.key.Place), stepsOut[:], true)
		}
	}
}

// turn has the op wait for the step before it and open the gate behind its own. Links
// wait for nothing but sysctls, and addresses not for links: they need only their own.
func (g *graph) turn(v int32, s int, place string, names []string, backwards bool) {
	link := func(a, b int32) {
		if backwards {
			a, b = b, a
		}
		g.edge(a, b)
	}
	if s > 0 {
		before := s - 1
		if s <= 2 {
			before = 0
		}
		link(g.stepGate(before, place, names, backwards), v)
	}
	link(v, g.stepGate(s, place, names, backwards))
}

// stepGate is the gate behind a step; it waits for the gate of the step before.
func (g *graph) stepGate(s int, place string, names []string, backwards bool) int32 {
	if v, ok := g.gates[gate{names[s], place}]; ok {
		return v
	}
	v := g.gate(names[s], place)
	if s >= 3 {
		before := g.stepGate(s-1, place, names, backwards)
		if backwards {
			g.edge(v, before)
		} else {
			g.edge(before, v)
		}
	}
	return v
}

// linkSettings has a link's own sysctls set before it gets addresses: whether IPv6 is on
// is one of them.
func (g *graph) linkSettings(n *node, v int32) {
	switch o := n.want.(type) {
	case state.Sysctl:
		if o.Link != "" {
			g.edge(v, g.gate("sysctls of link", string(o.Place)+" "+o.Link))
		}
	case state.IPAddress:
		g.edge(g.gate("sysctls of link", string(o.Place)+" "+o.Link), v)
	}
}

// store orders claims and records against what is in the kernel.
func (g *graph) store(n *node) {
	who := string(g.d.current(n.owner()))
	switch n.key.Kind {
	case state.KindClaim:
		if n.made {
			g.edge(n.setting(), g.gate("claimed", who))
			g.edge(n.setting(), g.gate("all made", ""))
		}
		if n.dead {
			holder := string(g.d.current(n.live.Owner().Address))
			g.edge(g.gate("unplumbed", holder), n.taking())
			g.edge(g.gate("withdrawn", holder), n.taking())
		}
	case state.KindNetwork, state.KindSandbox, state.KindEndpoint:
		g.edge(g.gate("all made", ""), n.setting())
		// A moved record is written under its new address before the old one goes.
		if n.dead && who == string(n.owner()) {
			g.edge(n.taking(), g.gate("withdrawn", who))
		} else if n.dead {
			g.edge(g.gate("recorded", who), n.taking())
		}
		if n.made {
			g.edge(n.setting(), g.gate("recorded", who))
		}
	default:
		if n.made {
			g.edge(g.gate("claimed", who), n.setting())
		}
		if v := n.setting(); v >= 0 && !n.forgotten && g.phase[v] != late {
			g.edge(v, g.gate("all made", ""))
		}
		if n.dead {
			holder := string(g.d.current(n.live.Owner().Address))
			g.edge(g.gate("withdrawn", holder), n.taking())
			g.edge(n.taking(), g.gate("unplumbed", holder))
		}
	}
}

// rulesets has links go under the rules that they came under: a ruleset goes after the
// links of its place, and, unless something new waits for the new rules, changes after
// them. (Which ruleset guards a live link is not written on it.)
func (g *graph) rulesets() {
	awaited := map[state.Key]bool{}
	for _, n := range g.d.changes {
		if n.setting() < 0 || n.want == nil {
			continue
		}
		for _, k := range n.want.Needs() {
			awaited[k] = true
		}
	}
	for _, n := range g.d.changes {
		if n.key.Kind != state.KindRuleset || awaited[n.key] {
			continue
		}
		if n.updated {
			g.phase[n.opUpdating] = late
			g.edge(g.gate("links taken", string(n.key.Place)), n.setting())
		} else {
			g.edge(g.gate("links taken", string(n.key.Place)), n.taking())
		}
	}
	for _, n := range g.d.changes {
		if n.dead && n.key.Kind == state.KindLink {
			g.edge(n.taking(), g.gate("links taken", string(n.key.Place)))
		}
	}
}

// damage has things set again after the deletion that damages them.
func (g *graph) damage() {
	for gone, nodes := range g.d.shaken {
		for _, n := range nodes {
			g.edge(gone.taking(), n.setting())
		}
	}
}

// unique has things that only one can hold freed before they are taken.
func (g *graph) unique() {
	freed, taken := map[string][]int32{}, map[string][]int32{}
	for _, n := range g.d.changes {
		if n.dead || n.updated {
			hold(freed, n.live, n.want, n.dead, n.taking(), n.setting())
		}
	}
	if len(freed) == 0 {
		return
	}
	for _, n := range g.d.changes {
		if n.made || n.updated {
			hold(taken, n.want, n.live, n.made, n.setting(), n.setting())
		}
	}
	for name, takers := range taken {
		if len(freed[name]) == 0 {
			continue
		}
		v := g.gate("free", name)
		for _, f := range freed[name] {
			g.edge(f, v)
		}
		for _, t := range takers {
			g.edge(v, t)
		}
	}
}

// hold notes under each name that o holds the op that frees or takes it: all of them when
// the object goes or comes as a whole, else those that the other one does not hold.
func hold(by map[string][]int32, o, other state.Object, whole bool, wholeOp, updateOp int32) {
	u, ok := o.(state.Unique)
	if !ok {
		return
	}
	var kept []string
	if v, ok := other.(state.Unique); ok && !whole {
		kept = v.Holds()
	}
	op := updateOp
	if whole {
		op = wholeOp
	}
	for _, name := range u.Holds() {
		if !slices.Contains(kept, name) {
			by[name] = append(by[name], op)
		}
	}
}

// split decides which ops are early: those that make something, and whatever they wait for.
func (g *graph) split() {
	before := make([][]int32, len(g.after))
	for v, ws := range g.after {
		for _, w := range ws {
			before[w] = append(before[w], int32(v))
		}
	}
	soon := make([]bool, len(g.after))
	var queue []int32
	for i, op := range g.ops {
		if op.Action != state.Delete && g.phase[i] != late && !forgets(op) {
			soon[i] = true
			queue = append(queue, int32(i))
		}
	}
	for len(queue) > 0 {
		v := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		for _, u := range before[v] {
			if !soon[u] {
				soon[u] = true
				queue = append(queue, u)
			}
		}
	}
	for i, op := range g.ops {
		switch {
		case soon[i]:
			g.phase[i] = early
		case forgets(op):
			g.phase[i] = last
		default:
			g.phase[i] = late
		}
	}
}

// waves cuts the ops into runs that need nothing of each other: Kahn's algorithm, with
// everything that is ready taken at once, in the order of the ops.
func (g *graph) waves() ([][]int32, error) {
	var ready [phases][]int32
	var open, close func(v int32)
	open = func(v int32) {
		if int(v) < len(g.ops) {
			ready[g.phase[v]] = append(ready[g.phase[v]], v)
		} else {
			close(v)
		}
	}
	close = func(v int32) {
		for _, w := range g.after[v] {
			if g.waits[w]--; g.waits[w] == 0 {
				open(w)
			}
		}
	}
	for v, n := range slices.Clone(g.waits) {
		if n == 0 {
			open(int32(v))
		}
	}
	var waves [][]int32
	placed := 0
	for {
		p := slices.IndexFunc(ready[:], func(vs []int32) bool { return len(vs) > 0 })
		if p < 0 {
			break
		}
		wave := ready[p]
		ready[p] = nil
		slices.Sort(wave)
		waves = append(waves, wave)
		placed += len(wave)
		for _, v := range wave {
			close(v)
		}
	}
	if placed < len(g.ops) {
		return nil, g.cycle()
	}
	return waves, nil
}

// sort puts the plan's ops in the order of the waves.
func (p *Plan) sort(waves [][]int32) {
	ops := make([]state.Op, 0, len(p.Ops))
	for _, wave := range waves {
		for _, v := range wave {
			ops = append(ops, p.Ops[v])
		}
		p.Waves = append(p.Waves, len(ops))
	}
	p.Ops = ops
}

// cycle is the error for ops that wait for each other in a circle. Objects whose needs do
// not form one cannot bring it about, so it is a bug.
func (g *graph) cycle() error {
	before := make([]int32, len(g.after))
	for v, ws := range g.after {
		for _, w := range ws {
			if g.waits[v] > 0 && g.waits[w] > 0 {
				before[w] = int32(v)
			}
		}
	}
	v := int32(slices.IndexFunc(g.waits, func(n int32) bool { return n > 0 }))
	for range g.after {
		v = before[v] // whoever begins outside the circle is inside it by now
	}
	path := []string{g.name(v)}
	for u := before[v]; u != v; u = before[u] {
		path = append(path, g.name(u))
	}
	slices.Reverse(path)
	return fmt.Errorf("ordering the plan: these wait for each other: %s (a bug in cnmctl: please report it)",
		strings.Join(append(path, path[0]), " → "))
}

// name is a vertex in words.
func (g *graph) name(v int32) string {
	if int(v) < len(g.ops) {
		return string(g.ops[v].Action) + " " + g.ops[v].Key.String()
	}
	for k, u := range g.gates {
		if u == v {
			return strings.TrimSpace(k.what + " " + k.who)
		}
	}
	return "?"
}

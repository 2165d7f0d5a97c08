package planner

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cnmctl/cnmctl/state"
)

// graph orders ops. Its vertices are ops, and after them gates: a gate opens when all
// before it are done, and so stands for n × m edges with n + m.
type graph struct {
	d     *diff
	ops   []state.Op
	edges []edge
	after [][]edge // after[v] are the edges to the vertices that wait for v; made of edges
	waits []int32  // waits[v] is how many vertices v waits for
	phase []uint8
	gates map[gate]int32
	spots map[state.Place]*spot
	// putOff are the ops that make nothing that others wait for.
	putOff map[int32]bool
}

// edge has the vertex it leads to wait for the one that it comes from.
type edge struct {
	from, to int32
	rank     firmness
}

// gate names a gate: what has to be done, for whom.
type gate struct {
	what  string
	place state.Place
	who   string
}

// spot has the gates of one place, behind each step of the way in and out; 0 for none. They
// are most of all gates beside those of blocks.
type spot struct{ in, out [steps]int32 }

// spot is that of a place, made when first asked for.
func (g *graph) spot(p state.Place) *spot {
	s := g.spots[p]
	if s == nil {
		s = &spot{}
		g.spots[p] = s
	}
	return s
}

// order puts the plan's ops in order and cuts them into waves.
func (p *Plan) order(d *diff) error {
	g := newGraph(d, p.Ops)
	for _, n := range d.changes {
		g.needs(n)
	}
	g.rulesets()
	for _, n := range d.changes {
		g.places(n)
		g.store(n)
	}
	g.damage()
	g.unique()
	g.renames()
	waves, err := g.solve()
	if err != nil {
		return err
	}
	if d.opts.back {
		p.sequel = g.sequel(waves)
	}
	p.sort(waves, d)
	return nil
}

func newGraph(d *diff, ops []state.Op) *graph {
	return &graph{
		d: d, ops: ops,
		edges:  make([]edge, 0, 6*len(ops)),
		waits:  make([]int32, len(ops), 2*len(ops)),
		phase:  make([]uint8, len(ops)),
		gates:  map[gate]int32{},
		spots:  map[state.Place]*spot{},
		putOff: map[int32]bool{},
	}
}

// edge has w wait for v. -1 is an op that there is not.
func (g *graph) edge(v, w int32) { g.prefer(firm, v, w) }

// prefer has w wait for v as firmly as rank says.
func (g *graph) prefer(rank firmness, v, w int32) {
	if v < 0 || w < 0 || v == w {
		return
	}
	g.edges = append(g.edges, edge{v, w, rank})
	g.waits[w]++
}

// index lists the edges by the vertices they come from.
func (g *graph) index() {
	g.after = make([][]edge, len(g.waits))
	starts := make([]int32, len(g.waits)+1)
	for _, e := range g.edges {
		starts[e.from+1]++
	}
	for v := range g.after {
		starts[v+1] += starts[v]
	}
	sorted := make([]edge, len(g.edges))
	next := slices.Clone(starts)
	for _, e := range g.edges {
		sorted[next[e.from]] = e
		next[e.from]++
	}
	for v := range g.after {
		g.after[v] = sorted[starts[v]:starts[v+1]:starts[v+1]]
	}
}

// gate is the vertex of the gate, made when first asked for.
func (g *graph) gate(k gate) int32 {
	v, ok := g.gates[k]
	if !ok {
		v = g.newGate()
		g.gates[k] = v
	}
	return v
}

func (g *graph) newGate() int32 {
	g.waits = append(g.waits, 0)
	return int32(len(g.waits)) - 1
}

// The gates of a block, by what has to be done. They are many, and are found without a look
// at a map.
const (
	claimed    = iota // its claims are made
	made              // all that is made for it is made
	recorded          // its record is written
	withdrawn         // its record is gone
	unplumbed         // all that it had in the kernel is gone
	blockGates        // their number
)

var blockGateNames = [blockGates]string{"claimed", "made", "recorded", "withdrawn", "unplumbed"}

// blockGate is the vertex of a block's gate, made when first asked for. No gate has the
// number 0: ops come before gates.
func (g *graph) blockGate(what int, b *block) int32 {
	if b.gates[what] == 0 {
		b.gates[what] = g.newGate()
	}
	return b.gates[what]
}

// split decides which ops are early: those that make something, and whatever they wait for.
func (g *graph) split() {
	before := g.before()
	soon := make([]bool, len(g.after))
	queue := make([]int32, 0, len(g.after))
	for i, op := range g.ops {
		if op.Action != state.Delete && !g.putOff[int32(i)] && !forgets(op) {
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

// before lists for each vertex those that it waits for.
func (g *graph) before() [][]int32 {
	total := 0
	for _, n := range g.waits {
		total += int(n)
	}
	all, before := make([]int32, total), make([][]int32, len(g.waits))
	for w, n := range g.waits {
		before[w], all = all[:0:n], all[n:]
	}
	for v, edges := range g.after {
		for _, e := range edges {
			before[e.to] = append(before[e.to], int32(v))
		}
	}
	return before
}

// waves cuts the ops into runs that need nothing of each other: Kahn's algorithm, with
// everything that is ready taken at once, in the order of the ops. Whoever waits for
// himself is in none; waits is what they wait for.
func (g *graph) waves() (waves [][]int32, waits []int32) {
	waits = slices.Clone(g.waits)
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
		for _, e := range g.after[v] {
			if waits[e.to]--; waits[e.to] == 0 {
				open(e.to)
			}
		}
	}
	for v, n := range g.waits {
		if n == 0 {
			open(int32(v))
		}
	}
	for {
		p := slices.IndexFunc(ready[:], func(vs []int32) bool { return len(vs) > 0 })
		if p < 0 {
			return waves, waits
		}
		wave := ready[p]
		ready[p] = nil
		slices.Sort(wave)
		waves = append(waves, wave)
		for _, v := range wave {
			close(v)
		}
	}
}

// sort puts the plan's ops, and those who they are for, in the order of the waves.
func (p *Plan) sort(waves [][]int32, d *diff) {
	ops, doers := make([]state.Op, 0, len(p.Ops)), make([]*node, 0, len(p.Ops))
	for _, wave := range waves {
		for _, v := range wave {
			ops, doers = append(ops, p.Ops[v]), append(doers, d.doers[v])
		}
		p.Waves = append(p.Waves, len(ops))
	}
	p.Ops, d.doers = ops, doers
}

// cycle is the error for ops that wait for each other in a circle of firm edges. Objects
// whose needs do not form one cannot bring it about, so it is a bug.
func (g *graph) cycle(waits []int32) error {
	before := make([]int32, len(g.after))
	for v, edges := range g.after {
		for _, e := range edges {
			if waits[v] > 0 && waits[e.to] > 0 {
				before[e.to] = int32(v)
			}
		}
	}
	v := int32(slices.IndexFunc(waits, func(n int32) bool { return n > 0 }))
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
			return strings.Join(strings.Fields(k.what+" "+string(k.place)+" "+k.who), " ")
		}
	}
	for place, s := range g.spots {
		if i := slices.Index(s.in[:], v); i >= 0 {
			return stepsIn[i] + " " + string(place)
		}
		if i := slices.Index(s.out[:], v); i >= 0 {
			return stepsOut[i] + " " + string(place)
		}
	}
	for _, b := range g.d.blocks {
		if what := slices.Index(b.gates[:], v); what >= 0 {
			return blockGateNames[what] + " " + string(b.address)
		}
	}
	return "?"
}

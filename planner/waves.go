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
	after [][]edge // after[v] are the edges to the vertices that wait for v
	waits []int32  // waits[v] is how many vertices v waits for
	phase []uint8
	gates map[gate]int32
	// putOff are the ops that make nothing that others wait for.
	putOff map[int32]bool
	// awaited are the rulesets that something new needs.
	awaited map[state.Key]bool
}

// edge has the vertex it leads to wait for the one that it comes from.
type edge struct {
	to   int32
	rank firmness
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
		after:  make([][]edge, len(p.Ops), 2*len(p.Ops)),
		waits:  make([]int32, len(p.Ops), 2*len(p.Ops)),
		phase:  make([]uint8, len(p.Ops)),
		gates:  map[gate]int32{},
		putOff: map[int32]bool{}, awaited: map[state.Key]bool{},
	}
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
	p.sort(waves)
	return nil
}

// edge has w wait for v. -1 is an op that there is not.
func (g *graph) edge(v, w int32) { g.prefer(firm, v, w) }

// prefer has w wait for v as firmly as rank says.
func (g *graph) prefer(rank firmness, v, w int32) {
	if v < 0 || w < 0 || v == w {
		return
	}
	g.after[v] = append(g.after[v], edge{w, rank})
	g.waits[w]++
}

// gate is the vertex of the gate, made when first asked for.
func (g *graph) gate(what, who string) int32 {
	k := gate{what, who}
	v, ok := g.gates[k]
	if !ok {
		v = g.newGate()
		g.gates[k] = v
	}
	return v
}

func (g *graph) newGate() int32 {
	g.after = append(g.after, nil)
	g.waits = append(g.waits, 0)
	return int32(len(g.after)) - 1
}

// The gates of a block, by what has to be done. They are most of all gates, and are found
// without a look at a map.
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
	before := make([][]int32, len(g.after))
	for v, edges := range g.after {
		for _, e := range edges {
			before[e.to] = append(before[e.to], int32(v))
		}
	}
	soon := make([]bool, len(g.after))
	var queue []int32
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
			return strings.TrimSpace(k.what + " " + k.who)
		}
	}
	for _, b := range g.d.blocks {
		if what := slices.Index(b.gates[:], v); what >= 0 {
			return blockGateNames[what] + " " + string(b.address)
		}
	}
	return "?"
}

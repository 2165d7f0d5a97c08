package planner

import "slices"

// firmness says which edges give way when ops wait for each other in a circle: the least
// firm first, and of those only the ones that are part of a circle.
type firmness uint8

const (
	// firm: without it the op would fail, or break a promise.
	firm firmness = iota
	// letGo: who stays lets go of what goes before that goes. The kernel does without, it
	// takes a port out of a bridge that goes; and a record is written right after.
	letGo
	// publish: a record is written after everything is made. Firm is only that it is
	// written after what its own block needs.
	publish
)

// solve cuts the ops into waves, with as many edges as there can be.
func (g *graph) solve() ([][]int32, error) {
	g.index()
	for least := publish; ; least-- {
		g.split()
		waves, waits := g.waves()
		if !slices.ContainsFunc(waits, func(n int32) bool { return n > 0 }) {
			return waves, nil
		}
		if least == firm {
			return nil, g.cycle(waits)
		}
		g.yield(least)
	}
}

// yield takes the edges of one rank out of all circles.
func (g *graph) yield(rank firmness) {
	circle := g.circles()
	for v := range g.after {
		g.after[v] = slices.DeleteFunc(g.after[v], func(e edge) bool {
			gone := e.rank == rank && circle[v] == circle[e.to]
			if gone {
				g.waits[e.to]--
			}
			return gone
		})
	}
}

// circles numbers the vertices so that two have one number when each waits for the other:
// the strongly connected components, found by Tarjan's algorithm.
func (g *graph) circles() []int32 {
	var (
		circle = make([]int32, len(g.after)) // 0: not known yet
		index  = make([]int32, len(g.after)) // when a vertex was first seen; 0: not yet
		seen   int32
		stack  []int32
		visit  func(v int32) (lowest int32)
	)
	visit = func(v int32) int32 {
		seen++
		index[v] = seen
		lowest, depth := seen, len(stack)
		stack = append(stack, v)
		for _, e := range g.after[v] {
			switch {
			case index[e.to] == 0:
				lowest = min(lowest, visit(e.to))
			case circle[e.to] == 0:
				lowest = min(lowest, index[e.to])
			}
		}
		if lowest == index[v] {
			for _, u := range stack[depth:] {
				circle[u] = lowest
			}
			stack = stack[:depth]
		}
		return lowest
	}
	for v := range g.after {
		if index[v] == 0 {
			visit(int32(v))
		}
	}
	return circle
}

package planner

import "github.com/cnmctl/cnmctl/state"

// sequel remembers of a graph what a plan's ops wait for, by their places in the plan.
type sequel struct {
	after  [][]edge // by vertex; ops are vertices in the order that they had before they were sorted
	vertex []int32  // of each op
	op     []int32  // of each vertex that is one
	loose  map[int32]bool
}

// sequel is made when the ops have their order.
func (g *graph) sequel(waves [][]int32) *sequel {
	s := &sequel{after: g.after, op: make([]int32, len(g.ops)), loose: map[int32]bool{}}
	for _, wave := range waves {
		for _, v := range wave {
			s.op[v] = int32(len(s.vertex))
			s.vertex = append(s.vertex, v)
		}
	}
	// On the host, which is all networks', one whose address failed does not stop the routes of
	// others. Its own fail by themselves.
	if host := g.spots[state.Host]; host != nil {
		for _, v := range append(host.in[:], host.out[:]...) {
			s.loose[v] = v != 0
		}
	}
	return s
}

// Behind lists the ops of a way back that are not to be tried when the one at index i has
// failed: those that would fail because of it, or break a promise. Of other plans nothing
// is known.
func (p *Plan) Behind(i int) []int {
	s := p.sequel
	if s == nil {
		return nil
	}
	// A claim is what a network stands on. A record only tells of it, so what is in the kernel
	// does not wait for one.
	tells := func(op int) bool { return p.Ops[op].Key.Place == state.Store && p.Ops[op].Key.Kind != state.KindClaim }
	type at struct {
		v     int32
		tells bool // the last op on the way there does
	}
	var behind []int
	barred := make([]bool, len(p.Ops))
	barred[i] = true
	queue := []at{{s.vertex[i], tells(i)}}
	seen := map[at]bool{queue[0]: true}
	for len(queue) > 0 {
		from := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		for _, e := range s.after[from.v] {
			if e.rank == publish || s.loose[e.to] {
				continue
			}
			to := at{e.to, from.tells}
			if int(e.to) < len(s.op) {
				op := int(s.op[e.to])
				if from.tells && p.Ops[op].Key.Place.InKernel() {
					continue
				}
				if to.tells = tells(op); !barred[op] {
					barred[op] = true
					behind = append(behind, op)
				}
			}
			if !seen[to] {
				seen[to] = true
				queue = append(queue, to)
			}
		}
	}
	return behind
}

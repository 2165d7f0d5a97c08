package kernel

import (
	"fmt"
	"sync"

	"github.com/cnmctl/cnmctl/state"
	"golang.org/x/sync/errgroup"
)

// applyRulesets changes the wave's tables, each in one transaction. Each namespace has a
// lock of its own for them, so several threads go from one namespace to the next.
func (r *run) applyRulesets(ops []int) error {
	places, in := r.byPlace(ops)
	left := make(chan state.Place, len(places))
	for _, p := range places {
		left <- p
	}
	close(left)
	var one sync.Mutex // of them reports at a time
	var group errgroup.Group
	for range min(readers(), len(places)) {
		group.Go(func() error {
			return excursion(func() error { return r.changeTables(left, in, &one) })
		})
	}
	return group.Wait()
}

// changeTables changes the tables of what places are left, until none is or an op fails.
//
// The kernel frees what a transaction has deleted after an RCU grace period, and whoever
// closes a netfilter socket of the namespace before waits for it (nft_rcv_nl_event). So the
// sockets stay open until others have been worked on.
func (r *run) changeTables(left <-chan state.Place, in map[state.Place][]int, one *sync.Mutex) error {
	var used []int
	for p := range left {
		if err := r.ctx.Err(); err != nil {
			r.closeMeanwhile(used)
			return err
		}
		c, err := r.openFilterIn(p)
		if err == nil {
			used = append(used, c.fd)
		}
		failed := false
		for _, i := range in[p] {
			opErr := err
			if opErr == nil {
				opErr = c.applyRuleset(r.wave[i])
			}
			one.Lock()
			r.report(i, opErr)
			failed = r.first != nil
			one.Unlock()
		}
		if failed {
			break
		}
		if len(used) > r.maxOpen/8 {
			r.closeMeanwhile(used)
			used = nil
		}
	}
	r.closeMeanwhile(used)
	return nil
}

// openFilterIn opens a netfilter socket in the place, which the calling thread goes to.
func (k *Kernel) openFilterIn(p state.Place) (*filterConn, error) {
	if err := k.visit(p); err != nil {
		return nil, fmt.Errorf("entering %s: %w", p, err)
	}
	c, err := k.openFilter()
	if err != nil {
		return nil, fmt.Errorf("opening a netfilter socket: %w", err)
	}
	return c, nil
}

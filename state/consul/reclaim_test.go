package consul_test

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/cnmctl/cnmctl/state"
	"github.com/cnmctl/cnmctl/state/consul"
	"github.com/cnmctl/cnmctl/state/consul/consultest"
	"github.com/hashicorp/consul/api"
)

// TestReclaim: what is nobody's is claimed, beside many others who do so, without the lock and
// without a revision; what is another's stays so, and who has the lock is not disturbed.
func TestReclaim(t *testing.T) {
	t.Parallel()
	server := consultest.Start(t, consultest.Options{})
	stack := func(name string) *consul.Store {
		s, err := consul.Open(consul.Options{Stack: name, Address: server.HTTP})
		check(t, err)
		t.Cleanup(func() { s.Close() })
		return s
	}
	vni := func(stack string, n uint32) state.Claim {
		return state.Claim{VNI: n, Mark: state.Owner{Stack: stack, Address: "network.n"}}
	}
	shop, other := stack("shop"), stack("other")
	if n, others, err := other.Reclaim(t.Context(), []state.Claim{vni("other", 256)}); n != 1 || len(others) > 0 || err != nil {
		t.Fatalf("claimed %d, not %v, %v", n, others, err)
	}

	held := []state.Claim{vni("shop", 256), vni("shop", 257)}
	for i := range 150 {
		held = append(held, state.Claim{
			Network: "network.n", IP: netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}),
			Mark: state.Owner{Stack: "shop", Address: state.Address(fmt.Sprintf("endpoint.e%d", i))},
		})
	}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			_, others, err := stack("shop").Reclaim(t.Context(), held)
			var busy *consul.UnreachableError
			for deadline := time.Now().Add(2 * time.Minute); errors.As(err, &busy) && time.Now().Before(deadline); { // so do agents
				_, others, err = stack("shop").Reclaim(t.Context(), held)
			}
			if err != nil || len(others) != 1 || others[0] != vni("other", 256) {
				t.Errorf("others have %v, %v", others, err)
			}
		})
	}
	all.Wait()
	w, err := shop.Snapshot(t.Context())
	check(t, err)
	if len(w) != len(held) {
		t.Errorf("%d claims are there, not %d", len(w), len(held))
	}
	if r, err := shop.Revision(t.Context()); err != nil || r.Index > 0 {
		t.Errorf("the revision is %v, %v", r, err)
	}

	unlock, err := shop.Lock(t.Context(), state.LockInfo{Who: "ann"})
	check(t, err)
	more := []state.Claim{vni("shop", 300)}
	var locked *state.LockedError
	if n, _, err := stack("shop").Reclaim(t.Context(), more); !errors.As(err, &locked) || n > 0 {
		t.Errorf("with the lock held, claimed %d, %v", n, err)
	}
	check(t, unlock())
	client, err := api.NewClient(&api.Config{Address: server.HTTP})
	check(t, err)
	_, err = client.KV().Put(&api.KVPair{Key: "cnm/shop/lock"}, nil) // as a session that ended leaves it
	check(t, err)
	if n, _, err := shop.Reclaim(t.Context(), more); n != 1 || err != nil {
		t.Errorf("claimed %d, %v", n, err)
	}
}

package consul_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
	"testing"

	"github.com/cnmctl/cnmctl/state"
	"github.com/cnmctl/cnmctl/state/consul"
	"github.com/cnmctl/cnmctl/state/consul/consultest"
	"github.com/cnmctl/cnmctl/state/statetest"
	"github.com/hashicorp/consul/api"
)

func TestContract(t *testing.T) {
	server := consultest.Start(t, consultest.Options{})
	var n atomic.Int32
	statetest.Run(t, func(*testing.T) func() (state.RecordStore, error) {
		path := fmt.Sprint("contract/", n.Add(1))
		return func() (state.RecordStore, error) {
			return consul.Open(consul.Options{Stack: statetest.Stack, Path: path, Address: server.HTTP, Silence: patience / 2})
		}
	})
}

// open opens a store of the stack "shop" at the address; change says what is different.
func open(t testing.TB, address string, change ...func(*consul.Options)) *consul.Store {
	t.Helper()
	o := consul.Options{Stack: "shop", Address: address, Who: "test", Silence: patience / 2, SessionTTL: 2 * patience}
	for _, c := range change {
		c(&o)
	}
	store, err := consul.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

// client is Consul's own, to look and meddle with.
func client(t testing.TB, server *consultest.Server, token string) *api.Client {
	t.Helper()
	c, err := api.NewClient(&api.Config{Address: server.HTTP, Token: token})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func mark(a string) state.Owner { return state.Owner{Stack: "shop", Address: state.Address(a)} }

func claim(holder string, n byte) state.Claim {
	return state.Claim{Network: "network.front", IP: netip.AddrFrom4([4]byte{10, 1, 0, n}), Mark: mark(holder)}
}

func network(name string) state.Network {
	return state.Network{Mark: mark("network." + name), Name: name, Driver: "bridge"}
}

// networks are n small records.
func networks(n int) []state.Object {
	objects := make([]state.Object, n)
	for i := range objects {
		objects[i] = network(fmt.Sprintf("n%05d", i))
	}
	return objects
}

// endpoints are n endpoints, each with the claim on its address.
func endpoints(n int) (objects []state.Object) {
	for i := range n {
		ip := netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)})
		owner := mark(fmt.Sprintf("endpoint.web[%q]", fmt.Sprint("w", i)))
		objects = append(objects, state.Claim{Network: "network.front", IP: ip, Mark: owner}, state.Endpoint{
			Mark: owner, Name: fmt.Sprint("w", i), Network: "network.front", IPv4: netip.PrefixFrom(ip, 16),
			MAC: state.MAC{2, 0x42, 10, 1, byte(i >> 8), byte(i)}, Interface: "eth0",
		})
	}
	return objects
}

func creates(objects ...state.Object) []state.Op {
	ops := make([]state.Op, len(objects))
	for i, o := range objects {
		ops[i] = state.Op{Action: state.Create, Key: o.Key(), After: o}
	}
	return ops
}

func deletes(objects ...state.Object) []state.Op {
	ops := make([]state.Op, len(objects))
	for i, o := range objects {
		ops[i] = state.Op{Action: state.Delete, Key: o.Key(), Before: o}
	}
	return ops
}

// apply applies a wave and counts what it was told of, well and badly.
func apply(ctx context.Context, store *consul.Store, wave []state.Op) (done, failed int, err error) {
	err = store.Apply(ctx, wave, func(_ int, err error) {
		if err == nil {
			done++
		} else {
			failed++
		}
	})
	return done, failed, err
}

func mustApply(t testing.TB, store *consul.Store, wave []state.Op) {
	t.Helper()
	if done, _, err := apply(t.Context(), store, wave); err != nil || done != len(wave) {
		t.Fatalf("%d of %d operations done: %v", done, len(wave), err)
	}
}

// size is how many objects the store holds.
func size(t testing.TB, store *consul.Store) int {
	t.Helper()
	w, err := store.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return len(w)
}

// VNIs are one number space: stacks that know nothing else of each other share it.
func TestVNIsOfAllStacks(t *testing.T) {
	server := consultest.Start(t, consultest.Options{})
	shop := open(t, server.HTTP)
	lab := open(t, server.HTTP, func(o *consul.Options) { o.Stack = "lab" })
	ours := state.Claim{VNI: 256, Mark: mark("network.a")}
	mustApply(t, shop, creates(ours))

	w, err := lab.Snapshot(t.Context())
	if foreign, ok := w[state.VNIKey(256)].(state.Foreign); err != nil || len(w) != 1 || !ok || foreign.What != "a claim of stack shop (network.a)" {
		t.Fatalf("the other stack sees %v, %v", w, err)
	}
	theirs := state.Claim{VNI: 256, Mark: state.Owner{Stack: "lab", Address: "network.b"}}
	_, _, err = apply(t.Context(), lab, creates(theirs))
	var claimed *state.ClaimedError
	if !errors.As(err, &claimed) || claimed.Holder != ours.Mark {
		t.Fatalf("claiming the VNI of another stack: %v", err)
	}
	mustApply(t, lab, deletes(theirs)) // not theirs to release
	if w, err := shop.Snapshot(t.Context()); err != nil || w[ours.Key()] != state.Object(ours) {
		t.Fatalf("the claim is %v, %v", w, err)
	}
	mustApply(t, shop, deletes(ours))
	mustApply(t, lab, creates(theirs))
	pairs, _, err := client(t, server, "").KV().Keys("", "", nil)
	if err != nil || fmt.Sprint(pairs) != "[cnm/claim/vni/256 cnm/lab/revision]" {
		t.Errorf("the keys are %v, %v", pairs, err)
	}
}

// Two stacks take the first free VNI at the same instant, many times: no two get one.
func TestRaceForVNIs(t *testing.T) {
	server := consultest.Start(t, consultest.Options{})
	const stacks, each = 4, 10
	errs := make(chan error, stacks)
	for i := range stacks {
		store := open(t, server.HTTP, func(o *consul.Options) { o.Stack = fmt.Sprint("s", i) })
		go func() {
			for n := 0; n < each; {
				w, err := store.Snapshot(t.Context())
				if err != nil {
					errs <- err
					return
				}
				vni := uint32(256)
				for w[state.VNIKey(vni)] != nil {
					vni++
				}
				c := state.Claim{VNI: vni, Mark: state.Owner{Stack: fmt.Sprint("s", i), Address: state.Address(fmt.Sprint("network.n", n))}}
				_, _, err = apply(t.Context(), store, creates(c))
				var claimed *state.ClaimedError
				if err == nil {
					n++
				} else if !errors.As(err, &claimed) {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	for range stacks {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	keys, _, err := client(t, server, "").KV().Keys("cnm/claim/vni/", "", nil)
	if err != nil || len(keys) != stacks*each {
		t.Errorf("%d VNIs are claimed, want %d (%v)", len(keys), stacks*each, err)
	}
}

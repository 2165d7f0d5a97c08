package registry_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/cnmctl/cnmctl/drivers/drivertest"
	"github.com/cnmctl/cnmctl/drivers/registry"
	"github.com/cnmctl/cnmctl/planner"
	"github.com/cnmctl/cnmctl/state"
)

// moving is a network on host a with sandbox m on a host, and its endpoint on one.
func moving(t *testing.T, sandbox, endpoint string) state.World {
	t.Helper()
	r := records().Cluster("10.99.0.10", "10.99.0.11").Network("demo", "overlay", four).Change(internal).
		Sandbox("w0").Attach("demo", "w0").Sandbox("m", on(sandbox)).Attach("demo", "m")
	r.Endpoints[len(r.Endpoints)-1].Host = endpoint
	w, err := r.World(registry.All())
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// TestWhoMovedIsReachedFirst: the way to an endpoint that has moved away is there before its
// sandbox is torn down, which takes the kernel its time; and what is told of the move is
// told at once.
func TestWhoMovedIsReachedFirst(t *testing.T) {
	plan, diags := planner.Diff(moving(t, "a", "a"), moving(t, "b", "b"), planner.Options{Stack: drivertest.Owner("").Stack})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	at := func(is func(op state.Op) bool) int { return slices.IndexFunc(plan.Ops, is) }
	way := at(func(op state.Op) bool { return op.Key.Kind == state.KindFDB && op.Action == state.Create })
	gone := at(func(op state.Op) bool { return op.Key.Kind == state.KindNamespace && op.Action == state.Delete })
	if way < 0 || gone < 0 || gone < way {
		t.Errorf("the way is made by op %d, the sandbox goes by op %d of %v", way, gone, plan.Ops)
	}
	wave := func(op int) int {
		return slices.IndexFunc(plan.Waves, func(end int) bool { return op < end })
	}
	sandbox := at(func(op state.Op) bool { return op.Key.Kind == state.KindSandbox })
	endpoint := at(func(op state.Op) bool { return op.Key.Kind == state.KindEndpoint })
	if wave(sandbox) != wave(endpoint) {
		t.Errorf("the sandbox is said to have moved in wave %d, its endpoint in wave %d", wave(sandbox), wave(endpoint))
	}
}

// TestNoTunnelToOneself: of records that say of an endpoint that it is here, and of its
// sandbox that it is not, no tunnel to this host's own end is made.
func TestNoTunnelToOneself(t *testing.T) {
	for k, o := range moving(t, "b", "a") {
		if f, is := o.(state.FDB); is && f.VTEP == netip.MustParseAddr("10.99.0.10") {
			t.Errorf("%s leads to this host", k)
		}
	}
}

package planner_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/cnmctl/cnmctl/drivers"
	"github.com/cnmctl/cnmctl/drivers/registry"
	"github.com/cnmctl/cnmctl/planner"
	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
	"github.com/google/go-cmp/cmp"
)

const before = `
cnm { stack = "shop" }
network "front" {}
network "back" {
  ipv6     = true
  internal = true
}
network "six" {
  ipv4 = false
  ipv6 = true
}
network "bare" { driver = "ptp" }
network "cable" {
  driver = "ptp"
  subnet { cidr = "10.0.0.0/30" }
}
network "host" { driver = "host" }
sandbox "self" {}
endpoint "self" {
  network = network.host
  sandbox = sandbox.self
}
sandbox "w" { for_each = toset(["m", "n", "o"]) }
endpoint "front" {
  for_each = sandbox.w
  network  = network.front
  sandbox  = each.value
}
endpoint "back" {
  for_each = sandbox.w
  network  = network.back
  sandbox  = each.value
}
endpoint "six" {
  network = network.six
  sandbox = sandbox.w["o"]
}
endpoint "a1" {
  network = network.bare
  sandbox = sandbox.w["m"]
}
endpoint "a2" {
  network = network.bare
  sandbox = sandbox.w["n"]
}
endpoint "b1" {
  network = network.cable
  sandbox = sandbox.self
}
endpoint "b2" {
  network = network.cable
  sandbox = sandbox.w["n"]
}
network "span" {
  driver = "overlay"
  ipv6   = true
}
sandbox "far" {}
endpoint "span" {
  for_each = merge(sandbox.w, { far = sandbox.far })
  network  = network.span
  sandbox  = each.value
}
`

// more sorts before everything that is there, and would take its addresses and names.
const more = `
network "aaa" { ipv6 = true }
sandbox "aaa" {}
endpoint "aaa" {
  for_each = { "front" = network.front, "back" = network.back, "six" = network.six }
  network  = each.value
  sandbox  = sandbox.w["m"]
}
endpoint "aab" {
  network = network.front
  sandbox = sandbox.aaa
}
network "aac" {
  driver = "overlay"
}
sandbox "aac" {}
endpoint "aac" {
  for_each = { "aac" = network.aac, "span" = network.span }
  network  = each.value
  sandbox  = sandbox.aac
}
`

func evaluate(t *testing.T, text string, held planner.Held) *spec.Topology {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "main.hcl"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	config, diags := spec.Load(dir, spec.Options{Drivers: registry.Schemas()})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	top, diags := config.Evaluate(planner.NewAllocator(registry.Traits(), held))
	if len(diags) > 0 {
		t.Fatal(diags)
	}
	return top
}

// parts are a topology's objects in the kernel and in the store.
func parts(t *testing.T, top *spec.Topology) (kernel, store state.World) {
	t.Helper()
	world, err := drivers.Expand(top.Stack, "", drivers.RecordsOf(top), registry.All())
	if err != nil {
		t.Fatal(err)
	}
	kernel, store = state.World{}, state.World{}
	for k, o := range world {
		if k.Place == state.Store {
			store.Add(o)
		} else {
			kernel.Add(o)
		}
	}
	return kernel, store
}

func chosen(top *spec.Topology) map[state.Address]string {
	out := map[state.Address]string{}
	for _, n := range top.Networks {
		out[n.Mark.Address] = fmt.Sprint(n.Device, n.Subnets, n.VNIs)
	}
	for _, e := range top.Endpoints {
		out[e.Mark.Address] = fmt.Sprint(e.IPv4, e.IPv6, e.MAC, e.Interface, " ", e.HostInterface)
	}
	return out
}

// TestEitherHalfHoldsEverything: after the loss of the store, and after the loss of the
// kernel's objects, what there is keeps its addresses and names although newcomers would
// come first.
func TestEitherHalfHoldsEverything(t *testing.T) {
	first := evaluate(t, before, planner.Held{})
	want := chosen(first)
	kernel, store := parts(t, first)
	facts := planner.Facts{Links: map[string]bool{}}
	for k := range kernel {
		if k.Kind == state.KindLink && k.Place == state.Host {
			facts.Links[k.Name] = true
		}
	}
	for name, held := range map[string]planner.Held{
		"kernel": planner.HeldFrom(nil, kernel, nil, facts),
		"store":  planner.HeldFrom(store, nil, nil, planner.Facts{}),
		"both":   planner.HeldFrom(store, kernel, nil, facts),
	} {
		t.Run(name, func(t *testing.T) {
			got := chosen(evaluate(t, before+more, held))
			for address := range got {
				if _, old := want[address]; !old {
					delete(got, address)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("changed (-before +after):\n%s", diff)
			}
		})
	}
	if cmp.Equal(want, chosen(evaluate(t, more+before, planner.Held{}))) {
		t.Error("the newcomers take nothing, so this test tests nothing")
	}
}

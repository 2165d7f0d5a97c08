package main

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
)

// BenchmarkConfig reads, validates and plans configurations against nothing: what cnmctl
// costs without a kernel. What an endpoint costs should not grow with their number.
func BenchmarkConfig(b *testing.B) {
	for _, n := range []int{100, 1000, 10_000} {
		dir := b.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "main.hcl"), fmt.Appendf(nil, config, n), 0o644); err != nil {
			b.Fatal(err)
		}
		run := func(name string, step func(*testing.B, *spec.Topology)) {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					step(b, evaluated(b, dir))
				}
				b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(n), "µs/endpoint")
			})
		}
		run("validate", func(*testing.B, *spec.Topology) {})
		run("plan", planned)
	}
}

func evaluated(b *testing.B, dir string) *spec.Topology {
	b.Helper()
	c, diags := spec.Load(dir, spec.Options{Drivers: registry.Schemas()})
	if diags.HasErrors() {
		b.Fatal(diags)
	}
	topology, diags := c.Evaluate(planner.NewAllocator(registry.Traits(), planner.Held{}))
	diags = append(diags, drivers.Validate(topology, registry.All())...)
	if diags.HasErrors() {
		b.Fatal(diags)
	}
	return topology
}

func planned(b *testing.B, topology *spec.Topology) {
	b.Helper()
	want, err := drivers.Expand("bench", "here", drivers.RecordsOf(topology), registry.All())
	if err != nil {
		b.Fatal(err)
	}
	opts := planner.OptionsFrom(topology)
	opts.Stack = "bench"
	if _, diags := planner.Diff(state.World{}, want, opts); diags.HasErrors() {
		b.Fatal(diags)
	}
}

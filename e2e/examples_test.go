package e2e

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cnmctl/cnmctl/drivers/registry"
	"github.com/cnmctl/cnmctl/planner"
	"github.com/cnmctl/cnmctl/spec"
	"github.com/rogpeppe/go-internal/diff"
)

var update = flag.Bool("update", false, "write generated files anew")

// evaluate is the topology of the configuration in dir, with everything chosen.
func evaluate(t *testing.T, dir string) (*spec.Config, *spec.Topology) {
	t.Helper()
	c, diags := spec.Load(dir, spec.Options{Drivers: registry.Schemas()})
	if !diags.HasErrors() {
		var top *spec.Topology
		if top, diags = c.Evaluate(planner.NewAllocator(registry.Traits(), planner.Held{})); !diags.HasErrors() {
			return c, top
		}
	}
	var b strings.Builder
	_ = spec.WriteDiagnostics(&b, diags, c.Files(), 100, false)
	t.Fatal(b.String())
	return nil, nil
}

// TestExamplesHaveTheirTests keeps the examples, their list and their scripts together.
func TestExamplesHaveTheirTests(t *testing.T) {
	readme, err := os.ReadFile("../examples/README.md")
	if err != nil {
		t.Fatal(err)
	}
	dirs, err := filepath.Glob("../examples/*/main.hcl")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("finding examples: %v, %v", dirs, err)
	}
	for _, path := range dirs {
		name := filepath.Base(filepath.Dir(path))
		evaluate(t, filepath.Dir(path))
		if _, err := os.Stat("testdata/script/example-" + name + ".txtar"); err != nil {
			t.Errorf("example %s has no script: %v", name, err)
		}
		if !strings.Contains(string(readme), "["+name+"]("+name+"/main.hcl)") {
			t.Errorf("examples/README.md does not name %s", name)
		}
	}
}

// TestAbileneRoutes computes the shortest paths over links.hcl and compares them with the
// variable file that the example's routes come from.
func TestAbileneRoutes(t *testing.T) {
	const file = "../examples/abilene/routes.auto.vars"
	c, top := evaluate(t, "../examples/abilene")
	if len(top.Sandboxes) != 11 || len(top.Networks) != 14 {
		t.Errorf("Abilene has 11 cities and 14 links, not %d and %d", len(top.Sandboxes), len(top.Networks))
	}
	value, _, diags := c.Eval("local.backbone")
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	backbone := graph{}
	for it := value.ElementIterator(); it.Next(); {
		_, link := it.Element()
		km, _ := link.GetAttr("km").AsBigFloat().Int64()
		backbone.join(link.GetAttr("a").AsString(), link.GetAttr("b").AsString(), km)
	}
	want := backbone.routesFile()
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) == want {
		return
	}
	if !*update {
		t.Fatalf("%s is not up to date (go test ./e2e -run Abilene -update):\n%s", file, diff.Diff("now", got, "want", []byte(want)))
	}
	if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// graph is the length of the link from one city to a neighbor.
type graph map[string]map[string]int64

func (g graph) join(a, b string, length int64) {
	for _, end := range [][2]string{{a, b}, {b, a}} {
		if g[end[0]] == nil {
			g[end[0]] = map[string]int64{}
		}
		g[end[0]][end[1]] = length
	}
}

// nextHops is, for each other city, the neighbor of from on the shortest path to it: the
// cities are settled in the order of their distance (Dijkstra).
func (g graph) nextHops(from string) map[string]string {
	distance, first := map[string]int64{from: 0}, map[string]string{}
	open := []string{from}
	for len(open) > 0 {
		slices.SortFunc(open, func(a, b string) int { return cmp.Or(cmp.Compare(distance[a], distance[b]), cmp.Compare(a, b)) })
		city := open[0]
		open = open[1:]
		for _, next := range slices.Sorted(maps.Keys(g[city])) {
			via := distance[city] + g[city][next]
			if old, known := distance[next]; known && old <= via {
				continue
			}
			distance[next] = via
			first[next] = cmp.Or(first[city], next)
			open = append(open, next)
		}
	}
	return first
}

func (g graph) routesFile() string {
	var b strings.Builder
	b.WriteString("# The neighbor by which each city reaches each other one on the shortest path over links.hcl.\n" +
		"# Written by a test: go test ./e2e -run Abilene -update\nnext_hop = {\n")
	for _, city := range slices.Sorted(maps.Keys(g)) {
		fmt.Fprintf(&b, "  %s = {\n", city)
		hops := g.nextHops(city)
		width := 0
		for other := range hops {
			width = max(width, len(other))
		}
		for _, other := range slices.Sorted(maps.Keys(hops)) {
			fmt.Fprintf(&b, "    %-*s = %q\n", width, other, hops[other])
		}
		b.WriteString("  }\n")
	}
	b.WriteString("}\n")
	return b.String()
}

package laws

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cnmctl/cnmctl/drivers"
	"github.com/cnmctl/cnmctl/drivers/registry"
	"github.com/cnmctl/cnmctl/planner"
	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
	"github.com/rogpeppe/go-internal/txtar"
)

// FuzzConfig: whatever stands in a configuration, reading and planning it ends with a plan
// or with errors, and a configuration without errors can be planned, twice alike.
func FuzzConfig(f *testing.F) {
	examples, _ := filepath.Glob("../examples/*/main.hcl")
	for _, path := range examples {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	mistakes, _ := filepath.Glob("../spec/testdata/errors/*.txtar")
	for _, path := range mistakes {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range archive.Files {
			if file.Name == "main.hcl" {
				f.Add(string(file.Data))
			}
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "main.hcl"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		first, again := planOf(t, dir), planOf(t, dir)
		if first != again {
			t.Errorf("two plans of one configuration:\n%s\n%s", first, again)
		}
	})
}

// planOf is the plan of a configuration against nothing, as its ops, or "" when the
// configuration has errors.
func planOf(t *testing.T, dir string) (text string) {
	c, diags := spec.Load(dir, spec.Options{Drivers: registry.Schemas()})
	if diags.HasErrors() {
		return ""
	}
	topology, diags := c.Evaluate(planner.NewAllocator(registry.Traits(), planner.Held{}))
	diags = append(diags, drivers.Validate(topology, registry.All())...)
	if diags.HasErrors() {
		return ""
	}
	want, err := drivers.Expand("fuzz", "here", drivers.RecordsOf(topology), registry.All())
	if err != nil {
		t.Fatalf("expanding what is valid: %v", err)
	}
	opts := planner.OptionsFrom(topology)
	opts.Stack = "fuzz"
	p, diags := planner.Diff(state.World{}, want, opts)
	if diags.HasErrors() && slices.Contains([]string{"Nothing to adopt", "Namespace of somebody else cannot be joined"}, diags[0].Summary) {
		return "" // where there is nothing
	}
	if diags.HasErrors() {
		t.Fatalf("planning what is valid: %v", diags)
	}
	for _, op := range p.Ops {
		text += string(op.Action) + " " + op.Key.String() + "\n"
	}
	return text
}

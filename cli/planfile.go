package cli

import (
	"bytes"
	"context"
	"fmt"
	"os"

	"github.com/cnmctl/cnmctl/planner"
	"github.com/cnmctl/cnmctl/spec"
	"github.com/google/renameio/v2"
)

// writePlan saves the plan, for its owner's eyes only: it holds the configuration.
func (f *flow) writePlan(file string) error {
	var buf bytes.Buffer
	saved := planner.Saved{Plan: f.plan, Version: version, Store: map[string]string{"type": f.settings.Type}}
	if f.live != nil {
		saved.Identities = planner.IdentitiesOf(f.plan, f.live.Identities)
	}
	for name, value := range f.settings.Config {
		saved.Store[name] = value
	}
	if err := planner.Encode(&buf, saved); err != nil {
		return err
	}
	return renameio.WriteFile(file, buf.Bytes(), 0o600)
}

// readPlan reads a saved plan.
func readPlan(file string) (planner.Saved, error) {
	f, err := os.Open(file)
	if err != nil {
		return planner.Saved{}, fmt.Errorf("opening the saved plan: %w", err)
	}
	defer f.Close()
	return planner.Decode(f, version)
}

// applySaved carries out a saved plan, if what it was made from is still so. The
// configuration is not looked at: everything is in the plan.
func applySaved(ctx context.Context, s *session, file string) error {
	for _, name := range []string{"var", "var-file", "target", "exclude", "replace", "destroy"} {
		if s.IsSet(name) {
			return s.misuse(fmt.Errorf("-%s belongs to planning, and %s is planned already", name, file))
		}
	}
	saved, err := readPlan(file)
	if err != nil {
		return err
	}
	f := &flow{s: s, plan: saved.Plan, stack: saved.Stack, destroy: saved.Destroy}
	f.settings = spec.Store{Type: saved.Store["type"], Config: saved.Store}
	if err := f.open(); err != nil {
		return err
	}
	ctx, unlock, err := f.prepare(ctx, func(ctx context.Context) error { return f.confirm(ctx, saved) })
	if err != nil {
		return err
	}
	defer unlock()
	return f.execute(ctx)
}

// confirm reads what there is, and checks that it is what the plan was made from.
func (f *flow) confirm(ctx context.Context, saved planner.Saved) error {
	if err := f.look(ctx); err != nil {
		return err
	}
	if err := f.visit(ctx, spacesOf(saved.Plan)); err != nil {
		return err
	}
	f.want = saved.Settings()
	if err := f.kernel.ReadSysctls(ctx, f.live.World, f.want); err != nil {
		return err
	}
	f.join()
	if err := planner.CheckStale(saved.Plan, f.before); err != nil {
		return err
	}
	return planner.CheckIdentities(saved.Identities, f.live.Identities)
}

// spacesOf are the namespaces of others that the plan goes into.
func spacesOf(plan *planner.Plan) (names []string) {
	for _, s := range plan.Spaces {
		names = append(names, s.Name)
	}
	return names
}

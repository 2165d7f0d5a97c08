package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/cnmctl/cnmctl/applier"
	"github.com/cnmctl/cnmctl/planner"
	ucli "github.com/urfave/cli/v2"
)

func applyCommand(env Env) *ucli.Command {
	return &ucli.Command{
		Name: "apply", ArgsUsage: "[PLANFILE]",
		Usage: "Make what the configuration says",
		Description: about(`Plans, shows the plan, asks, and does exactly what the plan says; then reads everything
back and compares. When something fails, or at the first interrupt, what was there before is put back. With
a plan file nothing is asked, and the plan is refused if what it was made from has changed since.`,
			"cnmctl apply", "cnmctl apply -auto-approve -json", "cnmctl plan -out=p && cnmctl apply p"),
		Flags: flags(varFlags(), scopeFlags(), []ucli.Flag{toggle("destroy", "destroy everything of the stack")},
			runFlags(), lockFlags(), waitFlags(), hostFlag(), streamFlags()),
		Action: action(env, func(ctx context.Context, s *session) error {
			return apply(ctx, s, s.Bool("destroy"))
		}),
	}
}

func destroyCommand(env Env) *ucli.Command {
	return &ucli.Command{
		Name:  "destroy",
		Usage: "Remove everything that apply made",
		Description: about(`Plans the removal of everything that belongs to the stack, shows it, asks and does it. What
cnmctl did not make stays.`, "cnmctl destroy", `cnmctl destroy -target='sandbox.web["w0"]'`),
		Flags: flags(varFlags(), scopeFlags(), runFlags(), lockFlags(), waitFlags(), hostFlag(), stackFlag(), streamFlags()),
		Action: action(env, func(ctx context.Context, s *session) error {
			if err := s.arguments(0, 0); err != nil {
				return err
			}
			return apply(ctx, s, true)
		}),
	}
}

// apply plans or reads a saved plan, and carries it out.
func apply(ctx context.Context, s *session, destroy bool) error {
	s.idle.Store(true)
	if err := s.arguments(0, 1); err != nil {
		return err
	}
	if err := s.story(); err != nil {
		return err
	}
	if file := s.Args().First(); file != "" {
		return applySaved(ctx, s, file)
	}
	if err := checkApproval(s); err != nil {
		return err
	}
	f := &flow{s: s, destroy: destroy}
	if err := f.begin(ctx); err != nil {
		return err
	}
	ctx, unlock, err := f.prepare(ctx, f.makePlan)
	if err != nil {
		return err
	}
	defer unlock()
	f.showPlan()
	if !f.plan.Empty() && !s.Bool("auto-approve") {
		q := askApply
		if destroy {
			q = askDestroy
		}
		yes, err := approve(ctx, s.env.Stdin, s.say.text, q)
		if err != nil {
			return err
		}
		if !yes {
			return &exitError{Code: codeError, Err: errors.New("not approved, so nothing was changed")}
		}
		if err := f.recheck(ctx); err != nil {
			return err
		}
	}
	return f.execute(ctx)
}

// recheck sees that the plan still starts from what there is, after somebody took their time
// to read it.
func (f *flow) recheck(ctx context.Context) error {
	now, err := f.Snapshot(ctx)
	if err != nil {
		return err
	}
	return planner.CheckStale(f.plan, now)
}

// checkApproval fails at once when approval will be needed and cannot be had.
func checkApproval(s *session) error {
	if s.Bool("auto-approve") {
		return nil
	}
	const remedy = "give -auto-approve, or apply a plan saved with 'cnmctl plan -out'"
	if s.Bool("json") {
		return fmt.Errorf("-json leaves nobody to ask for approval; %s", remedy)
	}
	if !s.Bool("input") {
		return fmt.Errorf("-input=false forbids asking for approval; %s", remedy)
	}
	return nil
}

// execute carries the plan out and says how it went.
func (f *flow) execute(ctx context.Context) error {
	plan := f.plan
	if err := f.hearBefore(ctx); err != nil {
		return err
	}
	if err := f.carryOut(ctx); err != nil {
		return err
	}
	f.report(ctx)
	if err := f.awaitHosts(ctx); err != nil {
		return err
	}
	f.s.say.done(plan, operation(f.destroy))
	return f.showOutputs()
}

// carryOut runs the plan with progress; when that fails it says how far it got.
func (f *flow) carryOut(ctx context.Context) error {
	s := f.s
	if len(f.plan.Ops) == 0 {
		return nil
	}
	keep := s.String("on-failure") == "keep"
	s.idle.Store(false)
	s.onInterrupt = func(n int) { s.say.interrupted(n, keep) }
	f.began, f.settingsWanted = f.before, maps.Clone(f.want)
	view := newProgress(s.say.text)
	told := &storyteller{stream: s.say.stream}
	result, err := applier.Run(ctx, f.plan, f.targets(), applier.Options{
		Before: f.before, Keep: keep, Abort: s.hard, Next: f.next,
		Events: func(e applier.Event) {
			view.event(e)
			told.event(e)
			f.noteReset(e)
			s.logEvent(e)
		},
	})
	view.close()
	f.phases = append(f.phases, result.Phases...)
	for _, p := range result.Phases {
		s.log.Debug("step", "name", p.Name, "took", p.Took)
	}
	f.result = result
	if err != nil {
		s.say.failedRun(operation(f.destroy), result, err)
		return quietly(exitCode(err))
	}
	return nil
}

// targets are the kernel and the store, as the applier sees them.
func (f *flow) targets() applier.Targets {
	if f.kernel == nil {
		return applier.Targets{Store: f.s.env.WrapStore(f.store), Live: recordsAlone{f.store}}
	}
	if f.pass != nil {
		t := f.pass.Targets()
		t.Kernel, t.Live = f.s.env.WrapKernel(t.Kernel), liveReader{f}
		return t
	}
	return applier.Targets{
		Kernel:  f.s.env.WrapKernel(f.kernel),
		Store:   f.s.env.WrapStore(f.store),
		Plugins: f.plugins,
		Live:    f, KernelAlone: kernelAlone{f},
		Raise: f.kernel.Raise,
	}
}

// logEvent logs the end of each operation.
func (s *session) logEvent(e applier.Event) {
	if e.Op != nil && e.Ended {
		s.log.Debug("operation", "stage", e.Stage, "action", e.Op.Action, "object", e.Op.Key.String(), "error", e.Err)
	}
}

// done says that the run ended well.
func (v *voice) done(plan *planner.Plan, what string) {
	c := plan.Count()
	text := fmt.Sprintf("%s complete! Resources: %d added, %d changed, %d destroyed.", strings.ToUpper(what[:1])+what[1:], c.Add, c.Change, c.Destroy)
	if what == "destroy" {
		text = fmt.Sprintf("Destroy complete! Resources: %d destroyed.", c.Destroy)
	}
	for _, more := range []struct {
		n    int
		what string
	}{{c.Forget, "forgotten"}, {c.Move, "moved"}} {
		if more.n > 0 {
			text = fmt.Sprintf("%s, %d %s.", strings.TrimSuffix(text, "."), more.n, more.what)
		}
	}
	v.line("\n%s", v.paint(green, text))
	v.stream.emit("info", "change_summary", text, map[string]any{"changes": map[string]any{
		"add": c.Add, "change": c.Change, "remove": c.Destroy, "forget": c.Forget, "move": c.Move, "operation": what,
	}})
}

func operation(destroy bool) string {
	if destroy {
		return "destroy"
	}
	return "apply"
}

// interrupted answers an interrupt of a running apply.
func (v *voice) interrupted(n int, keep bool) {
	text := "Interrupt received. Stopping, and putting back what was there before... " +
		"Interrupt again to stop at once."
	switch {
	case n > 1:
		text = "Second interrupt: stopping at once. 'cnmctl plan' shows what is left to do."
	case keep:
		text = "Interrupt received. Stopping, and leaving what was done... Interrupt again to stop at once."
	}
	v.note("\n%s", text)
	v.stream.emit("warn", "log", text, nil)
}

// failedRun says why the run failed, how far it got, and what that leaves.
func (v *voice) failedRun(what string, r applier.Result, err error) {
	v.failure(err)
	ended := " failed: "
	if errors.Is(err, applier.ErrInterrupted) {
		ended = " interrupted: "
	}
	text := strings.ToUpper(what[:1]) + what[1:] + ended + r.String() + ". "
	switch {
	case r.Kept:
		text += "What was done is kept, as asked; 'cnmctl plan' shows what is left to do."
	case r.RolledBack && r.Done+r.Failed == 0:
		text += "Nothing was changed."
	case r.RolledBack:
		text += "Rolled back: everything is as it was before."
	case r.KernelRolledBack:
		text += "Rolled back in the kernel: the network is as it was before. What the store holds could not be put back; " +
			"'cnmctl plan' shows it once the store can be read."
	case len(r.Left) == 0:
		text += "What was done stays as it is; 'cnmctl plan' shows what is left to do."
	default:
		text += "Not everything could be put back: the operations below are left to be done. " +
			"'cnmctl plan' shows what there is."
	}
	left := make([]string, len(r.Left))
	for i, op := range r.Left {
		left[i] = string(op.Action) + " " + op.Key.String()
	}
	v.note("\n%s", text)
	const most = 50
	for i, l := range left {
		if i == most {
			v.note("  and %d more", len(left)-most)
			break
		}
		v.note("  %s", l)
	}
	v.stream.emit("error", "apply_failed", text, map[string]any{
		"done": r.Done, "failed": r.Failed, "not_tried": r.NotTried,
		"rolled_back": r.RolledBack, "kernel_rolled_back": r.RolledBack || r.KernelRolledBack, "kept": r.Kept, "left": left,
	})
}

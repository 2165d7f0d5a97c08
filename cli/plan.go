package cli

import (
	"context"
	"fmt"

	"github.com/cnmctl/cnmctl/planner"
	ucli "github.com/urfave/cli/v2"
)

func planCommand(env Env) *ucli.Command {
	return &ucli.Command{
		Name:  "plan",
		Usage: "Show what apply would change",
		Description: about(`Compares the configuration with the live kernel and the store and shows exactly what apply
would do, with every address and name. Nothing is changed and no lock is taken.`,
			"cnmctl plan", "cnmctl plan -out=p && cnmctl apply p", "cnmctl plan -as=script > apply.sh",
			`cnmctl plan -target='endpoint.web["w0"]' -detailed-exitcode`),
		Flags: flags(varFlags(), scopeFlags(), []ucli.Flag{
			toggle("destroy", "plan to destroy everything of the stack"),
			choice("as", "what to print", "text", "script", "json"),
			text("out", "FILE", "save the plan for 'cnmctl apply FILE'"),
			toggle("detailed-exitcode", "exit with 2 when there is something to change"),
		}, hostFlag(), streamFlags()),
		Action: looking(env, plan),
	}
}

func plan(ctx context.Context, s *session) error {
	if err := s.arguments(0, 0); err != nil {
		return err
	}
	if as := s.String("as"); s.Bool("json") && as != "text" {
		return s.misuse(fmt.Errorf("-json tells of the run line by line, -as=%s is one document; give one of them, or -json-into=FILE", as))
	}
	if err := s.story(); err != nil {
		return err
	}
	f := &flow{s: s, destroy: s.Bool("destroy")}
	if err := f.begin(ctx); err != nil {
		return err
	}
	if err := f.makePlan(ctx); err != nil {
		return err
	}
	if err := f.printPlan(s.String("as")); err != nil {
		return err
	}
	if err := f.savePlan(s.String("out")); err != nil {
		return err
	}
	if s.Bool("detailed-exitcode") && !f.plan.Empty() {
		return quietly(codeChanges)
	}
	return nil
}

func driftCommand(env Env) *ucli.Command {
	return &ucli.Command{
		Name:  "drift",
		Usage: "Show how the kernel differs from the configuration, and change nothing",
		Description: about(`Shows what apply would have to put right. Nothing is changed and no lock is taken. The exit
code is 0 when the kernel is as the configuration says, and 2 when it is not.`,
			"cnmctl drift", "cnmctl drift -json | jq 'select(.type == \"planned_change\")'"),
		Flags: flags(varFlags(), scopeFlags(), hostFlag(), streamFlags()),
		Action: looking(env, func(ctx context.Context, s *session) error {
			if err := s.arguments(0, 0); err != nil {
				return err
			}
			if err := s.story(); err != nil {
				return err
			}
			f := &flow{s: s, drift: true}
			if err := f.begin(ctx); err != nil {
				return err
			}
			if err := f.makePlan(ctx); err != nil {
				return err
			}
			f.showPlan()
			if !f.plan.Empty() {
				return quietly(codeChanges)
			}
			return nil
		}),
	}
}

// printPlan prints the plan in the form asked for.
func (f *flow) printPlan(form string) error {
	switch form {
	case "script":
		return planner.Script(f.s.say.text, f.plan)
	case "json":
		return f.s.document(planner.NewDocument(f.plan, version))
	}
	f.showPlan()
	if f.s.String("out") == "" && !f.plan.Empty() {
		f.s.say.hint("This plan was not saved, so 'cnmctl apply' will plan anew. Save it with -out=FILE.")
	}
	return nil
}

// savePlan writes the plan to a file.
func (f *flow) savePlan(file string) error {
	if file == "" {
		return nil
	}
	if err := f.writePlan(file); err != nil {
		return fmt.Errorf("saving the plan: %w", err)
	}
	f.s.say.note("\nSaved the plan to %s", file)
	if f.s.say.hints {
		f.s.say.note("To do exactly this, run:\n    cnmctl apply %q", file)
	}
	return nil
}

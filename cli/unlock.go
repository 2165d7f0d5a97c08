package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/cnmctl/cnmctl/state"
	ucli "github.com/urfave/cli/v2"
)

func forceUnlockCommand(env Env) *ucli.Command {
	return &ucli.Command{
		Name: "force-unlock", ArgsUsage: "ID",
		Usage: "Break a lock whose holder is dead",
		Description: about(`Removes the stack's lock from Consul if it has this ID, which the message of the command says
that could not have it. A holder that lives after all notices, and stops. A local lock ends with its process and
never has to be broken.`,
			"cnmctl force-unlock 4a7d1c3e-8f0b-4b0e-9a53-1f2d3c4b5a69"),
		Flags: flags([]ucli.Flag{toggle("force", "do not ask"), toggle("json", "write a JSON object; with -force")}, stackFlag(), colorFlag()),
		Action: action(env, func(ctx context.Context, s *session) error {
			if err := s.arguments(1, 1); err != nil {
				return err
			}
			return forceUnlock(ctx, s, s.Args().First())
		}),
	}
}

// lockBreaker is a store whose lock can outlive its holder.
type lockBreaker interface {
	ForceUnlock(ctx context.Context, id string) (state.LockInfo, error)
}

func forceUnlock(ctx context.Context, s *session, id string) error {
	f := &flow{s: s}
	if err := f.identify(); err != nil {
		return err
	}
	store, err := s.openStore(f.stack, f.settings)
	if err != nil {
		return err
	}
	breaker, ok := store.(lockBreaker)
	if !ok {
		return fmt.Errorf("breaking the lock of stack %s: a local lock ends with its process, so there is nothing to break", f.stack)
	}
	if s.Bool("json") && !s.Bool("force") {
		return s.misuse(errors.New("-json leaves nobody to ask; give -force"))
	}
	if !s.Bool("force") {
		yes, err := approve(ctx, s.env.Stdin, s.say.text, askUnlock)
		if err != nil {
			return err
		}
		if !yes {
			return errors.New("not approved, so the lock was left alone")
		}
	}
	holder, err := breaker.ForceUnlock(ctx, id)
	if err != nil {
		return err
	}
	if s.Bool("json") {
		return s.document(map[string]any{"stack": f.stack, "id": id, "operation": holder.Operation, "who": holder.Who, "since": holder.Since})
	}
	s.say.line("%s", s.say.paint(green, fmt.Sprintf("The lock of stack %s is broken. It was held by %s.", f.stack, holder)))
	return nil
}

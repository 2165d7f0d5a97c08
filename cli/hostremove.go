package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/cnmctl/cnmctl/agent"
	"github.com/cnmctl/cnmctl/applier"
	"github.com/cnmctl/cnmctl/planner"
	"github.com/cnmctl/cnmctl/state"
	ucli "github.com/urfave/cli/v2"
)

func hostRemoveCommand(env Env) *ucli.Command {
	return &ucli.Command{
		Name: "rm", ArgsUsage: "NAME",
		Usage: "Forget a host that is dead, and free what it held",
		Description: about(`Removes a host's record with its sandboxes, the endpoints in them and their addresses, after
showing the plan. Nothing is done to any kernel by this command: the agents of the other hosts take out what led to
these endpoints, and the host itself, should it come back, removes its share. A host whose agent is alive is refused. What
the configuration still says of the host is made again by the next apply.`,
			"cnmctl host rm b", "cnmctl host rm -stack=shop -store=consul -auto-approve b"),
		Flags: flags([]ucli.Flag{
			toggle("force", "remove it although its agent is alive"), toggle("auto-approve", "do not ask"), dryRunFlag(),
			&ucli.BoolFlag{Name: "input", Value: true, Usage: "ask for approval"},
		}, lockFlags(), waitFlags(), hostFlag(), stackFlag(), streamFlags()),
		Action: action(env, func(ctx context.Context, s *session) error {
			if err := s.arguments(1, 1); err != nil {
				return err
			}
			if err := s.story(); err != nil {
				return err
			}
			if !s.Bool("dry-run") {
				if err := checkApproval(s); err != nil {
					return err
				}
			}
			return removeHost(ctx, s, s.Args().First())
		}),
	}
}

// errHostsNotShared is for a store that has no hosts to remove.
var errHostsNotShared = errors.New("removing a host: the records are on this host alone, and no other has a share in them; " +
	"'cnmctl destroy' removes what is here")

// removal is a host that is to be removed from a stack's records.
type removal struct {
	*flow
	cluster state.Cluster
	name    string
}

func removeHost(ctx context.Context, s *session, name string) error {
	r := &removal{flow: &flow{s: s}, name: name}
	if err := r.identify(); err != nil {
		return err
	}
	var err error
	if r.host, err = hostName(s.String("host"), s.env.Getenv); err != nil {
		return err
	}
	if r.store, err = s.openStore(r.stack, r.settings); err != nil {
		return err
	}
	var shared bool
	if r.cluster, shared = r.store.(state.Cluster); !shared {
		return errHostsNotShared
	}
	if !s.Bool("dry-run") {
		locked, unlock, err := s.lock(ctx, r.store, "host rm")
		if err != nil {
			return err
		}
		defer unlock()
		ctx = locked
	}
	if err := r.makePlan(ctx); err != nil {
		return err
	}
	r.showPlan()
	if s.Bool("dry-run") {
		return nil
	}
	return r.carryOut(ctx)
}

// makePlan plans to remove what the records say of the host.
func (r *removal) makePlan(ctx context.Context) (err error) {
	if r.records, err = r.store.Snapshot(ctx); err != nil {
		return err
	}
	said, _, err := r.cluster.Statuses(ctx, 0)
	if err != nil {
		return err
	}
	if err := r.check(ctx, agent.Known(r.records, said)); err != nil {
		return err
	}
	r.before, r.want = r.records, agent.WithoutHost(r.records, r.name)
	return r.diff(planner.Options{Destroy: true})
}

// check refuses a host that is not there, and one that lives.
func (r *removal) check(ctx context.Context, known []string) error {
	if !slices.Contains(known, r.name) {
		return fmt.Errorf("removing host %s: stack %s has no such host%s", r.name, r.stack, listing(known))
	}
	if r.s.Bool("force") {
		return nil
	}
	if r.name == r.host {
		return fmt.Errorf("removing host %s: it is this one, so it is not dead. Take its sandboxes out of the configuration and apply that; "+
			"-force removes it from the records all the same", r.name)
	}
	alive, err := r.cluster.Attended(ctx)
	if err == nil && slices.Contains(alive, r.name) {
		err = fmt.Errorf("removing host %s: its agent is alive. Stop it, or take the host's sandboxes out of the configuration and apply that. "+
			"One that was killed is forgotten within half a minute; -force does not wait for that", r.name)
	}
	return err
}

// carryOut asks, and removes the host.
func (r *removal) carryOut(ctx context.Context) error {
	if !r.plan.Empty() && !r.s.Bool("auto-approve") {
		yes, err := approve(ctx, r.s.env.Stdin, r.s.say.text, askRemoveHost)
		if err != nil {
			return err
		}
		if !yes {
			return &exitError{Code: codeError, Err: errors.New("not approved, so nothing was changed")}
		}
	}
	if err := r.flow.carryOut(ctx); err != nil {
		return err
	}
	if err := r.cluster.Retract(ctx, r.name); err != nil {
		return err
	}
	if err := r.awaitHosts(ctx); err != nil {
		return err
	}
	r.s.say.done(r.plan, "destroy")
	return nil
}

// recordsAlone are the targets of a plan that changes no kernel.
type recordsAlone struct{ state.RecordStore }

// Snapshot reads the records, which nobody changes after it.
func (r recordsAlone) Snapshot(ctx context.Context) (state.World, error) {
	w, err := r.RecordStore.Snapshot(ctx)
	return maps.Clone(w), err
}

var _ applier.Reader = recordsAlone{}

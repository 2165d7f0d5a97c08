package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cnmctl/cnmctl/agent"
	"github.com/cnmctl/cnmctl/planner"
	"github.com/cnmctl/cnmctl/state"
	ucli "github.com/urfave/cli/v2"
)

func waitFlags() []ucli.Flag {
	return []ucli.Flag{
		toggle("wait", "wait until all other hosts have converged too, by their agents or 'cnmctl sync'"),
		waitTimeoutFlag("to wait at most with -wait (default 2m)"),
	}
}

// waitTimeoutFlag says how long other hosts may take.
func waitTimeoutFlag(usage string) ucli.Flag {
	return &ucli.DurationFlag{Name: "wait-timeout", Value: 2 * time.Minute, Usage: "`DURATION` " + usage}
}

// wait is a wait for other hosts.
type wait struct {
	s       *session
	cluster state.Cluster
	goal    *agent.Goal
	begun   time.Time
	// hosts are those that have not converged yet, told what was said of them last.
	hosts []string
	told  map[string]string
}

// hearBefore notes who says something before the run, if it will be waited for. A host that has
// nothing left of the stack says nothing more, maybe before the wait begins.
func (f *flow) hearBefore(ctx context.Context) (err error) {
	if cluster, shared := f.store.(state.Cluster); f.s.Bool("wait") && shared {
		f.heard, _, err = cluster.Statuses(ctx, 0)
	}
	return err
}

// awaitHosts waits until the other hosts have converged to what was applied.
func (f *flow) awaitHosts(ctx context.Context) error {
	cluster, shared := f.store.(state.Cluster)
	if !f.s.Bool("wait") || !shared {
		return nil
	}
	return f.await(ctx, cluster, func(goal *agent.Goal, said []state.Status) []string {
		hosts := goal.Hosts(slices.Concat(said, f.heard))
		return slices.DeleteFunc(hosts, func(host string) bool { return host == f.host })
	})
}

// await waits until hosts have converged to the present records.
func (f *flow) await(ctx context.Context, cluster state.Cluster, which func(*agent.Goal, []state.Status) []string) error {
	ctx, cancel := context.WithTimeout(ctx, f.s.Duration("wait-timeout"))
	defer cancel()
	w := &wait{s: f.s, cluster: cluster, begun: time.Now(), told: map[string]string{}}
	var err error
	if w.goal, err = f.thisHost().Goal(ctx, cluster); err != nil {
		return err
	}
	said, next, err := cluster.Statuses(ctx, 0)
	w.hosts = which(w.goal, said)
	for err == nil && w.hear(said) {
		said, next, err = cluster.Statuses(ctx, max(next, 1))
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("waiting for other hosts: after %s these have not converged: %s. This host has; "+
			"'cnmctl host ls' shows how far they are, and 'cnmctl agent' or 'cnmctl sync' on them makes them follow",
			f.s.Duration("wait-timeout"), strings.Join(w.hosts, ", "))
	}
	return err
}

// hear tells what is new of the hosts, and whether there are some left to wait for.
func (w *wait) hear(said []state.Status) (left bool) {
	w.hosts = slices.DeleteFunc(w.hosts, func(host string) bool {
		caught := w.goal.Caught(host, said)
		i := slices.IndexFunc(said, func(s state.Status) bool { return s.Host == host })
		text := "waiting; nothing was heard of it yet"
		switch {
		case caught:
			text = fmt.Sprintf("converged to revision %d after %s", w.goal.Serial, time.Since(w.begun).Round(time.Millisecond))
		case i >= 0 && said[i].Error != "":
			text = "failed, and will try again: " + said[i].Error
		case i >= 0:
			text = "waiting..."
		}
		if w.told[host] != text {
			w.told[host] = text
			w.s.say.line("host %s: %s", host, text)
			w.s.say.stream.emit("info", "host_progress", "host "+host+": "+text, map[string]any{"host": host, "converged": caught})
		}
		return caught
	})
	return len(w.hosts) > 0
}

// findFollowers finds out how the other hosts of the plan will converge to it.
func (f *flow) findFollowers(ctx context.Context) error {
	cluster, shared := f.store.(state.Cluster)
	if !shared || len(f.plan.Others) == 0 {
		return nil
	}
	alive, err := cluster.Attended(ctx)
	for i, h := range f.plan.Others {
		if f.plan.Others[i].Follows = planner.FollowsBySync; slices.Contains(alive, h.Name) {
			f.plan.Others[i].Follows = planner.FollowsByAgent
		}
	}
	return err
}

package agent

import (
	"context"
	"maps"
	"slices"

	"github.com/cnmctl/cnmctl/state"
)

// Goal is what the hosts of a stack shall converge to: all its records.
type Goal struct {
	World state.World
	state.News

	host    Host
	cluster state.Cluster
	// concerned by changes since the index of a revision.
	concerned map[uint64]func(host string) bool
}

// Goal reads what the records are now.
func (h Host) Goal(ctx context.Context, c state.Cluster) (*Goal, error) {
	news, err := c.Latest(ctx)
	if err != nil {
		return nil, err
	}
	world, err := c.Snapshot(ctx)
	return h.GoalOf(c, world, news), err
}

// GoalOf is a goal that was read already.
func (h Host) GoalOf(c state.Cluster, w state.World, news state.News) *Goal {
	return &Goal{w, news, h, c, map[uint64]func(string) bool{}}
}

// Hosts lists the hosts that records are for: those with sandboxes, and those that have
// said something, which may have had some.
func (g *Goal) Hosts(said []state.Status) []string {
	hosts := map[string]bool{}
	for _, o := range g.World {
		if s, ok := o.(state.Sandbox); ok && s.Host != "" {
			hosts[s.Host] = true
		}
	}
	for _, s := range said {
		hosts[s.Host] = true
	}
	return slices.Sorted(maps.Keys(hosts))
}

// Caught reports that a host has converged to the goal, or to an earlier revision since
// which nothing has changed that concerns it: of that, agents say nothing at once. Of a
// stack that is gone a host says nothing more when it has nothing left of it.
func (g *Goal) Caught(host string, said []state.Status) bool {
	i := slices.IndexFunc(said, func(s state.Status) bool { return s.Host == host })
	if i < 0 {
		return !holdsBlocks(g.World)
	}
	s := said[i]
	return s.Error == "" && g.Index > 0 && (s.Index >= g.Index || !g.concerns(host, s.Revision))
}

// concerns reports that something of the host's has changed since a revision, or may have.
func (g *Goal) concerns(host string, since state.Revision) bool {
	keys, ok := g.Since(since)
	if !ok {
		return true
	}
	if g.concerned[since.Index] == nil {
		g.concerned[since.Index] = g.cluster.Concerned(g.World, g.host.global, keys)
	}
	return g.concerned[since.Index](host)
}

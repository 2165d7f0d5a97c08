// Package plugins makes what network and IPAM plugins hold, by asking them. A plugin
// cannot be read back, so each object is written down before its plugin is asked for it,
// and again with each answer.
package plugins

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/cnmctl/cnmctl/plugin"
	"github.com/cnmctl/cnmctl/state"
)

// Ledger is where objects are written down.
type Ledger interface {
	state.Target
	Snapshot(context.Context) (state.World, error)
}

// Target is the plugins of a host. It is not safe for use by several goroutines at once.
type Target struct {
	// Finder finds plugins.
	Finder plugin.Finder
	// Host keeps what this host's plugins hold, Cluster what concerns all hosts.
	Host, Cluster Ledger
	// MAC is the Ethernet address of an interface of the host.
	MAC func(link string) (state.MAC, error)
	// Path is the file in which a container's namespace is now.
	Path func(ctx context.Context, container string) (string, error)

	clients map[string]*plugin.Client
	// needs are what the IPAM plugins said that they need, which were then told what they
	// had given if they wanted to be.
	needs map[string]plugin.IPAMCapabilities
}

var _ state.Target = (*Target)(nil)

// Snapshot is what the network plugins of this host were asked for. What the cluster's
// plugins hold is in the store.
func (t *Target) Snapshot(ctx context.Context) (state.World, error) { return t.Host.Snapshot(ctx) }

// Close lets go of all connections.
func (t *Target) Close() error {
	for _, c := range t.clients {
		_ = c.Close() // there is nothing to lose
	}
	t.clients = nil
	return nil
}

// Apply runs the ops one after another: plugins are not asked two things at once.
func (t *Target) Apply(ctx context.Context, wave []state.Op, done func(i int, err error)) error {
	for i, op := range wave {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := t.one(ctx, op)
		if err != nil {
			err = fmt.Errorf("%s %s of %s: %w", doing(op.Action), op.Key.Kind, op.Object().Owner().Address, err)
		}
		done(i, err)
		if err != nil {
			return err
		}
	}
	return nil
}

func doing(a state.Action) string {
	return map[state.Action]string{state.Create: "creating", state.Update: "updating", state.Delete: "deleting"}[a]
}

func (t *Target) one(ctx context.Context, op state.Op) error {
	if op.Action != state.Update {
		if err := t.remind(ctx, op.Object()); err != nil {
			return err
		}
	}
	known, err := t.ledger(op.Key).Snapshot(ctx)
	if err != nil {
		return err
	}
	live, _ := known[op.Key].(state.Asked)
	after, ok := op.After.(state.Asked)
	switch {
	case op.Action == state.Delete && live == nil:
		return nil
	case op.Action == state.Delete:
		return t.takeBack(ctx, live)
	case !ok:
		return fmt.Errorf("no plugin makes %s", op.Key)
	case op.Action == state.Update:
		return t.write(ctx, after.Answered(live)) // whose it is: no plugin has to know
	case live != nil:
		return errors.New("the plugin was asked for it already; plan again")
	}
	return t.ask(ctx, after)
}

// ask has a plugin make an object.
func (t *Target) ask(ctx context.Context, o state.Asked) error {
	switch o := o.(type) {
	case state.Pool:
		return t.requestPool(ctx, o)
	case state.Lease:
		return t.requestLease(ctx, o)
	case state.Allocation:
		return t.allocate(ctx, o)
	case state.PluginNetwork:
		return t.createNetwork(ctx, o)
	case state.PluginEndpoint:
		return t.createEndpoint(ctx, o)
	case state.WayOut:
		return t.program(ctx, o)
	case state.Node:
		return t.discover(ctx, o)
	}
	return fmt.Errorf("no plugin makes %s", o.Key())
}

// takeBack has a plugin take back an object, and forgets it. That it has begun is noted
// first: what a plugin was asked to take back is not what may be used, whatever it answers.
// Unless it refuses, or was not asked at all; then all is as it was.
func (t *Target) takeBack(ctx context.Context, o state.Asked) error {
	leaving := o
	if o.Reached() == state.Made {
		leaving = o.At(state.Leaving)
		if err := t.write(ctx, leaving); err != nil {
			return err
		}
	}
	err := t.release(ctx, leaving)
	switch {
	case err == nil:
		return t.forget(ctx, o)
	case (plugin.Refused(err) || plugin.Unsent(err)) && oneCall(o):
		return errors.Join(err, t.write(ctx, o))
	}
	return err
}

// oneCall reports that a single call takes back the object, so that nothing was done when
// that is refused.
func oneCall(o state.Asked) bool {
	switch o := o.(type) {
	case state.PluginEndpoint:
		return false
	case state.Pool:
		return len(o.Got.Addresses) == 0
	}
	return true
}

// release is the inverse of ask.
func (t *Target) release(ctx context.Context, o state.Asked) error {
	switch o := o.(type) {
	case state.Pool:
		return t.releasePool(ctx, o)
	case state.Lease:
		return t.releaseLease(ctx, o)
	case state.Allocation:
		return t.free(ctx, o)
	case state.PluginNetwork:
		return t.deleteNetwork(ctx, o)
	case state.PluginEndpoint:
		return t.deleteEndpoint(ctx, o)
	case state.WayOut:
		return t.revoke(ctx, o)
	case state.Node:
		return t.discoverDelete(ctx, o)
	}
	return fmt.Errorf("no plugin makes %s", o.Key())
}

// ledger is where the object of the key is written down.
func (t *Target) ledger(k state.Key) Ledger {
	if k.Place.InIPAM() {
		return t.Cluster
	}
	return t.Host
}

// write notes how far an object is. It is done whatever happens meanwhile: a plugin that
// was asked has to be remembered.
func (t *Target) write(ctx context.Context, o state.Object) error {
	op := state.Op{Action: state.Create, Key: o.Key(), After: o}
	return t.ledger(o.Key()).Apply(context.WithoutCancel(ctx), []state.Op{op}, func(int, error) {})
}

func (t *Target) forget(ctx context.Context, o state.Object) error {
	op := state.Op{Action: state.Delete, Key: o.Key(), Before: o}
	return t.ledger(o.Key()).Apply(context.WithoutCancel(ctx), []state.Op{op}, func(int, error) {})
}

// client is the plugin called name, found when first needed.
func (t *Target) client(name string, timeout int) (*plugin.Client, error) {
	limit := time.Duration(timeout) * time.Second
	if limit == 0 {
		limit = plugin.DefaultTimeout
	}
	if c := t.clients[name]; c != nil {
		c.Timeout = limit
		return c, nil
	}
	c, err := t.Finder.Open(name, limit)
	if err != nil {
		return nil, err
	}
	if t.clients == nil {
		t.clients = map[string]*plugin.Client{}
	}
	t.clients[name] = c
	return c, nil
}

// back forgives a plugin that it does not take back what it knows nothing of, and what it
// perhaps never made.
func back(stage state.Stage, err error) error {
	if plugin.Gone(err) || stage == state.Begun && plugin.Refused(err) {
		return nil
	}
	return err
}

// refused is about an answer that cannot be used.
func refused(c *plugin.Client, call, format string, args ...any) error {
	return &plugin.Error{Plugin: c.Name, Call: call, Status: http.StatusOK, Sent: true, Err: fmt.Errorf(format, args...)}
}

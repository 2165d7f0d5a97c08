package agent_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cnmctl/cnmctl/agent"
	"github.com/cnmctl/cnmctl/applier/appliertest"
	"github.com/cnmctl/cnmctl/drivers/registry"
	"github.com/cnmctl/cnmctl/state"
	"github.com/cnmctl/cnmctl/state/consul"
	"github.com/cnmctl/cnmctl/state/consul/consultest"
	"github.com/hashicorp/consul/api"
)

// machine is a kernel in memory, which one pass at a time may change.
type machine struct {
	*appliertest.Memory
	mu      sync.Mutex
	changed chan struct{}
}

func newMachine(objects ...state.Object) *machine {
	return &machine{Memory: appliertest.NewMemory(objects...), changed: make(chan struct{}, 1)}
}

func (m *machine) HostAddresses() map[netip.Addr]string                          { return nil }
func (m *machine) Plugins() state.Target                                         { return nil }
func (m *machine) ReadRedirects(context.Context, state.World, []state.Key) error { return nil }

func (m *machine) ReadSysctls(context.Context, state.World, ...state.World) error { return nil }
func (m *machine) Probe(context.Context, []state.Feature) error                   { return nil }
func (m *machine) Raise(context.Context) error                                    { return nil }
func (m *machine) Visit([]string) bool                                            { return false }

func (m *machine) open(context.Context) (agent.Machine, func(), error) {
	m.mu.Lock()
	return m, m.mu.Unlock, nil
}

// has reports that there is the namespace.
func (m *machine) has(ns string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.World[state.NamespaceKey(ns)] != nil
}

// lose deletes a namespace behind the agent's back.
func (m *machine) lose(t *testing.T, ns string) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	op := state.Op{Action: state.Delete, Key: state.NamespaceKey(ns), Before: m.World[state.NamespaceKey(ns)]}
	if err := m.Apply(context.Background(), []state.Op{op}, func(int, error) {}); err != nil {
		t.Fatal(err)
	}
	m.changed <- struct{}{}
}

func box(name, host string) state.Sandbox {
	return state.Sandbox{Mark: state.Owner{Stack: "shop", Address: state.Address("sandbox." + name)}, Name: name, Netns: "shop-" + name, Host: host}
}

// log is read while it is written.
type log struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// fixture is a Consul with an agent of host b.
type fixture struct {
	*testing.T
	server *consultest.Server
	store  *consul.Store
	*machine
	metrics agent.Metrics
	log     log
	// settles counts the tries to settle the store, of which the first fails.
	settles atomic.Int32
	// deaf: the agent is not told of changes of the records.
	deaf bool
	// plain: the agent does not register the host.
	plain bool
	// dial is how services are checked.
	dial agent.Dial
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{T: t, server: consultest.Start(t, consultest.Options{Durable: true}), machine: newMachine()}
	f.store = f.open(t)
	return f
}

func (f *fixture) open(t *testing.T) *consul.Store {
	t.Helper()
	store, err := consul.Open(consul.Options{Stack: "shop", Address: f.server.HTTP, SessionTTL: 10 * time.Second, Silence: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

// start runs the agent until stop is called, or the test ends.
func (f *fixture) start() (stop func()) {
	f.Helper()
	vtep := state.HostRecord{Mark: state.Owner{Stack: "shop", Address: "host.b"}, Name: "b", VTEP: addr("10.99.0.11"), Registered: true}
	a := &agent.Agent{
		Host: agent.Host{Stack: "shop", Name: "b", Drivers: registry.All()}, Store: f.open(f.T),
		Open: f.machine.open, Changed: f.changed, Follow: func(state.World) error { return nil },
		Record: &vtep, Log: slog.New(slog.NewTextHandler(&f.log, nil)), Metrics: &f.metrics, Ready: func() {},
		Dial: f.dial, Underlay: func(netip.Addr) int { return 1400 },
	}
	if f.plain {
		a.Record = nil
	}
	if f.deaf {
		a.Store = deaf{a.Store}
	}
	a.Store = moody{a.Store, &f.settles}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				f.Error(err)
			}
		case <-time.After(time.Minute):
			f.Error("the agent does not stop")
		}
	})
	f.Cleanup(stop)
	return stop
}

// write makes one change of the records.
func (f *fixture) write(action state.Action, o state.Object) {
	f.Helper()
	op := state.Op{Action: action, Key: o.Key(), After: o}
	if action == state.Delete {
		op.Before, op.After = o, nil
	}
	if err := f.store.Apply(context.Background(), []state.Op{op}, func(int, error) {}); err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) until(what string, is func() bool) {
	f.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			f.Fatalf("waited in vain until %s", what)
		}
	}
}

func (f *fixture) statuses() []state.Status {
	f.Helper()
	all, _, err := f.store.Statuses(context.Background(), 0)
	if err != nil {
		f.Fatal(err)
	}
	return all
}

func TestAgentFollowsRecordsAndKernel(t *testing.T) {
	f := newFixture(t)
	f.write(state.Create, box("db", "b"))
	f.write(state.Create, box("web", "a"))
	stop := f.start()
	f.until("db is made", func() bool { return f.has("shop-db") })
	if f.has("shop-web") {
		t.Error("made a sandbox of another host")
	}
	f.until("the host is registered and attended", func() bool {
		world, err := f.store.Snapshot(context.Background())
		alive, err2 := f.store.Attended(context.Background())
		return err == nil && err2 == nil && len(alive) == 1 && alive[0] == "b" && world[state.RecordKey(state.KindHost, "host.b")] != nil
	})
	f.until("it is tried again to settle the store", func() bool { return f.settles.Load() > 1 })
	now, err := f.store.Revision(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	f.until("the revision is reported", func() bool {
		all := f.statuses()
		return len(all) == 1 && all[0].Host == "b" && all[0].Index >= now.Index && all[0].Error == ""
	})

	f.lose(t, "shop-db")
	f.until("drift is repaired", func() bool { return f.has("shop-db") })
	f.write(state.Create, box("more", "b"))
	f.until("the next record is followed", func() bool { return f.has("shop-more") })

	f.server.Kill()
	f.lose(t, "shop-db")
	f.until("drift is repaired without Consul", func() bool { return f.has("shop-db") })
	if err := f.server.Start(); err != nil {
		t.Fatal(err)
	}
	f.write(state.Delete, box("more", "b"))
	f.until("Consul is followed again", func() bool { return !f.has("shop-more") })

	stop()
	if text, ok := f.metrics.Health(); !ok || !strings.Contains(text, "converged") {
		t.Errorf("healthy is %v: %s", ok, text)
	}
	alive, err := f.store.Attended(context.Background())
	if err != nil || len(alive) != 0 {
		t.Errorf("after the end %v are alive, %v", alive, err)
	}
	if !f.has("shop-db") {
		t.Error("the end of the agent took something along")
	}
	if !strings.Contains(f.log.String(), "repairing drift") {
		t.Errorf("drift was not logged:\n%s", f.log.String())
	}
}

func TestAgentDoesNotFollowALostStore(t *testing.T) {
	f := newFixture(t)
	f.write(state.Create, box("db", "b"))
	stop := f.start()
	f.until("db is reported", func() bool { return f.has("shop-db") && len(f.statuses()) == 1 })
	stop()
	emptied := newFixture(t)
	emptied.machine = f.machine
	emptied.start()
	emptied.until("the loss is found", func() bool {
		text, ok := emptied.metrics.Health()
		return !ok && strings.Contains(text, "failed")
	})
	if !f.has("shop-db") {
		t.Error("took the loss of the records for the end of the stack")
	}
	emptied.write(state.Create, box("db", "b"))
	emptied.until("records are followed again", func() bool { _, ok := emptied.metrics.Health(); return ok })

	// Deleted on purpose, it goes.
	emptied.write(state.Delete, box("db", "b"))
	emptied.until("db is gone", func() bool { return !f.has("shop-db") && len(emptied.statuses()) == 0 })
}

// deaf is a store that tells of no change by itself.
type deaf struct{ state.Cluster }

func (d deaf) Await(ctx context.Context, known state.Revision) (state.News, error) {
	if known.Index == 0 {
		return d.Latest(ctx)
	}
	<-ctx.Done()
	return state.News{}, ctx.Err()
}

// moody is a store that cannot be settled at the first try.
type moody struct {
	state.Cluster
	tries *atomic.Int32
}

func (m moody) Settle(ctx context.Context, waiting func(time.Duration)) error {
	if m.tries.Add(1) == 1 {
		return errors.New("in a mood")
	}
	return m.Cluster.Settle(ctx, waiting)
}

// What an apply on this host makes of new records is no drift, although the kernel tells
// of it before the store does.
func TestAgentLeavesWhatAnApplyMade(t *testing.T) {
	f := newFixture(t)
	f.write(state.Create, box("db", "b"))
	f.deaf = true
	f.start()
	f.until("db is made", func() bool { return f.has("shop-db") })

	_, applied, err := f.machine.open(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	f.write(state.Create, box("more", "b"))
	more := state.Namespace{Name: "shop-more", Mark: box("more", "b").Mark}
	f.machine.World[more.Key()] = more
	f.changed <- struct{}{}
	applied()
	f.until("the new records are reported", func() bool {
		now, err := f.store.Revision(context.Background())
		all := f.statuses()
		return err == nil && len(all) == 1 && all[0].Index >= now.Index
	})
	if text := f.log.String(); strings.Contains(text, "action=delete") || !f.has("shop-more") {
		t.Errorf("took what an apply made for drift:\n%s", text)
	}
}

// Records that come back piece by piece are not followed before they are all there, also when
// the agent has not seen that they were away.
func TestAgentWaitsForTheOtherHalf(t *testing.T) {
	f := newFixture(t)
	look, err := api.NewClient(&api.Config{Address: f.server.HTTP})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 { // indices that the next Consul has not for a while
		if _, err := look.KV().Put(&api.KVPair{Key: fmt.Sprint("other/", i)}, nil); err != nil {
			t.Fatal(err)
		}
	}
	f.write(state.Create, box("db", "b"))
	f.deaf, f.plain = true, true
	stop := f.start()
	f.until("db is made", func() bool { return f.has("shop-db") })

	if err := f.server.Lose(); err != nil {
		t.Fatal(err)
	}
	f.write(state.Create, box("web", "a"))
	half, _, err := look.KV().Get("cnm/shop/revision", nil)
	if err != nil || half == nil {
		t.Fatal(half, err)
	}
	var r consul.Revision
	if err := json.Unmarshal(half.Value, &r); err != nil {
		t.Fatal(err)
	}
	r.Begun = &state.Change{After: half.ModifyIndex, Keys: []string{"sandbox/"}}
	if half.Value, err = json.Marshal(r); err != nil {
		t.Fatal(err)
	}
	if _, err := look.KV().Put(half, nil); err != nil {
		t.Fatal(err)
	}
	f.changed <- struct{}{}
	f.until("the agent waits", func() bool {
		text, ok := f.metrics.Health()
		return !ok && strings.Contains(text, "failed")
	})
	stop()
	f.start() // one that knows nothing of before
	f.until("another agent waits", func() bool { return strings.Contains(f.log.String(), "are being written") })
	if !f.has("shop-db") || len(f.statuses()) > 0 {
		t.Error("half of the records was followed")
	}
	f.write(state.Create, box("db", "b"))
	f.until("the records are followed", func() bool { _, ok := f.metrics.Health(); return ok })
	if !f.has("shop-db") || strings.Contains(f.log.String(), "action=delete") {
		t.Errorf("db was deleted:\n%s", f.log.String())
	}

	// A host that the configuration has says what the others cannot know.
	b := state.HostRecord{Mark: state.Owner{Stack: "shop", Address: "host.b"}, Name: "b", VTEP: addr("10.99.0.11")}
	f.write(state.Create, b)
	f.changed <- struct{}{}
	f.until("the MTU of the underlay is written", func() bool {
		hosts, err := f.store.Hosts(context.Background())
		h, is := hosts[b.Key()].(state.HostRecord)
		return err == nil && is && h.MTU == 1400 && !h.Registered
	})
}

// What concerns other hosts makes no work, and nobody waits for it.
func TestAgentIsNotConcerned(t *testing.T) {
	f := newFixture(t)
	other := state.HostRecord{Mark: state.Owner{Stack: "shop", Address: "host.a"}, Name: "a", VTEP: addr("10.99.0.10")}
	f.write(state.Create, other)
	f.write(state.Create, box("db", "b"))
	f.start()
	f.until("db is reported", func() bool { return f.has("shop-db") && len(f.statuses()) == 1 })
	f.until("the host is registered", func() bool {
		hosts, err := f.store.Hosts(context.Background())
		return err == nil && len(hosts) == 2
	})
	metric := func(name string) string {
		var text strings.Builder
		if _, err := f.metrics.WriteTo(&text); err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(text.String(), "\n"+name+" ")
		value, _, _ := strings.Cut(rest, "\n")
		return value
	}
	reached := func() bool {
		now, err := f.store.Revision(context.Background())
		return err == nil && metric("cnmctl_converged_revision") == fmt.Sprint(now.Serial)
	}
	f.until("all of that is followed, and said", func() bool { return reached() && f.statuses()[0].Serial == 3 })
	quiet := func(attempt int) bool {
		passes, reads, said := metric("cnmctl_passes_total"), metric("cnmctl_store_reads_total"), f.statuses()
		for _, name := range []string{"web", "app", "ads"} {
			f.write(state.Create, box(fmt.Sprint(name, attempt), "a"))
			f.until("the revision is heard of", reached)
		}
		return metric("cnmctl_passes_total") == passes && metric("cnmctl_store_reads_total") == reads && f.statuses()[0] == said[0]
	}
	attempt := 0
	for !quiet(attempt) { // the agent may still be busy with what came before, once or twice
		if attempt++; attempt == 10 {
			t.Fatal("passes, reads or reports for what does not concern the host, each time")
		}
	}
	said := f.statuses()
	goal, err := agent.Host{Stack: "shop", Name: "a", Drivers: registry.All()}.Goal(context.Background(), f.store)
	if err != nil {
		t.Fatal(err)
	}
	if !goal.Caught("b", f.statuses()) || goal.Caught("a", []state.Status{{Host: "a", Revision: said[0].Revision}}) {
		t.Error("whoever waits takes the one for the other")
	}
}

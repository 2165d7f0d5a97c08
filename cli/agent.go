package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/cnmctl/cnmctl/agent"
	"github.com/cnmctl/cnmctl/state"
	"github.com/cnmctl/cnmctl/state/kernel"
	ucli "github.com/urfave/cli/v2"
)

func agentCommand(env Env) *ucli.Command {
	return &ucli.Command{
		Name:  "agent",
		Usage: "Keep this host as the store's records say, until told to stop",
		Description: about(`Does what sync does, whenever the records change or somebody else changes the kernel: drift is
repaired, and logged to stderr. While Consul is away it keeps what it knows. With -advertise it registers this host,
so that tunnels lead to it without a host block in the configuration. It ends at SIGTERM and leaves the network as it is.`,
			"cnmctl agent -stack=shop -store=consul", "cnmctl agent -stack=shop -store=consul -host=a -advertise=eth0 -listen=127.0.0.1:9100"),
		Flags: flags(stackFlag(), hostFlag(), []ucli.Flag{
			text("advertise", "INTERFACE", "register this host, with the address of an interface (or the address itself) as the end of its tunnels"),
			text("listen", "ADDRESS", "serve /health and /metrics (for Prometheus) over HTTP, like 127.0.0.1:9100"),
			&ucli.DurationFlag{Name: "resync", Value: agent.DefaultResync, Usage: "`DURATION` between two looks at the kernel when nothing was heard (default 5m)"},
		}),
		Action: action(env, func(ctx context.Context, s *session) error {
			if err := s.arguments(0, 0); err != nil {
				return err
			}
			return runAgent(ctx, s)
		}),
	}
}

var errAgentAlone = errors.New("an agent follows a store that hosts share; use -store=consul. For records on this host there is 'cnmctl sync'")

func runAgent(ctx context.Context, s *session) error {
	a, err := newAgent(s)
	if err != nil {
		return err
	}
	watcher, err := kernel.Watch(s.kernelConfig(a.Stack, nil))
	if err != nil {
		return err
	}
	s.closers = append(s.closers, watcher)
	a.Changed, a.Follow = watcher.Changes(), func(w state.World) error {
		return errors.Join(watcher.Follow(namespacesIn(w)), watcher.FollowIPsec(w))
	}
	a.Dial = kernel.NewDialer(s.kernelConfig(a.Stack, a.Store)).Dial
	stop, err := serve(s.String("listen"), a.Metrics, a.Log)
	if err != nil {
		return err
	}
	defer stop()
	a.Ready = func() { a.tell(s.env, "READY=1") }
	a.Log.Info("begin", "version", version, "stack", a.Stack, "host", a.Name, "store", fmt.Sprint(a.Store))
	defer a.Log.Info("end")
	err = a.Run(ctx)
	a.tell(s.env, "STOPPING=1")
	return err
}

// agentsLock is what an agent's locks are for.
const agentsLock = "agent"

// watchdog is an agent with what its command line says.
type watchdog struct{ *agent.Agent }

func newAgent(s *session) (*watchdog, error) {
	f := &flow{s: s}
	err := f.identify()
	if err != nil {
		return nil, err
	}
	if f.host, err = hostName(s.String("host"), s.env.Getenv); err != nil {
		return nil, err
	}
	store, err := s.openStore(f.stack, f.settings)
	if err != nil {
		return nil, err
	}
	cluster, shared := store.(state.Cluster)
	if !shared {
		return nil, errAgentAlone
	}
	level, ok, err := logLevel(s.env.Getenv("CNMCTL_LOG"))
	if err != nil {
		return nil, err
	}
	if !ok {
		level = slog.LevelInfo
	}
	a := &watchdog{&agent.Agent{
		Host: f.thisHost(), Store: cluster, Log: newLogger(s.env.Stderr, level), Metrics: &agent.Metrics{}, Resync: s.Duration("resync"),
		Info: state.LockInfo{Operation: agentsLock, Who: whoAmI(f.host), PID: os.Getpid(), Since: time.Now().Format(time.RFC3339)},
	}}
	a.Underlay = underlayMTU
	a.Open = func(ctx context.Context) (agent.Machine, func(), error) { return openMachine(ctx, s, f, store) }
	if by := s.String("advertise"); by != "" {
		if a.Record, err = advertised(f.stack, f.host, by); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// openMachine opens the kernel for one pass: what is open longer would keep namespaces
// alive that somebody deletes.
func openMachine(ctx context.Context, s *session, f *flow, store state.RecordStore) (agent.Machine, func(), error) {
	silent := *s
	silent.say = &voice{text: io.Discard, notes: io.Discard}
	unlock, err := lockHost(ctx, &silent, f.stack, f.host, store, agentsLock)
	if err != nil {
		return nil, nil, err
	}
	k, err := kernel.Open(s.kernelConfig(f.stack, store))
	if err != nil {
		unlock()
		return nil, nil, err
	}
	p, err := openPlugins(f.stack, f.host, store, k)
	if err != nil {
		_ = k.Close()
		unlock()
		return nil, nil, err
	}
	return &machine{Kernel: k, plugins: p}, func() {
		_ = p.Close()
		_ = k.Close() // nothing is lost with a socket
		unlock()
	}, nil
}

// namespacesIn lists the namespaces that a world has or builds on.
func namespacesIn(w state.World) (names []string) {
	for _, o := range w {
		switch o := o.(type) {
		case state.Namespace:
			names = append(names, o.Name)
		case state.Adopted:
			if o.K.Kind == state.KindNamespace {
				names = append(names, o.K.Name)
			}
		}
	}
	return names
}

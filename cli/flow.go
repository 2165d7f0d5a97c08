package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/cnmctl/cnmctl/agent"
	"github.com/cnmctl/cnmctl/applier"
	"github.com/cnmctl/cnmctl/drivers"
	"github.com/cnmctl/cnmctl/drivers/registry"
	"github.com/cnmctl/cnmctl/planner"
	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
	"github.com/cnmctl/cnmctl/state/kernel"
	"github.com/cnmctl/cnmctl/state/plugins"
	"github.com/hashicorp/hcl/v2"
	"golang.org/x/sync/errgroup"
)

// flow is the way that commands share: from the configuration, the store and the kernel
// to a plan and its execution. Each step fills in what the next ones need; a command goes
// as far as it has to.
type flow struct {
	s *session
	// destroy: nothing is wanted. drift: nothing will be done about what differs.
	destroy, drift bool

	// config and topology say what is wanted; nil for commands that need neither.
	config   *spec.Config
	topology *spec.Topology
	stack    string
	settings spec.Store
	host     string

	store   state.RecordStore
	kernel  *kernel.Kernel
	plugins *plugins.Target
	// live is what the kernel and the plugins of this host hold, records what the store does, before both together.
	live    *kernel.Live
	records state.World
	before  state.World
	want    state.World
	// held is what blocks have already, once their values were chosen.
	held planner.Held
	// outdated are settings of an earlier configuration, which have to be reset; reset
	// tells which of them were.
	outdated state.World
	reset    agent.Resets
	// began is the world before the run, and settingsWanted all that its plans wanted: a run
	// has several plans when plugins have to answer first.
	began, settingsWanted state.World
	// heard is what hosts said before a run that is to wait for them.
	heard []state.Status
	// renamed are the blocks that a move gives another address.
	renamed []state.Address
	// whole: the plan is for all of the configuration.
	whole bool
	// pass is the plan's origin when it is this host's share of the records; nil when it is
	// the configuration.
	pass *agent.Pass

	plan   *planner.Plan
	result applier.Result
	phases []applier.Phase
}

// timed runs one step and notes how long it took.
func (f *flow) timed(name string, step func() error) error {
	start := time.Now()
	err := step()
	took := time.Since(start)
	f.phases = append(f.phases, applier.Phase{Name: name, Took: took})
	f.s.log.Debug("step", "name", name, "took", took, "error", err)
	return err
}

// load reads the configuration in the current directory, and the settings in it.
func (f *flow) load() error {
	return f.timed("load the configuration", func() error {
		vars := givenVars(f.s.Context)
		config, diags := f.parse(vars)
		if missing := config.MissingVariables(); len(missing) > 0 && f.s.mayAsk() && !diags.HasErrors() {
			asked, err := f.s.askVariables(missing)
			if err != nil {
				return err
			}
			config, diags = f.parse(append(vars, asked...))
		}
		f.config, f.s.say.files = config, config.Files()
		settings, wrong := config.Settings()
		if diags.HasErrors() || wrong.HasErrors() {
			return f.mistakes()
		}
		f.stack, f.settings = settings.Stack, settings.Store
		return nil
	})
}

func (f *flow) parse(vars []spec.VarFlag) (*spec.Config, hcl.Diagnostics) {
	return spec.Load(".", spec.Options{
		Drivers: registry.Schemas(),
		Version: version,
		Environ: f.s.env.Environ(),
		Vars:    vars,
	})
}

var errNoStack = errors.New("there is no configuration here to take the stack's name from; " +
	"give it with -stack=NAME, or another directory with -chdir=DIR")

// mistakes are all that can be found in a configuration that has some.
func (f *flow) mistakes() error {
	topology, diags := f.config.Evaluate(planner.NewAllocator(registry.Traits(), planner.Held{}))
	return spec.InOrder(append(diags, drivers.Validate(topology, registry.All())...))
}

// identify finds out which stack is meant: the one that -stack names, or that of the
// configuration.
func (f *flow) identify() error {
	if f.stack = f.s.String("stack"); f.stack != "" {
		settings, err := storeSettings(f.s.String("store"))
		f.settings = settings
		return err
	}
	if f.s.String("store") != "" {
		return f.s.misuse(errStoreOfConfiguration)
	}
	if files, err := spec.SourceFiles("."); err == nil && len(files) == 0 {
		return errNoStack
	}
	return f.load()
}

// open opens the stack's store and the kernel, and changes neither.
func (f *flow) open() (err error) {
	if f.host, err = hostName(f.s.String("host"), f.s.env.Getenv); err != nil {
		return err
	}
	if f.store, err = f.s.openStore(f.stack, f.settings); err != nil {
		return err
	}
	k, err := kernel.Open(f.s.kernelConfig(f.stack, f.store))
	if err != nil {
		return err
	}
	f.kernel = k
	f.s.closers = append(f.s.closers, k)
	if f.plugins, err = openPlugins(f.stack, f.host, f.store, k); err != nil {
		return err
	}
	f.s.closers = append(f.s.closers, f.plugins)
	return nil
}

// look reads what is there, the store while the kernel answers. Namespaces of others that
// the records tell of are looked into when they have been read.
func (f *flow) look(ctx context.Context) error {
	err := f.timed("read the store and the kernel", func() error {
		var stored errgroup.Group
		stored.Go(func() (err error) {
			f.records, err = f.store.Snapshot(ctx)
			return err
		})
		var err error
		f.live, err = readHost(ctx, f.kernel, f.plugins)
		if err := cmp.Or(stored.Wait(), err); err != nil {
			return err
		}
		if err := f.visit(ctx, state.Visits(f.records, f.host)); err != nil {
			return err
		}
		return f.kernel.ReadRedirects(ctx, f.live.World, state.Strays(f.live.World, f.host, f.records))
	})
	if err != nil {
		return err
	}
	f.join()
	return nil
}

// join makes one world of what store and kernel hold.
func (f *flow) join() {
	f.before = make(state.World, len(f.records)+len(f.live.World))
	maps.Copy(f.before, f.records)
	maps.Copy(f.before, f.live.World)
}

// find opens what is there of a stack.
func (f *flow) find(ctx context.Context) error {
	if err := f.identify(); err != nil {
		return err
	}
	if err := f.open(); err != nil {
		return err
	}
	if err := f.look(ctx); err != nil {
		return err
	}
	return f.checkStack()
}

// checkStack refuses the name of a stack that somebody typed and that there is nothing of.
func (f *flow) checkStack() error {
	if f.s.String("stack") == "" {
		return nil
	}
	for _, o := range f.before {
		if o.Owner().Stack == f.stack {
			return nil
		}
	}
	return fmt.Errorf("there is nothing of a stack %q, neither in the kernel of this host nor in %s; check the name given with -stack", f.stack, f.store)
}

// evaluate finds out what is wanted, to the last address, as far as it can be known from
// what is held. All mistakes in the configuration are reported together.
func (f *flow) evaluate(ctx context.Context) error {
	return f.timed("evaluate and allocate", func() error {
		allocator, err := f.allocator(ctx)
		if err != nil {
			return err
		}
		topology, diags := f.config.Evaluate(allocator)
		f.topology = topology
		planner.KeepIgnored(topology, f.records)
		topology.Hosts = append(topology.Hosts, registeredHosts(f.records, topology.Hosts)...)
		diags = append(diags, drivers.Validate(topology, registry.All())...)
		if f.live != nil {
			diags = append(diags, planner.Parents(topology, registry.Traits(), f.host, f.held.Facts)...)
		}
		if f.settings.Type == "local" {
			diags = append(diags, elsewhere(topology, f.host)...)
			diags = append(diags, unregistered(topology)...)
			diags = append(diags, keyless(topology)...)
		}
		diags = spec.InOrder(diags)
		if diags.HasErrors() {
			return diags
		}
		f.s.say.diagnostics(diags)
		return nil
	})
}

// portHolders are those who have ports of this host, where it matters.
func (f *flow) portHolders() ([]state.PortHolder, error) {
	if !f.config.Publishes() {
		return nil, nil
	}
	return f.kernel.PortHolders(context.Background())
}

// expand lowers what is wanted to objects.
func (f *flow) expand() error {
	return f.timed("expand into objects", func() (err error) {
		records := drivers.RecordsOf(f.topology)
		records.Answers = f.before
		if f.want, err = drivers.Expand(f.stack, f.host, records, registry.All()); err != nil {
			return err
		}
		return f.wantOutputs(f.want)
	})
}

// probe checks that the kernel has what the wanted objects need, while the plan is made.
// Whoever calls it has to wait for the answer.
func (f *flow) probe(ctx context.Context) (answer func() error) {
	features := state.Features(f.want, f.live.World)
	done := make(chan error, 1)
	go func() { done <- f.kernel.Probe(ctx, features) }()
	return func() error {
		return f.timed("probe the kernel", func() error { return <-done })
	}
}

// readSettings reads the settings among the wanted objects, which are not in a snapshot, and
// those of what was wanted before: nothing in the kernel tells that they are ours. A destroy
// needs them too: those on the host are set back, and those in namespaces are set again if
// it fails.
func (f *flow) readSettings(ctx context.Context) error {
	return f.timed("read the settings", func() error {
		f.outdated = f.findOutdated()
		if err := f.kernel.ReadSysctls(ctx, f.live.World, f.want, f.outdated); err != nil {
			return err
		}
		f.join()
		return nil
	})
}

// diff plans the way from what is there to what is wanted.
func (f *flow) diff(opts planner.Options) error {
	return f.timed("plan", func() error {
		opts.Stack = f.stack
		plan, diags := planner.Diff(f.before, f.want, opts)
		if diags.HasErrors() {
			return diags
		}
		f.plan = plan
		f.s.say.diagnostics(diags)
		return nil
	})
}

// begin reads the configuration and opens what it is about. A destroy needs no more of it
// than the stack's name.
func (f *flow) begin(ctx context.Context) error {
	var err error
	if f.destroy {
		err = f.identify()
	} else {
		err = f.load()
	}
	if err != nil {
		return err
	}
	if err := f.open(); err != nil {
		return f.preferMistakes(ctx, err)
	}
	return nil
}

// preferMistakes reports mistakes in the configuration rather than why the kernel could
// not be looked at: they would come up next.
func (f *flow) preferMistakes(ctx context.Context, err error) error {
	if f.destroy || f.config == nil {
		return err
	}
	if mistakes := f.evaluate(ctx); mistakes != nil {
		return mistakes
	}
	return err
}

// makePlan reads what is there and plans the way to what is wanted.
func (f *flow) makePlan(ctx context.Context) error {
	if err := f.look(ctx); err != nil {
		return f.preferMistakes(ctx, err)
	}
	if f.destroy {
		if err := f.checkStack(); err != nil {
			return err
		}
	}
	opts := planner.Options{Destroy: f.destroy}
	f.want = state.World{}
	for _, h := range registeredHosts(f.records, nil) {
		f.want.Add(h.Record()) // it is there as long as its machine is
	}
	if !f.destroy {
		if err := f.evaluate(ctx); err != nil {
			return err
		}
		if err := f.expand(); err != nil {
			return err
		}
		opts = planner.OptionsFrom(f.topology)
	}
	lacking := f.probe(ctx)
	err := f.planWanted(ctx, opts)
	if err := cmp.Or(lacking(), err); err != nil {
		return err
	}
	return f.findFollowers(ctx)
}

// planWanted plans the way to the wanted world, or to the part of it that is asked for.
func (f *flow) planWanted(ctx context.Context, opts planner.Options) error {
	if err := f.readSettings(ctx); err != nil {
		return err
	}
	if err := f.restrict(ctx); err != nil {
		return err
	}
	f.whole = len(f.s.StringSlice("target"))+len(f.s.StringSlice("exclude")) == 0
	opts.Replace, opts.Host = addresses(f.s.StringSlice("replace")), f.host
	return f.diff(opts)
}

package cli

import (
	"context"
	"fmt"
	"maps"
	"net"
	"path/filepath"
	"strings"

	"github.com/cnmctl/cnmctl/applier"
	"github.com/cnmctl/cnmctl/drivers"
	"github.com/cnmctl/cnmctl/drivers/registry"
	"github.com/cnmctl/cnmctl/planner"
	"github.com/cnmctl/cnmctl/plugin"
	"github.com/cnmctl/cnmctl/state"
	"github.com/cnmctl/cnmctl/state/kernel"
	"github.com/cnmctl/cnmctl/state/local"
	"github.com/cnmctl/cnmctl/state/plugins"
)

// openPlugins gives the plugins of this host. What they were asked for is in a file of the
// host's own, beside the records where those are in a file too.
func openPlugins(stack, host string, store state.RecordStore, k *kernel.Kernel) (*plugins.Target, error) {
	path := filepath.Join(local.DefaultDir, stack+".plugins.json")
	switch s := store.(type) {
	case *local.Store:
		path = strings.TrimSuffix(s.Path(), ".json") + ".plugins.json"
	case state.Cluster:
		path = filepath.Join(local.DefaultDir, stack+"@"+host+".plugins.json")
	}
	ledger, err := local.Open(local.Options{Stack: stack, Path: path})
	if err != nil {
		return nil, err
	}
	return &plugins.Target{Finder: plugin.Docker, Host: ledger, Cluster: store, MAC: macOf, Path: k.NetnsPath}, nil
}

// macOf is the Ethernet address of an interface of this host.
func macOf(link string) (mac state.MAC, err error) {
	i, err := net.InterfaceByName(link)
	if err != nil {
		return mac, fmt.Errorf("it is not there: %w", err)
	}
	copy(mac[:], i.HardwareAddr)
	return mac, nil
}

// readHost reads the kernel, and what this host's plugins were asked for.
func readHost(ctx context.Context, k *kernel.Kernel, p *plugins.Target) (*kernel.Live, error) {
	live, err := k.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	asked, err := p.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	maps.Copy(live.World, asked)
	state.JoinGiven(live.World)
	return live, nil
}

// next plans what follows from what plugins have answered: the records say all that the
// configuration said but for its outputs.
func (f *flow) next(ctx context.Context) (*planner.Plan, state.World, error) {
	if f.pass != nil {
		if err := f.planShare(ctx); err != nil {
			return nil, nil, err
		}
		f.showNext()
		return f.plan, f.before, nil
	}
	last := f.plan
	if err := f.look(ctx); err != nil {
		return nil, nil, err
	}
	want, err := drivers.Expand(f.stack, f.host, drivers.RecordsIn(f.before), registry.All())
	if err != nil {
		return nil, nil, err
	}
	if err := f.answeredOutputs(ctx, last, want); err != nil {
		return nil, nil, err
	}
	if !f.whole {
		var diags error
		if want, diags = onlyAnswered(last, f.before, want); diags != nil {
			return nil, nil, diags
		}
	}
	maps.Copy(f.settingsWanted, want)
	if err := f.kernel.ReadSysctls(ctx, f.live.World, f.settingsWanted, f.began); err != nil {
		return nil, nil, err
	}
	f.join()
	plan, diags := planner.Diff(f.before, want, planner.Options{Stack: f.stack})
	if diags.HasErrors() {
		return nil, nil, diags
	}
	f.plan = plan
	f.showNext()
	return plan, f.before, nil
}

// onlyAnswered is the wanted world for what a plan asked plugins for and who is beside it on
// the networks, and the live one for all else: a plan that was made for some blocks, or
// saved, is not about the others.
func onlyAnswered(plan *planner.Plan, live, want state.World) (state.World, error) {
	networks := map[state.Address]bool{}
	for _, op := range plan.Ops {
		switch o := op.Object().(type) {
		case state.Pool, state.Allocation, state.PluginNetwork:
			networks[o.Owner().Address] = true
		case state.Lease:
			networks[o.Network] = true
		case state.PluginEndpoint:
			networks[o.Network] = true
		}
	}
	var blocks []state.Address
	for _, o := range want {
		switch o := o.(type) {
		case state.Network:
			if networks[o.Mark.Address] {
				blocks = append(blocks, o.Mark.Address)
			}
		case state.Endpoint:
			if networks[o.Network] {
				blocks = append(blocks, o.Mark.Address)
			}
		}
	}
	restricted, diags := planner.Targets(live, want, blocks, nil, nil)
	if diags.HasErrors() {
		return nil, diags
	}
	return restricted, nil
}

// showNext says what follows from the plugins' answers.
func (f *flow) showNext() {
	if len(f.plan.Ops) > 0 {
		f.s.say.line("Plugins have answered; what follows takes %d more operations.", len(f.plan.Ops))
	}
}

// live reads the world as whichever plan runs now sees it.
type liveReader struct{ *flow }

// Snapshot reads kernel, records and plugins anew.
func (l liveReader) Snapshot(ctx context.Context) (state.World, error) {
	if l.pass != nil {
		return l.pass.Snapshot(ctx)
	}
	return l.flow.Snapshot(ctx)
}

var _ applier.Reader = liveReader{}

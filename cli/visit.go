package cli

import (
	"context"
	"fmt"

	"github.com/cnmctl/cnmctl/drivers/registry"
	"github.com/cnmctl/cnmctl/planner"
	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
	"github.com/cnmctl/cnmctl/state/docker"
	"github.com/cnmctl/cnmctl/state/kernel"
	"github.com/hashicorp/hcl/v2"
)

// kernelConfig is how the kernel is looked at for a stack.
func (s *session) kernelConfig(stack string, store state.RecordStore) kernel.Config {
	return kernel.Config{Stack: stack, Secrets: secretsOf(store), Containers: func(ctx context.Context, engine, name string) (int, error) {
		if engine != "docker" {
			return 0, fmt.Errorf("this cnmctl cannot ask %q for containers", engine)
		}
		e, err := docker.New(s.env.Getenv("DOCKER_HOST"))
		if err != nil {
			return 0, err
		}
		return e.Process(ctx, name)
	}}
}

// visit looks into namespaces of others, if any of them was not looked into before.
func (f *flow) visit(ctx context.Context, names []string) (err error) {
	if !f.kernel.Visit(names) {
		return nil
	}
	if f.live, err = readHost(ctx, f.kernel, f.plugins); err == nil {
		f.join()
	}
	return err
}

// allocator chooses from what is held. That is only known when all namespaces have been
// looked into that sandboxes are in, and the configuration says which when it is evaluated.
func (f *flow) allocator(ctx context.Context) (spec.Allocator, error) {
	if f.live == nil {
		return planner.NewAllocator(registry.Traits(), planner.Held{}), nil
	}
	if err := f.hold(); err != nil {
		return nil, err
	}
	return &visitor{Allocator: planner.NewAllocator(registry.Traits(), f.held), look: func(names []string) (planner.Held, error) {
		err := f.visit(ctx, names)
		if err == nil {
			err = f.hold()
		}
		return f.held, err
	}, host: f.host}, nil
}

// visitor looks into the namespaces of a topology's sandboxes before it has addresses and
// names chosen for endpoints.
type visitor struct {
	*planner.Allocator
	look func(names []string) (planner.Held, error)
	host string
}

// Endpoints chooses what endpoints leave open.
func (v *visitor) Endpoints(t *spec.Topology) hcl.Diagnostics {
	names := visitsOf(t, v.host)
	if len(names) == 0 {
		return v.Allocator.Endpoints(t)
	}
	held, err := v.look(names)
	if err != nil {
		return hcl.Diagnostics{{Severity: hcl.DiagError, Summary: "Namespace of a sandbox is unknown", Detail: fmt.Sprintf("What is in the namespaces of others that sandboxes are in cannot be found out: %s.", err)}}
	}
	return planner.NewAllocator(registry.Traits(), held).Endpoints(t)
}

// visitsOf are the namespaces of others that the topology's sandboxes are in on the host.
func visitsOf(t *spec.Topology, host string) []string {
	w := state.World{}
	for _, s := range t.Sandboxes {
		w.Add(s.Sandbox)
	}
	return state.Visits(w, host)
}

// hold finds out what blocks hold, and the facts about this host.
func (f *flow) hold() error {
	holders, err := f.portHolders()
	if err != nil {
		return err
	}
	f.held = planner.HeldFrom(f.records, f.live.World, nil, planner.Facts{
		HostRoutes: f.live.HostRoutes, HostAddresses: f.live.HostAddresses,
		Nameservers: f.live.Nameservers, Links: f.live.Links, MTUs: f.live.MTUs,
		Down: f.live.Down, Ports: f.live.Ports, VNIs: f.live.VNIs,
		Host: f.host, Holders: holders,
	})
	return nil
}

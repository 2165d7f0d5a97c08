package planner

import (
	"github.com/cnmctl/cnmctl/drivers"
	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/hcl/v2"
)

// Allocator chooses what a configuration leaves open: subnets, gateways, names of
// devices, addresses, MACs, names of interfaces. It is a pure function of the topology and
// of what is held, so a plan can show real values and equal input gives equal output.
//
// What a block asks for comes first, then what it holds already, then the lowest that is
// free. Blocks are served in the order of their addresses, never of their lines, so that
// moving a block within its file changes nothing.
type Allocator struct {
	traits map[string]drivers.Traits
	held   Held
}

var _ spec.Allocator = (*Allocator)(nil)

// NewAllocator is an allocator that knows the drivers' traits by name, and what is held.
func NewAllocator(traits map[string]drivers.Traits, held Held) *Allocator {
	return &Allocator{traits: traits, held: held}
}

// Networks fills in subnets, VNIs, gateways and names of devices, and adds the networks that
// others need.
func (a *Allocator) Networks(t *spec.Topology) hcl.Diagnostics {
	held := a.held.moved(t.Moves)
	KeepIgnored(t, held.Records)
	measureHosts(t.Hosts, held)
	diags := a.implyGateway(t)
	networks := inOrder(t.Networks, networkAddress)
	a.assignNetworks(networks, held)
	diags = append(diags, a.allocateDevices(t.Stack, networks, held)...)
	diags = append(diags, a.allocateSubnets(t, networks, held)...)
	diags = append(diags, a.allocateVNIs(networks, held)...)
	diags = append(diags, a.allocateGateways(networks, held)...)
	return append(diags, strangeSources(networks, held.Facts)...)
}

// Endpoints fills in addresses, MACs and names of interfaces, and makes sandboxes of the
// host driver the host's own namespace.
func (a *Allocator) Endpoints(t *spec.Topology) hcl.Diagnostics {
	KeepIgnored(t, a.held.Records)
	w := newWiring(t, a.traits, a.held.moved(t.Moves))
	if w.implyGatewayEndpoints(t) {
		w = newWiring(t, a.traits, a.held.moved(t.Moves))
	}
	diags := w.checkPointToPoint()
	diags = append(diags, w.enterHost()...)
	w.leaveToPlugins()
	diags = append(diags, w.allocateAddresses()...)
	diags = append(diags, w.checkForeign()...)
	diags = append(diags, w.allocateMACs()...)
	diags = append(diags, w.allocateInterfaces()...)
	diags = append(diags, w.allocateHostInterfaces()...)
	return append(diags, w.allocatePorts()...)
}

// wiring is a topology indexed for the allocation of its endpoints.
type wiring struct {
	stack     string
	held      Held
	traits    map[string]drivers.Traits
	networks  []*spec.Network
	endpoints []*spec.Endpoint
	// linked are the endpoints that have interfaces, and so addresses. What others must not
	// ask for is their drivers' to say.
	linked  []*spec.Endpoint
	network map[state.Address]*spec.Network
	sandbox map[state.Address]*spec.Sandbox
	// inside lists the endpoints of each sandbox by network and address; of those that share
	// a namespace, all with the first.
	inside    map[state.Address][]*spec.Endpoint
	sandboxes []*spec.Sandbox
	onHost    *hostNames
}

func newWiring(t *spec.Topology, traits map[string]drivers.Traits, held Held) *wiring {
	w := &wiring{
		stack:     t.Stack,
		held:      held,
		traits:    traits,
		networks:  inOrder(t.Networks, networkAddress),
		endpoints: inOrder(t.Endpoints, endpointAddress),
		sandboxes: inOrder(t.Sandboxes, sandboxAddress),
		network:   make(map[state.Address]*spec.Network, len(t.Networks)),
		sandbox:   make(map[state.Address]*spec.Sandbox, len(t.Sandboxes)),
		inside:    make(map[state.Address][]*spec.Endpoint, len(t.Sandboxes)),
		onHost:    newHostNames(held.Facts),
	}
	for _, n := range w.networks {
		w.network[n.Mark.Address] = n
		w.onHost.take(n.Device, n.Mark.Address)
	}
	for _, s := range w.sandboxes {
		w.sandbox[s.Mark.Address] = s
	}
	for _, e := range w.endpoints {
		if w.of(e).Links {
			w.linked = append(w.linked, e)
		}
		if e.Sandbox != "" {
			first := w.spaceOf(e.Sandbox)
			w.inside[first] = append(w.inside[first], e)
		}
	}
	for _, attached := range w.inside {
		sortByNetwork(attached)
	}
	return w
}

// spaceOf is the sandbox whose namespace the one at the address is in: itself, or the one
// that it shares.
func (w *wiring) spaceOf(a state.Address) state.Address {
	if s := w.sandbox[a]; s != nil && s.Shares != "" {
		return s.Shares
	}
	return a
}

// of are the traits of the endpoint's network; none for an unknown network or driver,
// which others complain about.
func (w *wiring) of(e *spec.Endpoint) drivers.Traits {
	if n := w.network[e.Network]; n != nil {
		return w.traits[n.Driver].Of(n.Network)
	}
	return drivers.Traits{}
}

func networkAddress(n *spec.Network) state.Address   { return n.Mark.Address }
func endpointAddress(e *spec.Endpoint) state.Address { return e.Mark.Address }
func sandboxAddress(s *spec.Sandbox) state.Address   { return s.Mark.Address }

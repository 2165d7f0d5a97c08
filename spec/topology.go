package spec

import (
	"net/netip"
	"strings"

	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// Topology is what a configuration says, typed and flat: modules, for_each and count are
// expanded, every value is known. The records in it hold zero values for what is left to
// be chosen until an Allocator has filled them in.
type Topology struct {
	Stack     string
	Store     Store
	Pools     []Pool
	Hosts     []*Host
	Networks  []*Network
	Sandboxes []*Sandbox
	Endpoints []*Endpoint
	Policies  []*Policy
	Outputs   []*Output
	Moves     []Move
	Removals  []Removal
}

// Decl is where a block was declared and how it may change.
type Decl struct {
	// Range is the block's header; Ranges holds the value range of each attribute by its
	// name ("subnet[0].cidr" for nested ones), for errors that point at a line.
	Range  hcl.Range
	Ranges map[string]hcl.Range
	// IgnoreChanges are attributes whose live value stays; ["all"] for all of them.
	IgnoreChanges []string
	// Sensitive are the attributes whose value came from something sensitive.
	Sensitive []string
	// Partial: endpoints of the network or sandbox could not be evaluated, which was
	// reported. Nothing follows from what is not among the others.
	Partial bool
}

// At is the range of the attribute called name, or of the block that it would be in when it
// was not written.
func (d Decl) At(name string) *hcl.Range {
	for {
		if r, ok := d.Ranges[name]; ok {
			return &r
		}
		outer := strings.LastIndexByte(name, '.')
		if outer < 0 {
			return &d.Range
		}
		name = name[:outer]
	}
}

// Written reports that the block itself has the attribute, whatever its value.
func (d Decl) Written(name string) bool {
	_, ok := d.Ranges[name]
	return ok
}

// Network is a network block: the record, and where it came from.
type Network struct {
	state.Network
	Decl
}

// Sandbox is a sandbox block.
type Sandbox struct {
	state.Sandbox
	Decl
}

// Endpoint is an endpoint block.
type Endpoint struct {
	state.Endpoint
	// PortsFrom is where the host's ports of each of its Ports may be chosen from.
	PortsFrom []state.PortRange
	Decl
}

// Host is a host block: a machine of a cluster.
type Host struct {
	Mark state.Owner
	Name string
	VTEP netip.Addr
	// MTU of the underlay at this host; 0: not said.
	MTU int
	// Registered: no configuration says so, but the host's own agent.
	Registered bool
	Decl
}

// Record is the host as a store keeps it.
func (h *Host) Record() state.HostRecord {
	return state.HostRecord{Mark: h.Mark, Name: h.Name, VTEP: h.VTEP, MTU: h.MTU, Registered: h.Registered}
}

// Store is the store block: "local" or "consul", and its settings as the user wrote them
// (path, address, …), evaluated.
type Store struct {
	Type   string
	Config map[string]string
	Decl
}

// Pool is where automatic subnets come from: Base cut into subnets of Size bits.
type Pool struct {
	Base netip.Prefix
	Size int
}

// Output is a root output, evaluated.
type Output struct {
	Name        string
	Description string
	Sensitive   bool
	Value       cty.Value
	// Of are the blocks and modules that the value comes from, by reference.
	Of    []state.Address
	Range hcl.Range
}

// Move says that what is marked From is now called To.
type Move struct {
	From, To state.Address
	Range    hcl.Range
}

// Removal says that From is no longer configured; Destroy false leaves what there is to
// its fate, without our mark.
type Removal struct {
	From    state.Address
	Destroy bool
	Range   hcl.Range
}

// Allocator chooses what a configuration leaves open. Both steps are pure: they depend on
// the topology and on what the allocator was told is held, and they change the records of
// the topology in place. Errors point at the block's attributes.
//
// Moves must be in the topology before Networks is called, as they are written (a block or
// a module stands for all that is in it): what a moved block holds is held under the
// address that it had.
type Allocator interface {
	// Networks fills in subnets, gateways, names of devices. It is called once, when all
	// networks are evaluated and before any expression sees their computed attributes.
	Networks(*Topology) hcl.Diagnostics
	// Endpoints fills in addresses, MACs and interface names. It is called once, when all
	// sandboxes' names and all endpoints are evaluated.
	Endpoints(*Topology) hcl.Diagnostics
}

// Schema describes a block of the language: what it may hold, for decoding, for messages
// and for the language reference, which is printed from it.
type Schema struct {
	// Name is the block's type, or the driver's name for a driver's options.
	Name string
	// Doc is one paragraph of Markdown.
	Doc    string
	Attrs  []AttrSchema
	Blocks []BlockSchema
}

// AttrSchema describes one attribute.
type AttrSchema struct {
	Name     string
	Type     cty.Type
	Required bool
	// Default is used when the attribute is absent or null; cty.NilVal for none.
	Default cty.Value
	Doc     string
	// Check refuses known, non-null values of the right type; its error says what is
	// allowed, as the detail of a diagnostic.
	Check func(cty.Value) error
	// Ref is the type of block that the value must be a reference to: "network".
	Ref string
	// Static attributes are read as they are written, not evaluated: a type, an address.
	Static bool
	// Late attributes decide nothing that others depend on, so they may be made from
	// addresses that are chosen only after their block was evaluated.
	Late bool
}

// BlockSchema describes a nested block.
type BlockSchema struct {
	Schema
	// Max is how many of them there may be; 0: any number.
	Max int
	// Labels are the names of the block's labels.
	Labels []string
}

// DriverSchema is what the language needs to know of a driver. The network's options are
// written in a block with the driver's name inside the network, the endpoint's likewise
// inside the endpoint.
type DriverSchema struct {
	Name     string
	Doc      string
	Network  Schema
	Endpoint Schema
	// PortAddress is the network's option that says on which address of the host the ports
	// of its endpoints are published that do not say so themselves; "" for none.
	PortAddress string
}

// Package drivers turns records of networks, endpoints and sandboxes into the objects that
// carry them on one host. It is pure: no netlink, no store, no lock.
package drivers

import (
	"net/netip"

	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/hcl/v2"
)

// Driver is one way to carry a network. A driver is a value without state of its own; its
// folder below this one holds all there is to it.
type Driver interface {
	// Schema describes the driver's options; its name is the driver's name.
	Schema() spec.DriverSchema
	// Traits says what the rest of cnmctl has to know before any expansion.
	Traits() Traits
	// Validate checks one network with its endpoints beyond what the schema says, before
	// anything is read from the kernel.
	Validate(n *spec.Network, endpoints []*spec.Endpoint) hcl.Diagnostics
	// Expand lists the objects that carry the network on this host. It is only given
	// records that were validated and allocated; an error is a bug or a record of a newer
	// version.
	Expand(View) (Expansion, error)
}

// Traits are a driver's properties that other rooms ask for.
type Traits struct {
	// Global: one network spans hosts. Otherwise it is a host's own.
	Global bool
	// Pools: the network has subnets, chosen automatically when none are given.
	Pools bool
	// Gateway: a subnet without a gateway gets its first free address as one.
	Gateway bool
	// PointToPoint: exactly two endpoints; a /31 (RFC 3021) or /127 (RFC 6164) uses both
	// of its addresses.
	PointToPoint bool
	// HostNamespace: a sandbox attached to the network is the host's own namespace.
	HostNamespace bool
	// Device: the network has an interface of its own on the host, which needs a name.
	Device bool
	// Links: each endpoint has an interface in its sandbox, which needs a name and a MAC.
	Links bool
	// HostLinks: each endpoint has an interface on the host too, which needs a name.
	HostLinks bool
	// Unseen: what endpoints get does not come by their interfaces, where it could be held back.
	Unseen bool
	// Tunnels: each subnet has a VXLAN network identifier, the first ones of both families
	// one together.
	Tunnels bool
	// Dummy: the network sits on an interface of the host, which its option "parent" names;
	// without one it has a device of its own, whose name begins with this.
	Dummy string
	// ParentMAC: endpoints have the MAC of the interface that the network sits on.
	ParentMAC bool
	// Direct: endpoints are a way out without a gateway.
	Direct bool
	// Refiner, where there is one, knows better by the options of a network.
	Refiner Refiner
	// Plugin: a plugin makes the endpoints' interfaces, chooses their MACs and names, and
	// publishes their ports.
	Plugin bool
	// Ports: endpoints can publish ports on their host.
	Ports bool
	// Forwarded: the host forwards what goes into and out of the network.
	Forwarded bool
	// WayOut is the driver of the network by which the endpoints' sandboxes get out, when
	// they have no other way; "" for networks that are a way out themselves, or need none.
	WayOut string
}

// Refiner tells the traits of one network from those of its driver.
type Refiner interface {
	Refine(Traits, state.Network) Traits
}

// Apart is implemented by drivers whose networks may keep their endpoints from each other.
type Apart interface {
	// Apart reports that the network's endpoints cannot reach each other.
	Apart(state.Network) bool
}

// Domain is implemented by drivers whose networks may be in VRFs of the host.
type Domain interface {
	// Domain is the VRF that the host routes the network in, "" for none, and the table
	// that the VRF is to have; 0: somebody else has made it.
	Domain(state.Network) (vrf string, table uint32)
}

// Of are the traits of one network of the driver.
func (t Traits) Of(n state.Network) Traits {
	if t.Refiner == nil {
		return t
	}
	return t.Refiner.Refine(t, n)
}

// View is what a driver sees of the world when it expands one network.
type View struct {
	Stack   string
	Network state.Network
	// Host is the name of this host, Hosts are all that are known, in order of name.
	Host  string
	Hosts []state.HostRecord
	// Away are the endpoints that are attached on other hosts, in order of address.
	Away []Away
	// Answers are what plugins have said.
	Answers state.World
	// Keyring has the keys of encrypted networks.
	Keyring state.Keyring
	// Endpoints are those of the network that are attached to a sandbox of this host, in
	// order of address.
	Endpoints []Attached
}

// Attached is an endpoint with the sandbox that it is in.
type Attached struct {
	state.Endpoint
	In state.Sandbox
	// Published are the ports that lead to it: its own, and those of endpoints of its
	// sandbox whose networks have no way out but by this one.
	Published []Published
}

// Published is a port, and the endpoint that publishes it.
type Published struct {
	state.Port
	By state.Owner
}

// Away is an endpoint that is attached on another host.
type Away struct {
	state.Endpoint
	Host string
}

// Expansion is what a driver answers: objects of its own, its share of the stack's
// ruleset, and what each endpoint offers its sandbox.
type Expansion struct {
	Objects []state.Object
	Rules   []Rules
	// Elements are the network's share of the sets of the stack's table.
	Elements []Elements
	// Offers by the endpoint's address.
	Offers map[state.Address]Offer
}

// Rules are a network's share of one chain of the stack's table.
type Rules struct {
	// Chain is one of the table's base chains, or a chain of the network's own to jump to.
	Chain string
	Rules []state.FilterRule
}

// Elements are a network's share of one set of the stack's table.
type Elements struct {
	Set      string
	Elements []state.Element
}

// Offer is what an endpoint can do for its sandbox: a way out. The sandbox takes one per
// family, by the endpoints' priorities.
type Offer struct {
	// Link is the interface in the sandbox.
	Link string
	// Gateway4 and Gateway6 are next hops for the default routes; zero for none.
	Gateway4, Gateway6 netip.Addr
	// Direct4 and Direct6: the default routes go out by the link itself, without a next hop.
	Direct4, Direct6 bool
	// OnLink: no address of the interface covers the gateways.
	OnLink bool
	// Elected are objects that go with being the sandbox's way out.
	Elected []state.Object
	// Internal endpoints are no way out.
	Internal bool
	// Isolated endpoints cannot reach the others of their network, so their sandboxes'
	// hosts files do not name them.
	Isolated bool
}

package planner

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"

	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
)

// Held is what blocks hold already and keep as long as it still fits, by the address of
// the block; and the facts about this host that new choices must respect. Every list has
// the best candidate first: the allocator takes the first that is still valid.
type Held struct {
	Networks  map[state.Address]HeldNetwork
	Endpoints map[state.Address]HeldEndpoint
	// Lent is what our addresses on links of others say, by the link's name: such a link
	// does not say which network has adopted it, but the network says which link.
	Lent map[string]HeldNetwork
	// UnderlayMTUs are what hosts have told of themselves, by their names.
	UnderlayMTUs map[string]int
	// Published are the ports in live rulesets, by their owners as they are written there.
	Published map[string][]HeldPort
	// Records are those of the store, for what of a block is to stay as it is.
	Records state.World
	// Answers are what plugins have said.
	Answers state.World
	// Foreign is what others have in namespaces of theirs that sandboxes are in.
	Foreign map[state.Place]HeldSpace
	Facts   Facts
}

// HeldSpace is what others have in a namespace: the names of links, and addresses with the
// links that they are on.
type HeldSpace struct {
	Links     map[string]bool
	Addresses map[netip.Prefix]string
}

// HeldNetwork is what a network holds.
type HeldNetwork struct {
	Devices  []string
	VNIs     []uint32
	Subnets  []netip.Prefix
	Gateways []netip.Addr
}

// HeldEndpoint is what an endpoint holds, addresses of both families in one list.
type HeldEndpoint struct {
	Addresses []netip.Addr
	// Interfaces are names in Sandbox; in another one, the endpoint is a newcomer. "" is
	// not known: the host's namespace bears no mark.
	Interfaces     []string
	Sandbox        state.Address
	HostInterfaces []string
	Ports          []HeldPort
}

// Facts are what this host has already and a new subnet or name must not collide with.
type Facts struct {
	// HostRoutes are the destinations that the host reaches directly (scope link), without
	// those through this stack's own links: a subnet is not in its own way.
	HostRoutes []netip.Prefix
	// HostAddresses are the host's own, with the links that they are on, without those on
	// this stack's links.
	HostAddresses map[netip.Addr]string
	// Nameservers are the host's.
	Nameservers []netip.Addr
	// Links are the names of links in the host's namespace. Names of this stack's links may
	// be among them; HeldFrom takes them out.
	Links map[string]bool
	// MTUs are those of the host's links, by name.
	MTUs map[string]int
	// Down are the host's links that are down; Ports are those that are ports, with what
	// they are ports of.
	Down  map[string]bool
	Ports map[string]string
	// VNIs are numbers that others have: other stacks' claims, and tunnels on this host.
	VNIs map[uint32]bool
	// Host is the name of this host; Holders have ports of it: programs and other stacks.
	Host    string
	Holders []state.PortHolder
}

// prefixes is what new subnets stay clear of. Default routes reach everything and are in
// nobody's way.
func (f Facts) prefixes() *prefixSet {
	set := &prefixSet{}
	for _, r := range f.HostRoutes {
		if r.IsValid() && r.Bits() > 0 {
			set.add(takenPrefix{prefix: r})
		}
	}
	for _, ip := range f.Nameservers {
		if ip.IsValid() {
			ip = ip.Unmap().WithZone("")
			set.add(takenPrefix{prefix: netip.PrefixFrom(ip, ip.BitLen())})
		}
	}
	return set
}

// within finds an address of the host in a prefix, the lowest one.
func (f Facts) within(p netip.Prefix) (ip netip.Addr, link string, found bool) {
	for a, l := range f.HostAddresses {
		if p.Contains(a) && (!found || a.Less(ip)) {
			ip, link, found = a, l, true
		}
	}
	return ip, link, found
}

// HeldFrom collects what is held: from the records and claims of the store, and from the
// live kernel. What both say comes first. Where they differ the kernel is right, because
// it is what is in use: so the loss of the store costs nothing while the kernel's objects
// exist, and their loss (a reboot) costs nothing while the store does.
//
// What was held by a block that has moved is held by what it is called now. The allocator
// applies the moves of its topology too, so moves may be nil when the configuration is
// still to be read.
func HeldFrom(records, live state.World, moves []spec.Move, facts Facts) Held {
	stored := make(chan Held, 1)
	go func() { stored <- inStore(records) }()
	there := inKernel(live)
	h := (<-stored).confirmedBy(there)
	h.Records = records
	h.Answers = answers(records, live)
	h.Foreign = othersIn(live)
	h.Facts = facts.without(live)
	h.Facts.VNIs = claimedElsewhere(records, facts.VNIs)
	return h.moved(moves)
}

// answers are what plugins have said, of whichever place it was kept in.
func answers(worlds ...state.World) state.World {
	all := state.World{}
	for _, w := range worlds {
		for k, o := range w {
			if k.Place.Asked() {
				all[k] = o
			}
		}
	}
	return all
}

func newHeld() Held {
	return Held{Networks: map[state.Address]HeldNetwork{}, Endpoints: map[state.Address]HeldEndpoint{}, Lent: map[string]HeldNetwork{}, UnderlayMTUs: map[string]int{}, Published: map[string][]HeldPort{}}
}

// network is what the network holds, also on a device that it has adopted.
func (h Held) network(n *spec.Network) HeldNetwork {
	held := h.Networks[n.Mark.Address]
	if adopts(n) {
		lent := h.Lent[n.Device]
		held.Subnets = confirmed(held.Subnets, lent.Subnets)
		held.Gateways = confirmed(held.Gateways, lent.Gateways)
	}
	return held
}

// inStore is what the store says, records before claims: a claim without a record is
// what a run that was cut short had got to.
func inStore(records state.World) Held {
	h := newHeld()
	for _, o := range records {
		switch r := o.(type) {
		case state.Network:
			n := HeldNetwork{Devices: nonEmpty(r.Device), VNIs: slices.Clone(r.VNIs)}
			for _, s := range r.Subnets {
				n.Subnets = append(n.Subnets, s.CIDR)
				if s.Gateway.IsValid() {
					n.Gateways = append(n.Gateways, s.Gateway)
				}
			}
			h.Networks[r.Mark.Address] = n
		case state.HostRecord:
			h.UnderlayMTUs[r.Name] = r.MTU
		case state.Endpoint:
			e := HeldEndpoint{Interfaces: nonEmpty(r.Interface), Sandbox: r.Sandbox, HostInterfaces: nonEmpty(r.HostInterface), Ports: heldPorts(r)}
			for _, p := range []netip.Prefix{r.IPv4, r.IPv6} {
				if p.IsValid() {
					e.Addresses = append(e.Addresses, p.Addr())
				}
			}
			h.Endpoints[r.Mark.Address] = e
		}
	}
	for _, k := range records.KeysOf(state.KindClaim) {
		if c, ok := records[k].(state.Claim); ok {
			h.addClaim(c)
		}
	}
	return h
}

// addClaim adds what is claimed as the last resort: to the network when it is the
// network that holds it (a gateway, a VNI), else to the endpoint.
func (h Held) addClaim(c state.Claim) {
	if c.VNI != 0 {
		n := h.Networks[c.Mark.Address]
		n.VNIs = append(n.VNIs, c.VNI)
		h.Networks[c.Mark.Address] = n
		return
	}
	if p := c.Port; p.Host != 0 {
		if p.Container == 0 {
			return // the endpoint's record and the live rules say where it leads
		}
		e := h.Endpoints[c.Mark.Address]
		e.Ports = append(e.Ports, HeldPort{p.Protocol, p.Address, p.Host, p.Container})
		h.Endpoints[c.Mark.Address] = e
		return
	}
	if c.Mark.Address == c.Network {
		n := h.Networks[c.Network]
		n.Gateways = append(n.Gateways, c.IP)
		h.Networks[c.Network] = n
		return
	}
	e := h.Endpoints[c.Mark.Address]
	e.Addresses = append(e.Addresses, c.IP)
	h.Endpoints[c.Mark.Address] = e
}

// confirmedBy orders the candidates: what store and kernel both know, what the kernel
// knows, what the store knows.
func (h Held) confirmedBy(kernel Held) Held {
	both := newHeld()
	both.Lent, both.UnderlayMTUs, both.Published = kernel.Lent, h.UnderlayMTUs, kernel.Published
	for _, held := range []Held{kernel, h} {
		for a := range held.Networks {
			r, k := h.Networks[a], kernel.Networks[a]
			both.Networks[a] = HeldNetwork{
				Devices:  confirmed(r.Devices, k.Devices),
				VNIs:     confirmed(r.VNIs, k.VNIs),
				Subnets:  confirmed(r.Subnets, k.Subnets),
				Gateways: confirmed(r.Gateways, k.Gateways),
			}
		}
		for a := range held.Endpoints {
			r, k := h.Endpoints[a], kernel.Endpoints[a]
			both.Endpoints[a] = HeldEndpoint{
				Addresses:      confirmed(r.Addresses, k.Addresses),
				Interfaces:     confirmed(r.Interfaces, k.Interfaces),
				Sandbox:        cmp.Or(k.Sandbox, r.Sandbox),
				HostInterfaces: confirmed(r.HostInterfaces, k.HostInterfaces),
				Ports:          r.Ports,
			}
		}
	}
	return both
}

func confirmed[T comparable](recorded, live []T) []T {
	var list []T
	for _, v := range recorded {
		if slices.Contains(live, v) {
			list = append(list, v)
		}
	}
	for _, v := range slices.Concat(live, recorded) {
		if !slices.Contains(list, v) {
			list = append(list, v)
		}
	}
	return list
}

// moved is h with what was held under old addresses held under the new ones. What is held
// by the new address itself stays; moving twice is moving once.
func (h Held) moved(moves []spec.Move) Held {
	if len(moves) == 0 {
		return h
	}
	h.Networks = rekey(h.Networks, moves)
	h.Endpoints = rekey(h.Endpoints, moves)
	for a, e := range h.Endpoints {
		e.Sandbox = movedAddress(e.Sandbox, moves)
		h.Endpoints[a] = e
	}
	return h
}

func rekey[V any](held map[state.Address]V, moves []spec.Move) map[state.Address]V {
	to := make(map[state.Address]V, len(held))
	for _, address := range slices.Sorted(maps.Keys(held)) {
		now := movedAddress(address, moves)
		_, stays := held[now]
		if _, taken := to[now]; taken || stays {
			now = address
		}
		to[now] = held[address]
	}
	return to
}

// movedAddress follows the moves from an address to what it is called now, in whatever
// order they are written.
func movedAddress(a state.Address, moves []spec.Move) state.Address {
	for range moves {
		before := a
		for _, m := range moves {
			a = moveAddress(a, m)
		}
		if a == before {
			break
		}
	}
	return a
}

func nonEmpty(name string) []string {
	if name == "" {
		return nil
	}
	return []string{name}
}

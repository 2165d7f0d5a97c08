package drivers

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"

	"github.com/cnmctl/cnmctl/drivers/policy"
	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
)

// Records are all of a stack's networks, sandboxes and endpoints, validated and allocated.
type Records struct {
	Hosts     []state.HostRecord
	Networks  []state.Network
	Sandboxes []state.Sandbox
	Endpoints []state.Endpoint
	Policies  []state.Policy
	// Answers are what plugins have said, and the keyring that there is.
	Answers state.World
}

// RecordsOf are the records of a topology.
func RecordsOf(t *spec.Topology) Records {
	r := Records{
		Sandboxes: make([]state.Sandbox, 0, len(t.Sandboxes)),
		Endpoints: make([]state.Endpoint, 0, len(t.Endpoints)),
	}
	for _, h := range t.Hosts {
		r.Hosts = append(r.Hosts, h.Record())
	}
	for _, n := range t.Networks {
		r.Networks = append(r.Networks, n.Network)
	}
	hostOf := make(map[state.Address]string, len(t.Sandboxes))
	for _, s := range t.Sandboxes {
		r.Sandboxes = append(r.Sandboxes, s.Sandbox)
		hostOf[s.Mark.Address] = s.Host
	}
	for _, e := range t.Endpoints {
		record := e.Endpoint
		record.Host = hostOf[e.Sandbox]
		r.Endpoints = append(r.Endpoints, record)
	}
	r.Policies = policiesOf(t)
	return r
}

// RecordsIn are the records in a world, in order.
func RecordsIn(w state.World) Records {
	r := Records{Answers: w}
	for _, k := range w.KeysOf(state.KindHost, state.KindNetwork, state.KindSandbox, state.KindEndpoint, state.KindPolicy) {
		switch o := w[k].(type) {
		case state.HostRecord:
			r.Hosts = append(r.Hosts, o)
		case state.Network:
			r.Networks = append(r.Networks, o)
		case state.Sandbox:
			r.Sandboxes = append(r.Sandboxes, o)
		case state.Endpoint:
			r.Endpoints = append(r.Endpoints, o)
		case state.Policy:
			r.Policies = append(r.Policies, o)
		}
	}
	return r
}

// Expand is the wanted world of one host: the stack's records and claims in the store, and
// the kernel objects that carry its networks and sandboxes on the host. It is a pure
// function; equal records give an equal world, in whatever order they come.
func Expand(stack, host string, records Records, all []Driver) (state.World, error) {
	x := newExpander(stack, host, records.assigned(all))
	x.publish(all)
	for _, n := range x.networks {
		if err := x.expandNetwork(n, all); err != nil {
			return nil, fmt.Errorf("expanding %s: %w", n.Mark.Address, err)
		}
	}
	x.judgeRouted()
	if err := x.judgeSandboxes(); err != nil {
		return nil, err
	}
	for _, s := range x.here {
		objects, err := x.expandSandbox(s)
		if err != nil {
			return nil, fmt.Errorf("expanding %s: %w", s.Mark.Address, err)
		}
		if err := x.add(objects...); err != nil {
			return nil, fmt.Errorf("expanding %s: %w", s.Mark.Address, err)
		}
	}
	if err := x.add(x.neighborLimits()...); err != nil {
		return nil, err
	}
	if r, ok := x.table.ruleset(stack); ok {
		if err := x.add(r); err != nil {
			return nil, err
		}
	}
	if err := x.addRecords(); err != nil {
		return nil, err
	}
	return x.world, nil
}

// expander is the records indexed, and the world as far as it is made.
type expander struct {
	stack     string
	host      string
	hosts     []state.HostRecord // in order of name
	networks  []*network
	sandboxes []state.Sandbox
	endpoints []state.Endpoint
	byNetwork map[state.Address]*network
	here      []*sandbox // in order of address
	bySandbox map[state.Address]*sandbox
	published map[state.Address][]Published
	policies  []state.Policy
	judgement policy.Judgement
	table     table
	world     state.World
	lists     hostLists
	answers   state.World
}

// network is a network with its attached endpoints.
type network struct {
	state.Network
	size     int // how many endpoints it has, anywhere
	attached []Attached
	global   bool
	traits   Traits
	// here: something of it is on this host.
	here   bool
	offers map[state.Address]Offer
	// away are endpoints attached on other hosts, which a global network reaches.
	away []Away
}

// sandbox is a sandbox of this host with all endpoints in its namespace, in order of the
// network's name.
type sandbox struct {
	state.Sandbox
	attached []attachment
}

// attachment is an endpoint of a sandbox with its network.
type attachment struct {
	Attached
	network *network
}

func newExpander(stack, host string, r Records) *expander {
	x := &expander{
		stack:     stack,
		host:      host,
		hosts:     slices.SortedFunc(slices.Values(r.Hosts), func(a, b state.HostRecord) int { return cmp.Compare(a.Name, b.Name) }),
		sandboxes: r.Sandboxes,
		endpoints: sortedBy(r.Endpoints, func(e *state.Endpoint) state.Address { return e.Mark.Address }),
		byNetwork: make(map[state.Address]*network, len(r.Networks)),
		bySandbox: make(map[state.Address]*sandbox, len(r.Sandboxes)),
		world:     make(state.World, len(r.Networks)*8+len(r.Sandboxes)*8+len(r.Endpoints)*8),
		lists:     hostLists{stack: stack, shared: map[string]string{}},
		answers:   r.Answers,
		policies:  sortedBy(r.Policies, func(p *state.Policy) state.Address { return p.Mark.Address }),
	}
	x.judgement = policy.Of(x.policies)
	for _, n := range sortedBy(r.Networks, func(n *state.Network) state.Address { return n.Mark.Address }) {
		net := &network{Network: n}
		x.networks = append(x.networks, net)
		x.byNetwork[n.Mark.Address] = net
	}
	for _, s := range sortedBy(r.Sandboxes, func(s *state.Sandbox) state.Address { return s.Mark.Address }) {
		if s.Host == "" || s.Host == host {
			box := &sandbox{Sandbox: s}
			x.here = append(x.here, box)
			x.bySandbox[s.Mark.Address] = box
		}
	}
	x.attach()
	x.share()
	return x
}

// spaceOf is the sandbox whose namespace the one at the address is in: itself, or the one that
// it shares. nil: it is not on this host.
func (x *expander) spaceOf(a state.Address) *sandbox {
	s := x.bySandbox[a]
	if s != nil && s.Shares != "" {
		return x.bySandbox[s.Shares]
	}
	return s
}

// share shows the endpoints and VRFs of a namespace, which are with its first sandbox by
// now, to those who share it, in one order.
func (x *expander) share() {
	for _, s := range x.here {
		slices.SortFunc(s.attached, func(a, b attachment) int {
			return cmp.Or(cmp.Compare(a.network.Name, b.network.Name), cmp.Compare(a.Mark.Address, b.Mark.Address))
		})
	}
	for _, s := range x.here {
		if first := x.spaceOf(s.Mark.Address); first != nil {
			s.attached, s.VRFs = first.attached, first.VRFs
		}
	}
}

// attach hands each endpoint to its network and its sandbox.
func (x *expander) attach() {
	for _, e := range x.endpoints {
		if n := x.byNetwork[e.Network]; n != nil {
			n.size++
		}
	}
	for _, e := range x.endpoints {
		n, s := x.byNetwork[e.Network], x.spaceOf(e.Sandbox)
		switch {
		case n == nil || e.Sandbox == "":
		case s == nil:
			n.away = append(n.away, Away{e, e.Host})
		default:
			if n.attached == nil {
				n.attached = make([]Attached, 0, n.size)
			}
			a := Attached{Endpoint: e, In: s.Sandbox}
			n.attached = append(n.attached, a)
			s.attached = append(s.attached, attachment{a, n})
		}
	}
}

// sortedBy is the list in the order of its addresses, which it is in mostly.
func sortedBy[T any](list []T, address func(*T) state.Address) []T {
	order := func(a, b T) int { return spec.CompareAddresses(address(&a), address(&b)) }
	if slices.IsSortedFunc(list, order) {
		return list
	}
	return slices.SortedFunc(slices.Values(list), order)
}

func (x *expander) expandNetwork(n *network, all []Driver) error {
	i := slices.IndexFunc(all, func(d Driver) bool { return d.Schema().Name == n.Driver })
	if i < 0 {
		return fmt.Errorf("this cnmctl has no driver %q", n.Driver)
	}
	traits := all[i].Traits().Of(n.Network)
	n.global, n.traits = traits.Global, traits
	for i := range n.attached {
		n.attached[i].Published = x.published[n.attached[i].Mark.Address]
	}
	attached := n.attached
	if n.IPAM.Remote() {
		if err := x.add(x.leased(n, traits)...); err != nil {
			return err
		}
		if !traits.Plugin {
			if attached = settled(n.attached); n.Assigned {
				return nil // what follows is known when the plugin was asked
			}
		}
	}
	if !n.global && len(n.attached) == 0 && (len(n.away) > 0 || len(x.hosts) > 0) {
		return nil // it is on the hosts where it has endpoints
	}
	made, err := all[i].Expand(View{
		Stack: x.stack, Host: x.host, Hosts: x.hosts, Network: n.Network, Endpoints: attached, Away: n.away, Answers: x.answers,
		Keyring: x.keyring(),
	})
	if err != nil {
		return err
	}
	n.here, n.offers = true, made.Offers
	if d, ok := all[i].(Domain); ok {
		vrf, _ := d.Domain(n.Network)
		x.table.vrfs = x.table.vrfs || vrf != ""
	}
	x.table.merge(n.Network, made)
	if err := x.add(n.enslaved(made.Objects)...); err != nil {
		return err
	}
	for _, a := range n.attached {
		if err := x.add(x.shaping(n, a)...); err != nil {
			return err
		}
	}
	return nil
}

// leased is what the network's IPAM plugin is asked for: its ranges, and the addresses of
// its endpoints, wherever they are.
func (x *expander) leased(n *network, t Traits) []state.Object {
	var objects []state.Object
	for _, p := range Pools(n.Network, t.Gateway, n.global) {
		objects = append(objects, p)
	}
	for _, e := range x.endpoints {
		if e.Network != n.Mark.Address || !t.Links {
			continue
		}
		for _, l := range leases(n.Network, e) {
			objects = append(objects, l)
		}
	}
	return objects
}

// settled are the endpoints that have the addresses which a plugin gives.
func settled(all []Attached) []Attached {
	var has []Attached
	for _, e := range all {
		waits := func(name string) bool {
			return name == "ipv4" && !e.IPv4.IsValid() || name == "ipv6" && !e.IPv6.IsValid()
		}
		whole := func(p netip.Prefix) bool { return p.IsValid() && p.IsSingleIP() } // its length is the pool's
		if !slices.ContainsFunc(e.Assigned, waits) && !whole(e.IPv4) && !whole(e.IPv6) {
			has = append(has, e)
		}
	}
	return has
}

// assigned are the records with what plugins have answered.
func (r Records) assigned(all []Driver) Records {
	plugged, networks := map[state.Address]string{}, map[state.Address]state.Network{}
	r.Networks = slices.Clone(r.Networks)
	for i := range r.Networks {
		n := &r.Networks[i]
		AssignNetwork(n, r.Answers)
		networks[n.Mark.Address] = *n
		plugged[n.Mark.Address] = PluginOf(*n, all)
	}
	r.Endpoints = slices.Clone(r.Endpoints)
	for i := range r.Endpoints {
		e := &r.Endpoints[i]
		if n := networks[e.Network]; n.IPAM.Remote() || plugged[e.Network] != "" {
			AssignEndpoint(n, e, plugged[e.Network], r.Answers)
		}
	}
	return r
}

// PluginOf is the plugin that carries the network, "" for none.
func PluginOf(n state.Network, all []Driver) string {
	for _, d := range all {
		if d.Traits().Plugin && d.Schema().Name == n.Driver {
			return OptionText(n.Options, "plugin")
		}
	}
	return ""
}

// OptionText is an option that is a text, "" for none.
func OptionText(o state.Options, name string) string {
	var text string
	if raw, ok := o[name]; ok && json.Unmarshal(raw, &text) != nil {
		return ""
	}
	return text
}

// add puts objects into the world. Two blocks may ask for the very same thing (forwarding,
// a VLAN sub-interface, a VRF), never for two things of one name.
func (x *expander) add(objects ...state.Object) error {
	for _, o := range objects {
		k := o.Key()
		before, taken := x.world[k]
		if taken {
			o, before = shared(o, before)
		}
		if taken && !state.Compare(o, before).Same() {
			return fmt.Errorf("%s is asked for by %s too, in another form", k, before.Owner().Address)
		}
		x.world[k] = o
	}
	return nil
}

// shared are two of one name as far as they may be one: that of the first block, with
// what either of them needs.
func shared(o, before state.Object) (again, first state.Object) {
	switch o := o.(type) {
	case state.Link:
		b, ok := before.(state.Link)
		if ok && (o.Type == state.VLAN || o.Type == state.VRF) {
			o.Mark = b.Mark
		}
		if ok && o.Type == state.VRF {
			o.NoIPv6 = o.NoIPv6 && b.NoIPv6
			b.NoIPv6 = o.NoIPv6
		}
		if ok {
			return o, b
		}
	case state.Route:
		o.Mark = before.Owner()
		return o, before
	}
	return o, before
}

// addRecords adds what is in the store: every record of the stack, and a claim for each
// address and VNI that a network or endpoint holds.
func (x *expander) addRecords() error {
	if x.encrypts() {
		if err := x.add(x.keyring()); err != nil {
			return err
		}
	}
	for _, h := range x.hosts {
		if err := x.add(h); err != nil {
			return err
		}
	}
	for _, n := range x.networks {
		if err := x.add(n.Network); err != nil {
			return err
		}
		for _, vni := range n.VNIs {
			if err := x.add(state.Claim{VNI: vni, Mark: n.Mark}); err != nil {
				return err
			}
		}
		for _, s := range n.Subnets {
			if !s.Gateway.IsValid() {
				continue
			}
			if err := x.add(state.Claim{Network: n.Mark.Address, IP: s.Gateway, Mark: n.Mark}); err != nil {
				return err
			}
		}
	}
	for _, p := range x.policies {
		if err := x.add(p); err != nil {
			return err
		}
	}
	for _, s := range x.sandboxes {
		if err := x.add(s); err != nil {
			return err
		}
	}
	for _, e := range x.endpoints {
		if err := x.add(e); err != nil {
			return err
		}
		if err := x.add(portClaims(e)...); err != nil {
			return err
		}
		for _, p := range []netip.Prefix{e.IPv4, e.IPv6} {
			if !p.IsValid() {
				continue
			}
			if err := x.add(state.Claim{Network: e.Network, IP: p.Addr(), Mark: e.Mark}); err != nil {
				return err
			}
		}
	}
	return nil
}

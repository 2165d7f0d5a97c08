package cli

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/cnmctl/cnmctl/agent"
	"github.com/cnmctl/cnmctl/drivers"
	"github.com/cnmctl/cnmctl/drivers/registry"
	"github.com/cnmctl/cnmctl/state"
	"github.com/cnmctl/cnmctl/state/kernel"
)

// inventory is what the store holds of a stack.
type inventory struct {
	stack string
	// host is this one's name.
	host    string
	store   state.RecordStore
	world   state.World
	records drivers.Records
	// hostOf tells a sandbox's host.
	hostOf map[state.Address]string
}

// openInventory reads the store.
func openInventory(ctx context.Context, s *session) (*inventory, error) {
	f := &flow{s: s}
	if err := f.identify(); err != nil {
		return nil, err
	}
	store, err := s.openStore(f.stack, f.settings)
	if err != nil {
		return nil, err
	}
	world, err := store.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	host, err := hostName("", s.env.Getenv)
	if err != nil {
		return nil, err
	}
	i := &inventory{stack: f.stack, host: host, store: store, world: world, records: drivers.RecordsIn(world), hostOf: map[state.Address]string{}}
	for _, box := range i.records.Sandboxes {
		i.hostOf[box.Mark.Address] = box.Host
	}
	return i, nil
}

// network finds a network by name or address.
func (i *inventory) network(name string) (state.Network, error) {
	var known []string
	for _, n := range i.records.Networks {
		if n.Name == name || string(n.Mark.Address) == name {
			return n, nil
		}
		known = append(known, n.Name)
	}
	return state.Network{}, fmt.Errorf("stack %s has no network %q%s", i.stack, name, listing(known))
}

func (i *inventory) networks() table {
	t := table{columns: []string{"name", "driver", "subnets", "vnis", "internal", "endpoints", "address"}}
	on := map[state.Address]int{}
	for _, e := range i.records.Endpoints {
		on[e.Network]++
	}
	for _, n := range i.records.Networks {
		subnets, vnis := []string{}, append([]uint32{}, n.VNIs...)
		for _, s := range n.Subnets {
			subnets = append(subnets, s.CIDR.String())
		}
		t.add(n.Name, n.Driver, subnets, vnis, n.Internal, on[n.Mark.Address], n.Mark.Address)
	}
	return t
}

// endpoints lists those of one network, or all.
func (i *inventory) endpoints(network state.Address) table {
	t := table{columns: []string{"name", "network", "ipv4", "ipv6", "mac", "sandbox", "host", "address"}}
	for _, e := range i.records.Endpoints {
		if network == "" || e.Network == network {
			t.add(e.Name, withoutKind("network", e.Network), prefixText(e.IPv4), prefixText(e.IPv6), e.MAC.String(),
				withoutKind("sandbox", e.Sandbox), i.hostOf[e.Sandbox], e.Mark.Address)
		}
	}
	return t
}

// sandboxes lists them. Of those of this host that are namespaces of somebody else, as is says,
// it tells what each is at the moment.
func (i *inventory) sandboxes(is func(state.Sandbox) string) table {
	t := table{columns: []string{"name", "host", "netns", "endpoints", "address"}}
	in := map[state.Address]int{}
	for _, e := range i.records.Endpoints {
		in[e.Sandbox]++
	}
	foreign := slices.ContainsFunc(i.records.Sandboxes, func(s state.Sandbox) bool { return s.Foreign })
	if foreign {
		t.columns = append(t.columns, "found")
	}
	for _, s := range i.records.Sandboxes {
		row := []any{s.Name, s.Host, s.Netns, in[s.Mark.Address], s.Mark.Address}
		if foreign {
			row = append(row, is(s))
		}
		t.add(row...)
	}
	return t
}

// found says what a sandbox is that is somebody else's namespace on this host, or why there is
// none; "" for others.
func (s *session) found(ctx context.Context, i *inventory) func(state.Sandbox) string {
	return func(box state.Sandbox) string {
		if !box.Foreign || box.Host != "" && box.Host != i.host {
			return ""
		}
		switch there, err := kernel.LookFor(ctx, s.kernelConfig(i.stack, i.store), box.Netns); {
		case err != nil:
			return "unknown: " + err.Error()
		case there.Barred != "":
			return "absent: " + there.Barred
		default:
			return there.What
		}
	}
}

// listHosts lists the hosts that have a record, a sandbox, an agent, or something to say.
func listHosts(ctx context.Context, _ *session, i *inventory) (table, error) {
	t := table{columns: []string{"name", "vtep", "mtu", "sandboxes", "agent", "seen", "revision", "status"}}
	records, boxes := map[string]state.HostRecord{}, map[string]int{}
	for _, h := range i.records.Hosts {
		records[h.Name], boxes[h.Name] = h, 0
	}
	for _, s := range i.records.Sandboxes {
		if s.Host != "" {
			boxes[s.Host]++
		}
	}
	said, err := i.hearHosts(ctx)
	if err != nil {
		return t, err
	}
	for name := range said.by {
		boxes[name] += 0
	}
	for name := range said.agents {
		boxes[name] += 0
	}
	for _, name := range slices.Sorted(maps.Keys(boxes)) {
		vtep, mtu := "", any(nil)
		if r, ok := records[name]; ok && r.VTEP.IsValid() {
			vtep = r.VTEP.String()
			if r.MTU > 0 {
				mtu = r.MTU
			}
		}
		t.add(name, vtep, mtu, boxes[name], said.agents[name], said.seen(name), said.by[name].Serial, said.text(name))
	}
	return t, nil
}

// hearsay is what hosts say of themselves.
type hearsay struct {
	goal   *agent.Goal
	all    []state.Status
	by     map[string]state.Status
	agents map[string]bool
}

func (i *inventory) hearHosts(ctx context.Context) (hearsay, error) {
	h := hearsay{by: map[string]state.Status{}, agents: map[string]bool{}}
	cluster, shared := i.store.(state.Cluster)
	if !shared {
		return h, nil
	}
	now, err := cluster.Latest(ctx)
	if err != nil {
		return h, err
	}
	h.goal = agent.Host{Stack: i.stack, Drivers: registry.All()}.GoalOf(cluster, i.world, now)
	if h.all, _, err = cluster.Statuses(ctx, 0); err != nil {
		return h, err
	}
	for _, s := range h.all {
		h.by[s.Host] = s
	}
	alive, err := cluster.Attended(ctx)
	for _, name := range alive {
		h.agents[name] = true
	}
	return h, err
}

// seen says when a host was heard of last.
func (h hearsay) seen(host string) string {
	switch s := h.by[host]; {
	case h.agents[host]:
		return "now"
	case !s.When.IsZero():
		return s.When.UTC().Format(time.RFC3339)
	}
	return ""
}

// text says in a word or two how far a host is.
func (h hearsay) text(host string) string {
	switch s, heard := h.by[host]; {
	case !heard && h.agents[host] && h.goal.Index == 0:
		return "alive; there are no records to follow"
	case !heard && h.agents[host]:
		return "alive; has reported nothing of these records, see its log"
	case !heard:
		return "never heard of"
	case s.Error != "":
		return strings.TrimSpace(strings.SplitN(s.Error, "\n", 2)[0])
	case h.goal.Index > 0 && !h.goal.Caught(host, h.all):
		return fmt.Sprintf("behind: the records are at revision %d", h.goal.Serial)
	}
	return "converged"
}

func withoutKind(kind string, a state.Address) string { return strings.TrimPrefix(string(a), kind+".") }

func prefixText(p netip.Prefix) string {
	if !p.IsValid() {
		return ""
	}
	return p.String()
}

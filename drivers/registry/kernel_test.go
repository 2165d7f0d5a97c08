package registry_test

import (
	"context"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cnmctl/cnmctl/drivers/drivertest"
	"github.com/cnmctl/cnmctl/drivers/registry"
	"github.com/cnmctl/cnmctl/planner"
	"github.com/cnmctl/cnmctl/state"
	"github.com/cnmctl/cnmctl/state/kernel"
	"github.com/cnmctl/cnmctl/state/kernel/kerneltest"
)

func TestMain(m *testing.M) { kerneltest.Main(m) }

// machine is a throwaway host that carries worlds.
type machine struct {
	*kerneltest.Host
	t testing.TB
	k *kernel.Kernel
}

func newMachine(t testing.TB) *machine {
	m := &machine{Host: kerneltest.NewHost(t), t: t}
	m.open()
	t.Cleanup(func() { m.k.Close() })
	return m
}

// open looks at the machine anew.
func (m *machine) open() {
	m.t.Helper()
	var err error
	if m.k, err = kernel.Open(kernel.Config{Stack: drivertest.Stack, Secrets: drivertest.Secrets}); err != nil {
		m.t.Fatal(err)
	}
}

// world is what records come to in the kernel.
func (m *machine) world(r *drivertest.Records) state.World {
	m.t.Helper()
	w, err := r.World(registry.All())
	if err != nil {
		m.t.Fatal(err)
	}
	maps.DeleteFunc(w, func(k state.Key, _ state.Object) bool { return k.Place == state.Store })
	return w
}

func (m *machine) plan(want state.World) *planner.Plan {
	m.t.Helper()
	live, err := m.k.Snapshot(context.Background())
	if err != nil {
		m.t.Fatal(err)
	}
	if err := m.k.ReadSysctls(context.Background(), live.World, want); err != nil {
		m.t.Fatal(err)
	}
	p, diags := planner.Diff(live.World, want, planner.Options{Stack: drivertest.Stack})
	if diags.HasErrors() {
		m.t.Fatal(diags)
	}
	return p
}

// become makes the kernel be the world, and expects nothing to be left to do.
func (m *machine) become(want state.World) {
	m.t.Helper()
	p := m.plan(want)
	from := 0
	for _, to := range p.Waves {
		if err := m.k.Apply(context.Background(), p.Ops[from:to], func(int, error) {}); err != nil {
			m.t.Fatal(err)
		}
		from = to
	}
	for _, op := range m.plan(want).Ops {
		m.t.Errorf("still to do: %s %s: %+v", op.Action, op.Key, op.Delta.Fields)
	}
}

// clear takes everything away again.
func (m *machine) clear() {
	m.t.Helper()
	m.become(state.World{})
}

// TestKernel puts each sample into a real kernel: then nothing is left to do, its rules
// are in nft's own words those of a file that a person has read, and after its end nothing
// is left.
func TestKernel(t *testing.T) {
	samples := bridgeSamples()
	maps.Copy(samples, ptpSamples())
	maps.Copy(samples, nullSamples())
	maps.Copy(samples, hostSamples())
	maps.Copy(samples, overlaySamples())
	maps.Copy(samples, macvlanSamples())
	maps.Copy(samples, ipvlanSamples())
	for name, r := range samples {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			kerneltest.Elsewhere(t, m.k.Probe(context.Background(), needs(name, m.world(r))))
			switch {
			case name == "adopt":
				m.Run("ip", "link", "add", "br-front", "type", "bridge")
				m.Run("ip", "link", "set", "br-front", "up")
				t.Cleanup(func() { m.Run("ip", "link", "del", "br-front") })
			case name == "bridge-vrf": // the kernel's own rule for VRFs, which it leaves behind
				t.Cleanup(func() { m.Sh("ip rule del pref 1000; ip -6 rule del pref 1000") })
			case name == "host":
				m.Sh("ip link add uplink type bridge; ip addr add 10.9.0.2/24 dev uplink; ip link set uplink up")
				t.Cleanup(func() { m.Run("ip", "link", "del", "uplink") })
			case strings.Contains(name, "vlan"):
				m.Sh("ip link add uplink type veth peer name far; ip link set uplink up; ip link set far up")
				t.Cleanup(func() { m.Run("ip", "link", "del", "uplink") })
			}
			want := m.world(r)
			kerneltest.Elsewhere(t, m.k.Probe(t.Context(), state.Features(want, nil)))
			m.become(want)
			rules := m.Run("nft", "-s", "list", "ruleset")
			if _, filtered := bridgeSamples()[name]; filtered || name == "overlay-gateway" || name == "overlay-ports" || strings.Contains(name, "encrypted") {
				golden(t, filepath.Join("testdata", name+".nft"), sortedElements(rules))
			} else if rules != "" {
				t.Errorf("rules that nobody needs:\n%s", rules)
			}
			m.clear()
		})
	}
}

// needs are what a sample needs that not every kernel has.
func needs(sample string, w state.World) []state.Feature {
	if !strings.Contains(sample, "vlan") && !strings.Contains(sample, "vrf") && !strings.Contains(sample, "encrypted") {
		return nil
	}
	return state.Features(w, nil)
}

// sortedElements is a listing with the elements of sets in order: nft lists them in that of
// a hash table, which is another each time.
func sortedElements(listing string) string {
	return regexp.MustCompile(`elements = \{[^}]*\}`).ReplaceAllStringFunc(listing, func(text string) string {
		parts := strings.Split(strings.Trim(strings.TrimPrefix(text, "elements = "), "{ }"), ",")
		for i := range parts {
			parts[i] = strings.TrimSpace(parts[i])
		}
		slices.Sort(parts)
		return "elements = { " + strings.Join(parts, ",\n\t\t\t     ") + " }"
	})
}

// TestTraffic sends packets through each sort of network: among its endpoints (w0, w1),
// to and from the host, a neighboring network (other) and a machine outside (lan).
func TestTraffic(t *testing.T) {
	for i, c := range []struct {
		sample string
		works  string // pairs that reach each other; all others must not
		routes bool   // the lan has a route to the networks
	}{
		// Without a route back, an answer from the lan means that addresses were translated.
		{"plain", "w0>w1 w1>w0 w0>lan w0>gw host>w0", false},
		{"plain", "w0>w1 w1>w0 w0>lan w0>gw host>w0", true},
		{"dual-stack", "w0>w1 w1>w0 w0>lan w0>gw host>w0 w0>w1/6 w1>w0/6 w0>lan/6 w0>gw/6 host>w0/6", true},
		{"v6-only", "w0>w1/6 w1>w0/6 w0>lan/6 w0>gw/6 host>w0/6", false},
		{"icc-off", "w0>lan w0>gw host>w0 w0>lan/6 w0>gw/6 host>w0/6", false},
		{"internal", "w0>w1 w1>w0 w0>gw host>w0 w0>w1/6 w1>w0/6 w0>gw/6 host>w0/6", true},
		{"isolated", "w0>w1 w1>w0 w0>w1/6 w1>w0/6", true},
		{"no-masquerade", "w0>w1 w1>w0 w0>gw host>w0 w0>w1/6 w1>w0/6 w0>gw/6 host>w0/6", false},
		{"no-masquerade", "w0>w1 w1>w0 w0>gw w0>lan host>w0 w0>w1/6 w1>w0/6 w0>gw/6 w0>lan/6 host>w0/6", true},
		{"routed", "w0>w1 w1>w0 w0>gw w0>lan lan>w0 host>w0 w0>w1/6 w1>w0/6 w0>gw/6 w0>lan/6 lan>w0/6 host>w0/6", true},
		{"routed", "w0>w1 w1>w0 w0>gw host>w0 w0>w1/6 w1>w0/6 w0>gw/6 host>w0/6", false},
		{"routed-v6", "w0>w1 w1>w0 w0>gw w0>lan host>w0 w0>w1/6 w1>w0/6 w0>gw/6 w0>lan/6 lan>w0/6 host>w0/6", true},
		{"nat-unprotected", "w0>w1 w1>w0 w0>gw w0>lan lan>w0 host>w0", true},
	} {
		if testing.Short() && i%3 != 2 && !kerneltest.InVM() { // which has chosen already
			continue
		}
		t.Run(c.sample, func(t *testing.T) {
			m := newMachine(t)
			m.lan(c.routes)
			m.become(m.world(bridgeSamples()[c.sample].Network("other", "bridge", []string{"10.7.0.0/24", "fd00:7::/64"}).
				Sandbox("other").Attach("other", "other")))
			m.expect(c.works)
			m.clear()
			m.noLAN()
		})
	}
}

// lan makes a machine outside of the host.
func (m *machine) lan(routes bool) {
	m.Sh(`ip netns add lan
ip link add lan0 type veth peer name eth0 netns lan
echo 0 > /proc/sys/net/ipv6/conf/lan0/accept_dad # else the host cannot ask for neighbors yet
ip addr add 192.0.2.1/24 dev lan0; ip addr add 2001:db8::1/64 dev lan0 nodad; ip link set lan0 up
ip netns exec lan sh -c "echo 0 > /proc/sys/net/ipv6/conf/eth0/accept_dad"
ip -n lan addr add 192.0.2.9/24 dev eth0; ip -n lan addr add 2001:db8::9/64 dev eth0 nodad; ip -n lan link set eth0 up`)
	if routes {
		m.Sh(`ip -n lan route add 10.0.0.0/8 via 192.0.2.1; ip -n lan route add fd00::/16 via 2001:db8::1`)
	}
}

// expect pings along all paths at once: works names those that must, all others must not.
func (m *machine) expect(works string) {
	m.t.Helper()
	targets := map[string]string{
		"w0": "10.1.0.2", "w0/6": "fd00:1::2", "w1": "10.1.0.3", "w1/6": "fd00:1::3", "gw": "10.1.0.1", "gw/6": "fd00:1::1",
		"lan": "192.0.2.9", "lan/6": "2001:db8::9", "other": "10.7.0.2", "other/6": "fd00:7::2",
	}
	var paths []string
	for _, path := range []string{"w0>w1", "w1>w0", "w0>gw", "w0>lan", "lan>w0", "host>w0", "w0>other", "other>w0"} {
		paths = append(paths, path, path+"/6")
	}
	m.pings(paths, targets, works)
}

// pings tries paths between sandboxes, "host" and "lan". What works may take its time on a
// busy machine; what does not is given up after four pings.
func (m *machine) pings(paths []string, targets map[string]string, works string) {
	m.t.Helper()
	script := ""
	for _, path := range paths {
		from, to, _ := strings.Cut(path, ">")
		in := map[string]string{"host": "", "lan": "ip netns exec lan "}
		if _, ok := in[from]; !ok {
			in[from] = "ip netns exec " + drivertest.Stack + "-" + from + " "
		}
		ping := "ping -n -c 4 -i 0.2 -W 0.5 " + targets[to]
		if slices.Contains(strings.Fields(works), path) {
			ping = "timeout 60 sh -c 'until ping -n -c 1 -W 1 " + targets[to] + "; do :; done'"
		}
		script += "(" + in[from] + ping + " >/dev/null 2>&1 && echo '" + path + "') &\n"
	}
	got := strings.Fields(m.Sh(script + "wait"))
	for _, path := range paths {
		if want, does := slices.Contains(strings.Fields(works), path), slices.Contains(got, path); want != does {
			m.t.Errorf("%s: works %t, want %t", path, does, want)
		}
	}
}

// TestUnisolated: networks that are all opened to each other reach each other, under their
// own addresses, and no other network.
func TestUnisolated(t *testing.T) {
	m := newMachine(t)
	m.become(m.world(records().
		Network("a", "bridge", []string{"10.1.0.0/24"}, "isolation = false").
		Network("b", "bridge", []string{"10.2.0.0/24"}, "isolation = false", `gateway_mode_ipv4 = "routed"`).
		Network("c", "bridge", []string{"10.3.0.0/24"}).
		Network("d", "bridge", []string{"10.4.0.0/24"}, `gateway_mode_ipv4 = "routed"`).
		Sandbox("a").Sandbox("b").Sandbox("c").Sandbox("d").
		Attach("a", "a").Attach("b", "b").Attach("c", "c").Attach("d", "d")))
	var paths []string
	for _, from := range []string{"a", "b", "c", "d"} {
		for _, to := range []string{"a", "b", "c", "d"} {
			if from != to {
				paths = append(paths, from+">"+to)
			}
		}
	}
	m.Sh("ip netns exec shop-b nft add table ip x; ip netns exec shop-b nft add chain ip x in '{ type filter hook input priority 0; }'; " +
		"ip netns exec shop-b nft add rule ip x in ip saddr != 10.1.0.2 drop")
	m.pings(paths, map[string]string{"a": "10.1.0.2", "b": "10.2.0.2", "c": "10.3.0.2", "d": "10.4.0.2"}, "a>b b>a")
	m.clear()
}

// TestSourceAddress: what leaves the network has the address that was asked for.
func TestSourceAddress(t *testing.T) {
	m := newMachine(t)
	m.lan(false)
	m.Sh(`ip addr add 192.0.2.77/24 dev lan0; ip addr add 2001:db8::77/64 dev lan0 nodad
ip netns exec lan nft -f - <<.
add table inet x
add chain inet x in { type filter hook input priority 0; }
add rule inet x in icmp type echo-request ip saddr != 192.0.2.77 drop
add rule inet x in icmpv6 type echo-request ip6 saddr != 2001:db8::77 drop
.`)
	m.become(m.world(pair(records().Network("front", "bridge", dual, `snat_ipv4 = "192.0.2.77"`, `snat_ipv6 = "2001:db8::77"`), "front")))
	m.pings([]string{"w0>lan", "w0>lan/6", "host>lan"}, map[string]string{"lan": "192.0.2.9", "lan/6": "2001:db8::9"}, "w0>lan w0>lan/6")
	m.clear()
	m.noLAN()
}

func (m *machine) noLAN() {
	m.Sh("ip link del lan0; ip netns del lan; umount -l /run/netns; rmdir /run/netns")
}

// Package scripttest runs plans as shell scripts on the real kernel, with the real ip,
// bridge, nft and sysctl, beside the same plans carried out by cnmctl.
package scripttest

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
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

// machine is a throwaway host.
type machine struct {
	*kerneltest.Host
	t *testing.T
	k *kernel.Kernel
	// past are the settings of the world before, of which nothing in the kernel tells.
	past state.World
}

func newMachine(t *testing.T) *machine {
	m := &machine{Host: kerneltest.NewHost(t), t: t}
	m.open()
	t.Cleanup(func() {
		m.k.Close()
		m.Sh("umount -l /run/netns 2>/dev/null || :; rmdir /run/netns /etc/netns 2>/dev/null || :")
	})
	return m
}

func (m *machine) open() {
	m.t.Helper()
	var err error
	if m.k, err = kernel.Open(kernel.Config{Stack: drivertest.Stack}); err != nil {
		m.t.Fatal(err)
	}
}

// live is what there is, with the settings that the worlds know.
func (m *machine) live(like ...state.World) state.World {
	m.t.Helper()
	live, err := m.k.Snapshot(context.Background())
	if err != nil {
		m.t.Fatal(err)
	}
	if err := m.k.ReadSysctls(context.Background(), live.World, like...); err != nil {
		m.t.Fatal(err)
	}
	return live.World
}

func (m *machine) plan(want state.World) *planner.Plan {
	m.t.Helper()
	p, diags := planner.Diff(m.live(want, m.past), want, planner.Options{Stack: drivertest.Stack})
	if diags.HasErrors() {
		m.t.Fatal(diags)
	}
	return p
}

// apply carries the plan out as cnmctl does.
func (m *machine) apply(p *planner.Plan) {
	m.t.Helper()
	begin := 0
	for _, end := range p.Waves {
		if err := m.k.Apply(context.Background(), p.Ops[begin:end], func(int, error) {}); err != nil {
			m.t.Fatal(err)
		}
		begin = end
	}
}

// script carries it out as a shell does.
func (m *machine) script(p *planner.Plan) {
	m.t.Helper()
	var text strings.Builder
	if err := planner.Script(&text, p); err != nil {
		m.t.Fatal(err)
	}
	file := filepath.Join(m.t.TempDir(), "plan.sh")
	if err := os.WriteFile(file, []byte(text.String()), 0o700); err != nil {
		m.t.Fatal(err)
	}
	// A namespace that somebody has a socket in outlives its name.
	if err := m.k.Close(); err != nil {
		m.t.Fatal(err)
	}
	defer m.open()
	if out, err := m.Try("sh", file); err != nil {
		m.t.Fatalf("%v\n%s\n%s", err, out, text.String())
	}
}

// picture is a world as text, to compare two machines.
func picture(w state.World) string {
	var b strings.Builder
	for _, k := range w.Keys() {
		fmt.Fprintf(&b, "%s, %s\n", k, w[k].Owner().Mark())
		for _, a := range w[k].Attrs() {
			fmt.Fprintf(&b, "\t%s = %s\n", a.Name, a.Value)
		}
	}
	return b.String()
}

func front() *drivertest.Records {
	return (&drivertest.Records{}).
		Network("front", "bridge", []string{"10.1.0.0/24", "fd00:1::/64"}).
		Network("back", "bridge", []string{"10.2.0.0/24"}, "icc = false")
}

// offload: ethtool, which would switch it off, is not on every machine.
const offload = "checksum_offload = true"

func elsewhere(s *state.Sandbox) { s.Host = "b" }

// stages are worlds that follow each other: each plan has something of every kind.
func stages() []*drivertest.Records {
	first := front().Cluster("10.99.0.10", "10.99.0.11").
		Network("span", "overlay", []string{"10.4.0.0/24", "fd00:4::/64", "10.5.0.0/24"}, offload).
		Sandbox("far", elsewhere).Sandbox("near").Attach("span", "near").Attach("span", "far").
		Network("cable", "ptp", []string{"10.3.0.0/31"}).
		Sandbox("w0", func(s *state.Sandbox) {
			s.Routes = []state.StaticRoute{{To: netip.MustParsePrefix("10.77.0.0/16"), Via: netip.MustParseAddr("10.1.0.3")}}
			s.Rules = []state.PolicyRule{{Priority: 100, From: netip.MustParsePrefix("10.1.0.2/32"), Table: 254}}
			s.Neighbors = []state.StaticNeighbor{{Dev: "eth0", IP: netip.MustParseAddr("10.1.0.99"), MAC: state.MAC{2, 0, 0, 0, 0, 9}}}
			s.Sysctls = map[string]string{"net.ipv4.ip_forward": "1"}
			s.Loopback = []netip.Prefix{netip.MustParsePrefix("10.200.0.1/32")}
		}).
		Sandbox("w1", func(s *state.Sandbox) { s.DNS.Servers = []netip.Addr{netip.MustParseAddr("9.9.9.9")} }).
		Sandbox("db").
		Attach("front", "w0").Attach("front", "w1").Attach("back", "db").Attach("cable", "w0").Attach("cable", "w1")
	second := (&drivertest.Records{}).Cluster("10.99.0.20", "10.99.0.21").
		Network("front", "bridge", []string{"10.1.0.0/24", "fd00:1::/64"}).
		Change(func(n *state.Network) { n.MTU, n.Device = 1400, "br-new" }).
		Network("back", "bridge", []string{"10.2.0.0/24"}).
		Sandbox("w0", func(s *state.Sandbox) { s.Sysctls = map[string]string{"net.ipv4.ip_forward": "0"} }).
		Sandbox("w1", func(s *state.Sandbox) { s.Netns = "shop-other" }).
		Sandbox("db").
		Attach("front", "w0", func(e *state.Endpoint) { e.IPv4 = netip.MustParsePrefix("10.1.0.9/24") }).
		Attach("front", "w1").Attach("back", "db").
		Network("span", "overlay", []string{"10.4.0.0/24", "fd00:4::/64"}, offload).
		Sandbox("far", elsewhere).Sandbox("near").Sandbox("new").
		Attach("span", "near", func(e *state.Endpoint) { e.MAC = state.MAC{2, 0, 0, 0, 0, 44} }).Attach("span", "far").Attach("span", "new")
	return []*drivertest.Records{first, second, {}}
}

// TestScript: the same plans, by a shell and by cnmctl, leave the same kernel.
func TestScript(t *testing.T) {
	pictures := map[string][]string{}
	for _, way := range []string{"apply", "script"} {
		t.Run(way, func(t *testing.T) {
			m := newMachine(t)
			for i, r := range stages() {
				want, err := r.World(registry.All())
				if err != nil {
					t.Fatal(err)
				}
				maps.DeleteFunc(want, func(k state.Key, _ state.Object) bool { return k.Place == state.Store })
				p := m.plan(want)
				if way == "apply" {
					m.apply(p)
				} else {
					m.script(p)
				}
				m.past = state.World{}
				if left := m.plan(want); !left.Empty() {
					for _, op := range left.Ops {
						t.Errorf("stage %d: still to do: %s %s %+v", i, op.Action, op.Key, op.Delta.Fields)
					}
				}
				pictures[way] = append(pictures[way], picture(m.live(want)))
				m.past = want
			}
			m.Sh("sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0")
		})
	}
	if !slices.Equal(pictures["apply"], pictures["script"]) {
		for i := range pictures["apply"] {
			if a, b := pictures["apply"][i], pictures["script"][i]; a != b {
				t.Errorf("stage %d: applied:\n%s\nby the script:\n%s", i, a, b)
			}
		}
	}
}

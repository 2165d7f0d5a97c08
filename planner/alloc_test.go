package planner

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/cnmctl/cnmctl/drivers"
	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/hashicorp/hcl/v2"
)

func testTraits() map[string]drivers.Traits {
	return map[string]drivers.Traits{
		"bridge":  {Pools: true, Gateway: true, Device: true, Links: true, HostLinks: true, Ports: true},
		"overlay": {Global: true, Pools: true, Gateway: true, Device: true, Links: true, HostLinks: true},
		"ptp":     {PointToPoint: true, Links: true},
		"host":    {HostNamespace: true},
		"null":    {},
	}
}

// draft builds a topology as the language would hand it over; every block gets a line.
type draft struct {
	spec.Topology
	line int
}

func newDraft() *draft { return &draft{Topology: spec.Topology{Stack: "shop"}} }

func (d *draft) decl() spec.Decl {
	d.line += 10
	at := func(offset int) hcl.Range {
		return hcl.Range{Filename: "main.hcl", Start: hcl.Pos{Line: d.line + offset}, End: hcl.Pos{Line: d.line + offset}}
	}
	return spec.Decl{Range: at(0), Ranges: map[string]hcl.Range{
		"subnet[0].cidr": at(1), "subnet[1].cidr": at(2), "subnet[0].gateway": at(3), "network": at(1), "sandbox": at(2),
		"ipv4": at(3), "ipv6": at(4), "mac": at(5), "interface": at(6),
	}}
}

func (d *draft) mark(kind, name string) state.Owner {
	return state.Owner{Stack: d.Stack, Address: state.Address(kind + "." + name)}
}

func (d *draft) network(name, driver string, subnets ...state.Subnet) *spec.Network {
	n := &spec.Network{Decl: d.decl(), Network: state.Network{
		Mark: d.mark("network", name), Name: name, Driver: driver, Prefix: "eth", Subnets: subnets}}
	d.Networks = append(d.Networks, n)
	return n
}

func (d *draft) sandbox(name string) *spec.Sandbox {
	s := &spec.Sandbox{Decl: d.decl(), Sandbox: state.Sandbox{Mark: d.mark("sandbox", name), Name: name, Netns: "shop-" + name}}
	d.Sandboxes = append(d.Sandboxes, s)
	return s
}

// endpoint attaches to a sandbox, which it makes when there is none of the name yet; no
// sandbox for "".
func (d *draft) endpoint(name, network, sandbox string) *spec.Endpoint {
	e := &spec.Endpoint{Decl: d.decl(), Endpoint: state.Endpoint{
		Mark: d.mark("endpoint", name), Name: name, Network: state.Address("network." + network)}}
	if sandbox != "" {
		e.Sandbox = state.Address("sandbox." + sandbox)
		found := false
		for _, s := range d.Sandboxes {
			found = found || s.Name == sandbox
		}
		if !found {
			d.sandbox(sandbox)
		}
	}
	d.Endpoints = append(d.Endpoints, e)
	return e
}

func subnet(cidr string) state.Subnet { return state.Subnet{CIDR: netip.MustParsePrefix(cidr)} }

func only(ip string) netip.Prefix {
	a := netip.MustParseAddr(ip)
	return netip.PrefixFrom(a, a.BitLen())
}

// allocate runs both steps and returns the diagnostics as "severity line: summary; detail".
func (d *draft) allocate(held Held) []string {
	a := NewAllocator(testTraits(), held)
	diags := a.Networks(&d.Topology)
	diags = append(diags, a.Endpoints(&d.Topology)...)
	var text []string
	for _, g := range diags {
		severity := "error"
		if g.Severity == hcl.DiagWarning {
			severity = "warning"
		}
		text = append(text, fmt.Sprintf("%s %d: %s; %s", severity, g.Subject.Start.Line, g.Summary, g.Detail))
	}
	return text
}

func (d *draft) mustAllocate(t testing.TB, held Held) {
	t.Helper()
	if diags := d.allocate(held); len(diags) > 0 {
		t.Fatalf("unexpected diagnostics:\n%s", strings.Join(diags, "\n"))
	}
}

// failer is what a test and a property have in common.
type failer interface {
	Helper()
	Errorf(format string, args ...any)
}

func wantEqual(t failer, what string, got, want any) {
	t.Helper()
	opts := cmp.Options{cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}), cmpopts.EquateEmpty()}
	if diff := cmp.Diff(want, got, opts); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// wantDiagnostics checks that there is one diagnostic for each want, and that it holds all
// of the want's words.
func wantDiagnostics(t *testing.T, got []string, want ...[]string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d diagnostics, want %d:\n%s", len(got), len(want), strings.Join(got, "\n"))
	}
	for i, words := range want {
		for _, w := range words {
			if !strings.Contains(got[i], w) {
				t.Errorf("diagnostic %q does not say %q", got[i], w)
			}
		}
	}
}

func TestAnEmptyTopologyIsAllocated(t *testing.T) { newDraft().mustAllocate(t, Held{}) }

func TestFirstAllocation(t *testing.T) {
	d := newDraft()
	d.network("front", "bridge", subnet("10.1.0.0/24")).IPv6 = true
	d.endpoint("web[10]", "front", "w10")
	d.endpoint("web[2]", "front", "w2")
	d.endpoint("loose", "front", "")
	d.mustAllocate(t, Held{})

	n := d.Networks[0]
	wantEqual(t, "gateway", n.Subnets[0].Gateway.String(), "10.1.0.1")
	if !n.IPv6 || len(n.Subnets) != 2 || n.Subnets[1].CIDR.Bits() != 64 || n.Subnets[1].CIDR.Addr().As16()[0] != 0xfd {
		t.Errorf("no unique local /64 in %v", n.Subnets)
	}
	if len(n.Device) != 15 || !strings.HasPrefix(n.Device, "br-") {
		t.Errorf("device %q", n.Device)
	}
	loose, two, ten := d.Endpoints[2], d.Endpoints[1], d.Endpoints[0]
	wantEqual(t, "loose", loose.IPv4.String(), "10.1.0.2/24")
	wantEqual(t, "two", two.IPv4.String(), "10.1.0.3/24")
	wantEqual(t, "ten", ten.IPv4.String(), "10.1.0.4/24")
	wantEqual(t, "mac", ten.MAC.String(), "02:42:0a:01:00:04")
	wantEqual(t, "v6", ten.IPv6.Addr(), n.Subnets[1].CIDR.Addr().Next().Next().Next().Next())
	wantEqual(t, "interface", ten.Interface, "eth0")
	wantEqual(t, "interface of a loose endpoint", loose.Interface+loose.HostInterface, "")
	if len(ten.HostInterface) != 15 || ten.HostInterface == two.HostInterface {
		t.Errorf("host interfaces %q and %q", ten.HostInterface, two.HostInterface)
	}
}

func TestMACs(t *testing.T) {
	d := newDraft()
	d.network("six", "bridge", subnet("fd01::/64")).NoIPv4 = true
	d.network("four", "bridge", subnet("10.1.0.0/24"))
	six := d.endpoint("six", "six", "a")
	four := d.endpoint("four", "four", "a")
	given := d.endpoint("given", "four", "b")
	given.MAC = state.MAC{2, 0x42, 10, 1, 0, 2}
	given.IPv4 = only("10.1.0.9")
	again := d.endpoint("ours", "four", "c")
	again.MAC = given.MAC
	wantDiagnostics(t, d.allocate(Held{}), []string{"MAC already in use", "endpoint.ours asks for", "endpoint.given", "network.four"})
	if six.MAC[0] != 2 || six.MAC[1] != 0x42 || six.MAC == (state.MAC{2, 0x42}) {
		t.Errorf("MAC of an endpoint without IPv4: %s", six.MAC)
	}
	if four.IPv4 != netip.MustParsePrefix("10.1.0.2/24") || four.MAC == given.MAC {
		t.Errorf("%s got MAC %s, which another asked for", four.IPv4, four.MAC)
	}
}

func TestHostSandbox(t *testing.T) {
	d := newDraft()
	d.network("h", "host")
	d.network("inside", "bridge").Internal = true
	d.network("front", "bridge")
	d.endpoint("h", "h", "self")
	quiet := d.endpoint("quiet", "inside", "self")
	d.mustAllocate(t, Held{Facts: Facts{Links: map[string]bool{"eth0": true, "eth1": true}}})
	wantEqual(t, "netns", d.Sandboxes[0].Netns, "")
	wantEqual(t, "interface beside the host's own", quiet.Interface, "eth2")

	d.endpoint("h2", "h", "self")
	d.endpoint("way", "front", "self")
	d.endpoint("h3", "h", "other")
	wantDiagnostics(t, d.allocate(Held{}),
		[]string{"Two sandboxes", "endpoint.h makes sandbox.self", "sandbox.other is already by endpoint.h3 (main.hcl:"},
		[]string{"default route", "endpoint.way", "network.front", "remove"},
		[]string{"Two host endpoints", "endpoint.h2"})
}

func TestPointToPoint(t *testing.T) {
	d := newDraft()
	d.network("ab", "ptp", subnet("10.0.0.0/31"), subnet("fd00::/127"))
	d.network("bare", "ptp")
	a, b := d.endpoint("a", "ab", "a"), d.endpoint("b", "ab", "b")
	d.endpoint("c", "bare", "a")
	e := d.endpoint("d", "bare", "b")
	d.mustAllocate(t, Held{})
	wantEqual(t, "addresses", []string{a.IPv4.String(), b.IPv4.String(), a.IPv6.String(), b.IPv6.String()},
		[]string{"10.0.0.0/31", "10.0.0.1/31", "fd00::/127", "fd00::1/127"})
	if e.IPv4.IsValid() || e.MAC.IsZero() || e.Interface != "eth1" || e.HostInterface != "" {
		t.Errorf("unnumbered end: %+v", e.Endpoint)
	}

	d.network("none", "ptp")
	d.network("one", "ptp")
	d.endpoint("alone", "one", "a")
	d.network("loop", "ptp")
	d.endpoint("l1", "loop", "a")
	d.endpoint("l2", "loop", "a")
	d.network("many", "ptp")
	d.endpoint("m1", "many", "a")
	d.endpoint("m2", "many", "b")
	d.endpoint("m3", "many", "")
	wantDiagnostics(t, d.allocate(Held{}),
		[]string{"itself", "endpoint.l2 and endpoint.l1 (main.hcl:", "sandbox.a"},
		[]string{"more than two ends", "3 endpoints: endpoint.m1 (main.hcl:"},
		[]string{"Loose end", "endpoint.m3", "Attach"},
		[]string{"two ends", "network.none", "no endpoint"},
		[]string{"two ends", "network.one", "one endpoint, endpoint.alone (main.hcl:"})
}

func TestInterfaceNames(t *testing.T) {
	d := newDraft()
	d.network("b", "bridge", subnet("10.2.0.0/24")).Prefix = "net"
	d.network("a", "bridge", subnet("10.1.0.0/24"))
	first, second := d.endpoint("x", "a", "s"), d.endpoint("w", "a", "s")
	named := d.endpoint("v", "a", "s")
	named.Interface = "eth0"
	other := d.endpoint("u", "b", "s")
	held := Held{Endpoints: map[state.Address]HeldEndpoint{
		first.Mark.Address:  {Interfaces: []string{"eth0", "eth7"}},
		second.Mark.Address: {Interfaces: []string{"old0"}},
		other.Mark.Address:  {Interfaces: []string{"eth3"}},
	}}
	d.mustAllocate(t, held)
	wantEqual(t, "names", []string{first.Interface, second.Interface, named.Interface, other.Interface},
		[]string{"eth7", "eth1", "eth0", "net0"})

	twice := d.endpoint("t", "b", "s")
	twice.Interface = "eth0"
	d.Networks[0].Prefix = "averylongprefix"
	d.Endpoints[3].Interface = ""
	wantDiagnostics(t, d.allocate(Held{}),
		[]string{"already in use", "endpoint.t and endpoint.v (main.hcl:", "sandbox.s"},
		[]string{"too long", "averylongprefix0", "16 bytes"})
}

func TestHostNamesAvoidWhatIsTaken(t *testing.T) {
	fresh := newDraft()
	fresh.network("a", "bridge")
	fresh.endpoint("e", "a", "s")
	fresh.mustAllocate(t, Held{})
	device, veth := fresh.Networks[0].Device, fresh.Endpoints[0].HostInterface

	d := newDraft()
	d.network("a", "bridge")
	d.endpoint("e", "a", "s")
	d.mustAllocate(t, Held{Facts: Facts{Links: map[string]bool{device: true, veth: true}}})
	if d.Networks[0].Device == device || d.Endpoints[0].HostInterface == veth {
		t.Errorf("took the names %s and %s of links that are there already", device, veth)
	}

	d = newDraft()
	d.network("a", "bridge").Options = state.Options{"name": []byte(`"br0"`)}
	d.network("b", "bridge").Device = "br0"
	wantDiagnostics(t, d.allocate(Held{}), []string{"already in use", "network.b and network.a (main.hcl:10)", `"br0"`})
}

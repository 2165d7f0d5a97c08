package planner

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
)

// addPort adds a port to an endpoint; host 0 is left open, to be chosen from the range.
func addPort(e *spec.Endpoint, p state.Port, first, last uint16) {
	if p.Protocol == "" {
		p.Protocol = "tcp"
	}
	if p.Count == 0 {
		p.Count = 1
	}
	if p.Container == 0 {
		p.Container = 80
	}
	e.Ports = append(e.Ports, p)
	e.PortsFrom = append(e.PortsFrom, state.PortRange{First: first, Last: last})
}

func chosenPorts(e *spec.Endpoint) []uint16 {
	var ports []uint16
	for _, p := range e.Ports {
		ports = append(ports, p.Host)
	}
	return ports
}

// TestPortsAreChosen: what is written comes first, then what is held, then the lowest; runs
// stay together.
func TestPortsAreChosen(t *testing.T) {
	d := newDraft()
	d.network("front", "bridge", subnet("10.1.0.0/24"))
	a, b, c := d.endpoint("a", "front", "a"), d.endpoint("b", "front", "b"), d.endpoint("c", "front", "c")
	addPort(a, state.Port{}, 8000, 8010)
	addPort(a, state.Port{Container: 90, Count: 3}, 8000, 8010)
	addPort(b, state.Port{Host: 8000}, 8000, 8000)
	addPort(b, state.Port{Protocol: "udp"}, 8000, 8010)
	addPort(c, state.Port{}, 8000, 8010)
	d.mustAllocate(t, Held{
		Endpoints: map[state.Address]HeldEndpoint{
			"endpoint.a": {Ports: []HeldPort{{Protocol: "tcp", Host: 8000, Container: 80}}}, // now written elsewhere
			"endpoint.c": {Ports: []HeldPort{{Protocol: "tcp", Host: 9000, Container: 80}}}, // out of the range now
		},
		Published: map[string][]HeldPort{"endpoint.c": {{Protocol: "tcp", Host: 8004, Container: 80}}},
		Facts:     Facts{Host: "vm", Holders: []state.PortHolder{{Protocol: "tcp", Port: 8002, Who: "sshd (process 1)"}}},
	})
	for _, want := range []struct {
		e     *spec.Endpoint
		ports []uint16
	}{{a, []uint16{8001, 8005}}, {b, []uint16{8000, 8000}}, {c, []uint16{8004}}} {
		got := chosenPorts(want.e)
		if len(got) != len(want.ports) {
			t.Fatalf("%s: %v", want.e.Mark.Address, got)
		}
		for i := range got {
			if got[i] != want.ports[i] {
				t.Errorf("%s: %v, want %v", want.e.Mark.Address, got, want.ports)
			}
		}
	}
}

// TestPortsInUse: who has the port is named, whoever it is; one address does not stand in
// the way of another, one protocol not of another, one host not of another.
func TestPortsInUse(t *testing.T) {
	ip := netip.MustParseAddr
	held := Held{Facts: Facts{Host: "vm", Holders: []state.PortHolder{
		{Protocol: "tcp", Address: ip("127.0.0.1"), Port: 5432, Who: "postgres (process 12)"},
		{Protocol: "udp", Port: 53, Who: "endpoint.dns of stack other"},
	}}}
	for _, c := range []struct {
		name string
		port state.Port
		host string
		says string
	}{
		{"a program", state.Port{Host: 5432}, "", "postgres (process 12)"},
		{"a program's address", state.Port{Host: 5432, Address: ip("0.0.0.0")}, "", "postgres (process 12)"},
		{"another address", state.Port{Host: 5432, Address: ip("192.0.2.1")}, "", ""},
		{"another family", state.Port{Host: 5432, Address: ip("::")}, "", ""},
		{"another protocol", state.Port{Host: 5432, Protocol: "udp"}, "", ""},
		{"another host", state.Port{Host: 5432}, "b", ""},
		{"another stack", state.Port{Host: 53, Protocol: "udp"}, "vm", "endpoint.dns of stack other"},
		{"within a range", state.Port{Host: 5430, Count: 5}, "", "postgres (process 12)"},
		{"an endpoint", state.Port{Host: 8080}, "", "endpoint.first (main.hcl:"},
		{"a single address of an endpoint's", state.Port{Host: 8080, Address: ip("192.0.2.1")}, "", "endpoint.first (main.hcl:"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDraft()
			d.network("front", "bridge", subnet("10.1.0.0/24"), subnet("fd00:1::/64"))
			addPort(d.endpoint("first", "front", "first"), state.Port{Host: 8080}, 8080, 8080)
			addPort(d.endpoint("second", "front", "second"), c.port, c.port.Host, c.port.Host)
			d.Sandboxes[1].Host = c.host
			got := strings.Join(d.allocate(held), "\n")
			if c.says == "" && got != "" || !strings.Contains(got, c.says) {
				t.Errorf("got %q, want %q", got, c.says)
			}
		})
	}
}

// TestPortsStayWithListeners: a program that listens on a port which an endpoint publishes
// already keeps neither it nor a port of its run from the endpoint; another stack does.
func TestPortsStayWithListeners(t *testing.T) {
	old := state.Endpoint{Mark: state.Owner{Stack: "shop", Address: "endpoint.a"}, Network: "network.front", Name: "a", Host: "vm",
		Ports: []state.Port{{Protocol: "tcp", Host: 8080, Container: 80, Count: 2}, {Protocol: "tcp", Host: 61005, Container: 90, Count: 1}}}
	for _, c := range []struct {
		name   string
		old    state.Endpoint
		holder state.PortHolder
		says   string
	}{
		{"later", old, state.PortHolder{Protocol: "tcp", Port: 8081, Who: "proxy", Program: true}, ""},
		{"before", state.Endpoint{}, state.PortHolder{Protocol: "tcp", Port: 8081, Who: "proxy", Program: true}, "proxy"},
		{"another stack", old, state.PortHolder{Protocol: "tcp", Port: 8081, Who: "stack other"}, "stack other"},
		{"of another host", changed(old, func(e *state.Endpoint) { e.Host = "b" }), state.PortHolder{Protocol: "tcp", Port: 8081, Who: "proxy", Program: true}, "proxy"},
		{"chosen", old, state.PortHolder{Protocol: "tcp", Port: 61005, Who: "proxy", Program: true}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDraft()
			d.network("front", "bridge", subnet("10.1.0.0/24"))
			e := d.endpoint("a", "front", "a")
			addPort(e, state.Port{Host: 8080, Count: 2}, 8080, 8081)
			addPort(e, state.Port{Container: 90}, 61000, 61010)
			held := Held{Facts: Facts{Host: "vm", Holders: []state.PortHolder{c.holder}}, Records: state.World{}, Endpoints: map[state.Address]HeldEndpoint{}}
			if c.old.Name != "" {
				held.Records.Add(c.old)
				held.Endpoints["endpoint.a"] = HeldEndpoint{Ports: heldPorts(c.old)}
			}
			got := strings.Join(d.allocate(held), "\n")
			if c.says == "" && got != "" || !strings.Contains(got, c.says) {
				t.Errorf("got %q, want %q", got, c.says)
			}
			if c.old.Name != "" && e.Ports[1].Host != 61005 {
				t.Errorf("the chosen port is %d", e.Ports[1].Host)
			}
		})
	}
}

func changed(e state.Endpoint, change func(*state.Endpoint)) state.Endpoint {
	change(&e)
	return e
}

// TestPortsRunOut, and ports of endpoints that are attached nowhere are not chosen at all.
func TestPortsRunOut(t *testing.T) {
	d := newDraft()
	d.network("front", "bridge", subnet("10.1.0.0/24"))
	addPort(d.endpoint("a", "front", "a"), state.Port{Host: 8000, Count: 2}, 8000, 8001)
	addPort(d.endpoint("b", "front", "b"), state.Port{Count: 2}, 8000, 8002)
	free := d.endpoint("c", "front", "")
	addPort(free, state.Port{}, 8000, 8002)
	got := d.allocate(Held{})
	if len(got) != 1 || !strings.Contains(got[0], "needs 2 ports of the host out of 8000-8002") {
		t.Errorf("%q", got)
	}
	if chosenPorts(free)[0] != 0 {
		t.Errorf("an endpoint without a sandbox has port %d of which host?", chosenPorts(free)[0])
	}
}

// TestPortsOfOtherHosts: what the store's records say of endpoints on other hosts is held there,
// and does not stand in the way here; nor does what is held here stand in theirs.
func TestPortsOfOtherHosts(t *testing.T) {
	d := newDraft()
	d.network("front", "bridge", subnet("10.1.0.0/24"))
	here, there, late, clash := d.endpoint("here", "front", "a"), d.endpoint("there", "front", "b"), d.endpoint("late", "front", "c"), d.endpoint("clash", "front", "d")
	for i, host := range []string{"a", "b", "b", "b"} {
		d.Sandboxes[i].Host = host
	}
	for _, e := range []*spec.Endpoint{here, there, late} {
		addPort(e, state.Port{}, 61000, 61010)
	}
	addPort(clash, state.Port{Host: 61003}, 61003, 61003)
	records := state.World{}
	for _, r := range []struct {
		e    *spec.Endpoint
		host string
		port uint16
	}{{here, "a", 61002}, {there, "b", 61003}} {
		record := r.e.Endpoint
		record.Host, record.IPv4 = r.host, netip.Prefix{}
		record.Ports = []state.Port{{Protocol: "tcp", Host: r.port, Container: 80, Count: 1}}
		records.Add(record, state.Claim{Port: state.Port{Protocol: "tcp", Host: r.port, Count: 1}, OnHost: r.host, Mark: record.Mark})
	}
	facts := Facts{Host: "a", Holders: []state.PortHolder{{Protocol: "tcp", Port: 61000, Who: "a program of host a"}}}
	held := HeldFrom(records, state.World{}, nil, facts)
	d.mustAllocate(t, held)
	for _, want := range []struct {
		e    *spec.Endpoint
		port uint16
	}{{here, 61002}, {late, 61000}, {there, 61001}, {clash, 61003}} {
		if got := chosenPorts(want.e)[0]; got != want.port {
			t.Errorf("%s has port %d, want %d", want.e.Mark.Address, got, want.port)
		}
	}
	// Without the one who asks for it by number, it stays where it was.
	clash.Ports, clash.PortsFrom = nil, nil
	for _, e := range []*spec.Endpoint{here, there, late} {
		e.Ports[0].Host = 0
	}
	d.mustAllocate(t, held)
	if here, there := chosenPorts(here)[0], chosenPorts(there)[0]; here != 61002 || there != 61003 {
		t.Errorf("ports %d here and %d there, want 61002 and 61003", here, there)
	}
}

package consul_test

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cnmctl/cnmctl/state"
	"github.com/cnmctl/cnmctl/state/consul/consultest"
	"github.com/hashicorp/consul/api"
)

// dns asks the server over UDP.
func dns(server *consultest.Server) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", net.JoinHostPort(server.IP, "8600"))
	}}
}

func serving(endpoint, host, ip string, service *state.Service) state.Endpoint {
	e := on("all", endpoint, host)
	e.IPv4, e.Service = netip.PrefixFrom(netip.MustParseAddr(ip), 16), service
	return e
}

func update(before, after state.Object) []state.Op {
	return []state.Op{{Action: state.Update, Key: after.Key(), Before: before, After: after}}
}

func TestServicesAreInTheCatalog(t *testing.T) {
	server := consultest.Start(t, consultest.Options{Config: "ports { dns = 8600 }"})
	store, look := open(t, server.HTTP), client(t, server, "")
	answers := func(name string, want ...string) {
		t.Helper()
		got, err := dns(server).LookupHost(t.Context(), name+".service.consul.")
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s is at %v, want %v (%v)", name, got, want, err)
		}
		healthy, _, err := look.Health().Service(name[strings.LastIndex(name, ".")+1:], "", true, nil)
		if err != nil || len(healthy) < len(want) {
			t.Errorf("of %s %d are healthy, want %v (%v)", name, len(healthy), want, err)
		}
	}
	web := &state.Service{Name: "web", Port: 80, Tags: []string{"v1"}}
	one, two := serving("one", "a", "10.1.0.2", web), serving("two", "", "10.1.0.3", web)
	c := &cluster{objects: []state.Object{overlay("all"), one, two}}
	c.host("a")
	c.host("b")
	mustApply(t, store, creates(c.objects...))
	answers("web", "10.1.0.2")
	answers("v1.web", "10.1.0.2")
	_, srv, err := dns(server).LookupSRV(t.Context(), "", "", "web.service.consul.")
	if err != nil || len(srv) != 1 || srv[0].Port != 80 {
		t.Errorf("asked where web listens, Consul answers %v (%v)", srv, err)
	}

	attached := serving("two", "b", "10.1.0.3", web)
	mustApply(t, store, update(two, attached))
	answers("web", "10.1.0.2", "10.1.0.3")
	moved := serving("two", "a", "10.1.0.9", &state.Service{Name: "web", Tags: []string{"v2"}})
	mustApply(t, store, update(attached, moved))
	answers("web", "10.1.0.2", "10.1.0.9")
	answers("v2.web", "10.1.0.9")
	renamed := serving("two", "a", "10.1.0.9", &state.Service{Name: "api"})
	mustApply(t, store, update(moved, renamed))
	answers("web", "10.1.0.2")
	answers("api", "10.1.0.9")

	// What others do to the catalog is seen in the records, and put right with them.
	if _, err := look.Catalog().Deregister(&api.CatalogDeregistration{Node: "cnm-shop", ServiceID: "endpoint.all-one"}, nil); err != nil {
		t.Fatal(err)
	}
	world, err := store.Snapshot(t.Context())
	if err != nil || state.Compare(one, world[one.Key()]).Same() {
		t.Errorf("a service that is gone is not missed: %v, %v", world[one.Key()], err)
	}
	mustApply(t, store, update(world[one.Key()], one))
	answers("web", "10.1.0.2")
	if world, err = store.Snapshot(t.Context()); err != nil || !state.Compare(one, world[one.Key()]).Same() {
		t.Errorf("put right it is %v, %v", world[one.Key()], err)
	}

	mustApply(t, store, deletes(renamed))
	answers("api")
	answers("web", "10.1.0.2")
	mustApply(t, store, update(one, serving("one", "a", "10.1.0.2", nil)))
	answers("web")
	if node, _, err := look.Catalog().Node("cnm-shop", nil); node != nil || err != nil {
		t.Errorf("left behind: %v (%v)", node, err)
	}
}

// Many services are written in several transactions.
func TestManyServices(t *testing.T) {
	server := consultest.Start(t, consultest.Options{})
	store := open(t, server.HTTP)
	var all []state.Object
	for _, e := range manyEndpoints(300) {
		e.Service = &state.Service{Name: "web", Port: 80}
		all = append(all, e)
	}
	mustApply(t, store, creates(all...))
	found, _, err := client(t, server, "").Health().Service("web", "", true, nil)
	if err != nil || len(found) != len(all) {
		t.Errorf("%d are registered, want %d (%v)", len(found), len(all), err)
	}
	mustApply(t, store, deletes(all...))
	if nodes, _, err := client(t, server, "").Catalog().Nodes(nil); err != nil || len(nodes) != 1 {
		t.Errorf("%d nodes are left (%v)", len(nodes), err)
	}
}

func manyEndpoints(n int) (all []state.Endpoint) {
	ip := netip.MustParseAddr("10.1.0.2")
	for range n {
		e := on("all", ip.String(), "a")
		e.IPv4, ip = netip.PrefixFrom(ip, 16), ip.Next()
		all = append(all, e)
	}
	return all
}

// TestChecksAreRecords: what somebody else does to a check is drift, but not what it says;
// and who tells of a check that is gone, or has become another one, changes nothing.
func TestChecksAreRecords(t *testing.T) {
	server := consultest.Start(t, consultest.Options{})
	store, look := open(t, server.HTTP), client(t, server, "")
	e := serving("one", "a", "10.1.0.2", &state.Service{Name: "web", Port: 80, Check: "/health", Interval: 10 * time.Second})
	same := func(what string, want bool) {
		t.Helper()
		world, err := store.Snapshot(t.Context())
		if err != nil || state.Compare(e, world[e.Key()]).Same() != want {
			t.Errorf("%s: %v (%v)", what, world[e.Key()], err)
		}
	}
	status := func(want string) {
		t.Helper()
		checks, _, err := look.Health().Checks("web", nil)
		if err != nil || len(checks) != 1 || checks[0].Status != want {
			t.Errorf("the checks are %v, want %s (%v)", checks, want, err)
		}
	}
	judge := func(e state.Endpoint, health string) {
		t.Helper()
		if err := store.Judge(t.Context(), e, state.Verdict{Health: health, Why: "so"}); err != nil {
			t.Fatal(err)
		}
	}
	judge(e, state.Passing) // there is none yet
	mustApply(t, store, creates(e))
	same("registered", true)
	status(state.Warning)
	judge(e, state.Critical)
	status(state.Critical)
	same("judged", true)
	other := serving("one", "a", "10.1.0.2", &state.Service{Name: "web", Port: 80, Check: state.CheckTCP, Interval: 10 * time.Second})
	judge(other, state.Passing)
	status(state.Critical)

	moved := e
	moved.Service = &state.Service{Name: "web", Port: 81, Check: "/health", Interval: 10 * time.Second}
	mustApply(t, store, update(e, moved))
	status(state.Critical) // what it says stays until somebody looks
	mustApply(t, store, update(moved, other))
	status(state.Warning)
	mustApply(t, store, update(other, e))

	if _, err := look.Catalog().Deregister(&api.CatalogDeregistration{Node: "cnm-shop", CheckID: "service:endpoint.all-one"}, nil); err != nil {
		t.Fatal(err)
	}
	same("the check is gone", false)
	world, err := store.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	mustApply(t, store, update(world[e.Key()], e))
	same("put right", true)
	status(state.Warning)
	mustApply(t, store, deletes(e))
	if node, _, err := look.Catalog().Node("cnm-shop", nil); node != nil || err != nil {
		t.Errorf("left behind: %v (%v)", node, err)
	}
}

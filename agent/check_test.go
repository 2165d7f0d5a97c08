package agent_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/consul/api"
)

// TestServicesAreChecked: the agent of a sandbox's host says in the catalog how a service is,
// as seen from the sandbox, and is silent while that stays.
func TestServicesAreChecked(t *testing.T) {
	var answer, asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.URL.Path != "/health" {
			t.Errorf("asked for %s", r.URL)
		}
		w.WriteHeader(int(answer.Load()))
	}))
	defer server.Close()
	f := newFixture(t)
	f.dial = func(ctx context.Context, from state.Place, network, address string) (net.Conn, error) {
		if from != state.Netns("shop-db") {
			t.Errorf("connected from %s", from)
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	look, err := api.NewClient(&api.Config{Address: f.server.HTTP})
	if err != nil {
		t.Fatal(err)
	}
	checked := func() *api.HealthCheck {
		checks, _, err := look.Health().Checks("web", nil)
		if err != nil || len(checks) != 1 {
			t.Fatalf("the checks are %v, %v", checks, err)
		}
		return checks[0]
	}
	is := func(status string) {
		t.Helper()
		f.until("web is "+status, func() bool { return checked().Status == status })
	}

	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	number, _ := strconv.Atoi(port)
	e := state.Endpoint{
		Mark: state.Owner{Stack: "shop", Address: "endpoint.db"}, Name: "db", Network: "network.front", Sandbox: "sandbox.db", Host: "b",
		IPv4: netip.MustParsePrefix("127.0.0.1/8"), MAC: state.MAC{2, 0, 0, 0, 0, 1}, Interface: "eth0", HostInterface: "xdb",
		Service: &state.Service{Name: "web", Port: uint16(number), Check: "/health", Interval: time.Second},
	}
	f.write(state.Create, state.Network{Mark: state.Owner{Stack: "shop", Address: "network.front"}, Name: "front", Driver: "null"})
	f.write(state.Create, box("db", "b"))
	f.write(state.Create, e)
	if c := checked(); c.Status != state.Warning || !strings.Contains(c.Output, "no agent") {
		t.Errorf("before anybody has looked it is %s: %s", c.Status, c.Output)
	}
	answer.Store(http.StatusOK)
	stop := f.start()
	is(state.Passing)
	was, times := checked().ModifyIndex, asked.Load()
	f.until("it is asked twice more", func() bool { return asked.Load() > times+1 })
	if now := checked().ModifyIndex; now != was {
		t.Error("what did not change was written")
	}
	answer.Store(http.StatusTooManyRequests)
	is(state.Warning)
	answer.Store(http.StatusInternalServerError)
	is(state.Critical)
	if healthy, _, err := look.Health().Service("web", "", true, nil); err != nil || len(healthy) > 0 {
		t.Errorf("healthy are %v, %v", healthy, err)
	}

	// Another check begins anew, and who does not listen is not well.
	tcp := e
	tcp.Service = &state.Service{Name: "web", Port: uint16(number), Check: state.CheckTCP, Interval: time.Second}
	f.write(state.Update, tcp)
	is(state.Passing)
	server.Close()
	is(state.Critical)
	stop()

	// Without an agent it stays as it was last seen; without the check it is well.
	is(state.Critical)
	plain := e
	plain.Service = &state.Service{Name: "web", Port: uint16(number)}
	f.write(state.Update, plain)
	if healthy, _, err := look.Health().Service("web", "", true, nil); err != nil || len(healthy) != 1 {
		t.Errorf("healthy are %v, %v", healthy, err)
	}
}

package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cnmctl/cnmctl/agent"
	"github.com/cnmctl/cnmctl/applier/appliertest"
	"github.com/cnmctl/cnmctl/drivers/registry"
	"github.com/cnmctl/cnmctl/state"
	"github.com/cnmctl/cnmctl/state/consul"
)

// fleet is all agents, and what they ask of Consul: they reach it through a counter.
type fleet struct {
	counter *counter
	agents  []*agent.Agent
	stores  []*consul.Store
	running sync.WaitGroup
	// warnings counts what the agents complain of: answers that did not come in time.
	warnings lines
}

// lines counts what is written.
type lines struct{ n atomic.Int64 }

func (l *lines) Write(p []byte) (int, error) {
	l.n.Add(1)
	return len(p), nil
}

func newFleet(address string, s size) (*fleet, error) {
	c, err := newCounter(address)
	if err != nil {
		return nil, err
	}
	f := &fleet{counter: c}
	for h := range s.hosts {
		store, err := consul.Open(consul.Options{Stack: stack, Address: c.address})
		if err != nil {
			return nil, err
		}
		m := &machine{Memory: appliertest.NewMemory()}
		f.stores = append(f.stores, store)
		f.agents = append(f.agents, &agent.Agent{
			Host: agent.Host{Stack: stack, Name: hostName(h), Drivers: registry.All()}, Store: store,
			Open:   func(context.Context) (agent.Machine, func(), error) { return m, func() {}, nil },
			Follow: func(state.World) error { return nil }, Ready: func() {},
			Log:     slog.New(slog.NewTextHandler(&f.warnings, &slog.HandlerOptions{Level: slog.LevelWarn})),
			Metrics: &agent.Metrics{},
		})
	}
	return f, nil
}

// start starts the agents, spread over the ramp.
func (f *fleet) start(ctx context.Context, ramp time.Duration) {
	for i, a := range f.agents {
		f.running.Go(func() {
			select {
			case <-ctx.Done():
				return
			case <-time.After(ramp * time.Duration(i) / time.Duration(len(f.agents))):
			}
			if err := a.Run(ctx); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
		})
	}
}

func (f *fleet) wait() { f.running.Wait() }

func (f *fleet) close() {
	for _, s := range f.stores {
		_ = s.Close() // only connections that nobody uses
	}
	f.counter.close()
}

// patience is how long anything may take.
const patience = 20 * time.Minute

// converged waits until the first so many hosts have made what a revision wants of them.
// Nobody asks Consul for that, because the asking would count.
func (f *fleet) converged(hosts int, serial uint64) error {
	want := fmt.Sprintf("converged to revision %d", serial)
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		n := 0
		for _, a := range f.agents[:hosts] {
			if text, ok := a.Metrics.Health(); ok && strings.HasPrefix(text, want) {
				n++
			}
		}
		if n == hosts {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("%d of %d agents have converged after %s", n, hosts, patience)
		}
	}
}

// say reports what the agents asked for meanwhile.
func (f *fleet) say(what string, took time.Duration) {
	requests, bytes := f.counter.requests.Load(), f.counter.bytes.Load()
	fmt.Printf("%-52s %9s  %7d requests (%.0f/s)  %9.1f kB read (%.2f kB an agent)  %d warnings\n", what, round(took), requests,
		float64(requests)/took.Seconds(), float64(bytes)/1e3, float64(bytes)/1e3/float64(len(f.agents)), f.warnings.n.Swap(0))
}

func round(d time.Duration) time.Duration { return d.Round(time.Millisecond) }

// machine is a kernel in memory.
type machine struct{ *appliertest.Memory }

func (m *machine) HostAddresses() map[netip.Addr]string                           { return nil }
func (m *machine) ReadSysctls(context.Context, state.World, ...state.World) error { return nil }
func (m *machine) ReadRedirects(context.Context, state.World, []state.Key) error  { return nil }
func (m *machine) Probe(context.Context, []state.Feature) error                   { return nil }
func (m *machine) Visit([]string) bool                                            { return false }
func (m *machine) Plugins() state.Target                                          { return nil }
func (m *machine) Raise(context.Context) error                                    { return nil }

// counter passes requests on to Consul and counts them, and the bytes of the answers.
type counter struct {
	address         string
	server          *http.Server
	requests, bytes atomic.Int64
}

func newCounter(target string) (*counter, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: target})
	proxy.Transport = &http.Transport{MaxIdleConnsPerHost: 10000}
	proxy.FlushInterval = -1
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	c := &counter{address: l.Addr().String()}
	c.server = &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.requests.Add(1)
		proxy.ServeHTTP(&counted{w, c}, r)
	})}
	go func() { _ = c.server.Serve(l) }() // until close
	return c, nil
}

func (c *counter) reset() {
	c.requests.Store(0)
	c.bytes.Store(0)
}

func (c *counter) close() { _ = c.server.Close() }

type counted struct {
	http.ResponseWriter
	c *counter
}

func (w *counted) Write(p []byte) (int, error) {
	w.c.bytes.Add(int64(len(p)))
	return w.ResponseWriter.Write(p)
}

// Unwrap lets the proxy flush.
func (w *counted) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// memory is what a process has in memory.
func memory(pid int) string {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return "?"
	}
	defer f.Close()
	text, err := io.ReadAll(f)
	if err != nil {
		return "?"
	}
	for line := range strings.Lines(string(text)) {
		var kB int
		if n, _ := fmt.Sscanf(line, "VmRSS: %d kB", &kB); n == 1 {
			return fmt.Sprintf("%d MB", kB/1024)
		}
	}
	return "?"
}

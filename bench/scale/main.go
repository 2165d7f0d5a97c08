// Command scale simulates a cluster that does not fit on one machine: a thousand agents (the
// real code, each with a kernel in memory) and a hundred thousand endpoints, with one real
// Consul server. It reports what the agents ask of Consul, how long they take, and what
// memory it takes. docs/scale.md says what came out and why.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/cnmctl/cnmctl/state"
	"github.com/cnmctl/cnmctl/state/consul"
	"github.com/cnmctl/cnmctl/state/consul/consultest"
)

// size is how big the cluster is.
type size struct {
	hosts, networks, endpoints int
	// span is how many hosts each network is on.
	span int
}

func main() {
	var s size
	flag.IntVar(&s.hosts, "hosts", 1000, "hosts, with an agent each")
	flag.IntVar(&s.networks, "networks", 1000, "overlay networks")
	flag.IntVar(&s.span, "span", 10, "hosts that each network is on")
	flag.IntVar(&s.endpoints, "endpoints", 100000, "endpoints in all")
	ramp := flag.Duration("ramp", 2*time.Minute, "time in which the agents start")
	idle := flag.Duration("idle", 30*time.Second, "time to watch them do nothing")
	loss := flag.Bool("lose", false, "have Consul lose its data at the end; two processors are enough for some hundred hosts")
	flag.Parse()
	if err := run(s, *ramp, *idle, *loss); err != nil {
		fmt.Fprintln(os.Stderr, "bench/scale:", err)
		os.Exit(1)
	}
}

func run(s size, ramp, idle time.Duration, loss bool) error {
	if s.hosts < s.span || s.networks < 1 || s.span < 1 || s.endpoints < s.networks*s.span {
		return fmt.Errorf("%d endpoints cannot be on %d networks over %d of %d hosts each", s.endpoints, s.networks, s.span, s.hosts)
	}
	server, err := consultest.New(consultest.Options{Durable: true, Config: "limits { http_max_conns_per_client = 10000 }"})
	if err != nil {
		return err
	}
	defer server.Close()
	if err := server.Start(); err != nil {
		return err
	}
	store, err := consul.Open(consul.Options{Stack: stack, Address: server.HTTP})
	if err != nil {
		return err
	}
	defer store.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()

	begun := time.Now()
	if err := write(ctx, store, records(s)); err != nil {
		return err
	}
	fmt.Printf("%d endpoints on %d networks written in %s; Consul has %s\n", s.endpoints, s.networks, round(time.Since(begun)), memory(server.PID()))

	f, err := newFleet(server.HTTP, s)
	if err != nil {
		return err
	}
	defer f.close()
	begun = time.Now()
	f.start(ctx, ramp)
	written, err := store.Revision(ctx)
	if err != nil {
		return err
	}
	if err := f.converged(s.hosts, written.Serial); err != nil {
		return err
	}
	f.say(fmt.Sprintf("%d agents converged, started over %s", s.hosts, ramp), time.Since(begun))
	fmt.Printf("%-52s Consul %s, all agents together %s\n", "memory", memory(server.PID()), memory(os.Getpid()))

	f.counter.reset()
	time.Sleep(idle)
	f.say("nothing happens", idle)

	f.counter.reset()
	begun = time.Now()
	if err := write(ctx, store, []state.Object{oneMore(s)}); err != nil {
		return err
	}
	if err := f.converged(s.span, written.Serial+1); err != nil {
		return err
	}
	took := time.Since(begun)
	time.Sleep(time.Second) // those whom it does not concern hear of it too
	f.say(fmt.Sprintf("one endpoint, which concerns %d hosts", s.span), took)
	if loss {
		if err := lose(ctx, server, store, f, s); err != nil {
			return err
		}
	}
	cancel()
	f.wait()
	return nil
}

// lose has Consul lose its data, and waits until it is settled and all that the hosts hold is
// claimed again: the VNIs, and the addresses of bridges and endpoints.
func lose(ctx context.Context, server *consultest.Server, store *consul.Store, f *fleet, s size) error {
	f.counter.reset()
	f.warnings.n.Store(0)
	begun := time.Now()
	if err := server.Lose(); err != nil {
		return err
	}
	held := 2*s.networks + s.endpoints + 1
	for settled := false; ; time.Sleep(time.Second) {
		if now, err := store.Settled(ctx); err == nil && now && !settled {
			settled = true
			f.say("Consul has lost its data: settled", time.Since(begun))
		}
		w, err := store.Snapshot(ctx)
		switch n := len(w.KeysOf(state.KindClaim)); {
		case err == nil && n == held && settled:
			f.say(fmt.Sprintf("%d VNIs and addresses are claimed again", held), time.Since(begun))
			fmt.Printf("%-52s Consul %s, all agents together %s\n", "memory", memory(server.PID()), memory(os.Getpid()))
			return nil
		case time.Since(begun) > patience:
			return fmt.Errorf("%d of %d claims are back after %s", n, held, patience)
		}
	}
}

// write makes the records with as few transactions as Consul allows.
func write(ctx context.Context, store *consul.Store, objects []state.Object) error {
	const wave = 20000
	for len(objects) > 0 {
		part := objects[:min(wave, len(objects))]
		objects = objects[len(part):]
		ops := make([]state.Op, len(part))
		for i, o := range part {
			ops[i] = state.Op{Action: state.Create, Key: o.Key(), After: o}
		}
		if err := store.Apply(ctx, ops, func(int, error) {}); err != nil {
			return err
		}
	}
	return nil
}

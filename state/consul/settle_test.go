package consul

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/cnmctl/cnmctl/state/consul/consultest"
	"github.com/hashicorp/consul/api"
)

// Hosts have some seconds, more while they go on putting back, and all of it again when the
// store loses its data once more.
func TestSettling(t *testing.T) {
	start := time.Now()
	for name, steps := range map[string][]struct {
		after  time.Duration
		index  uint64
		claims uint64
		over   bool
	}{
		"quiet":    {{0, 0, 0, false}, {0, 5, 0, false}, {settlingFor - 1, 5, 0, false}, {settlingFor, 5, 0, true}},
		"put back": {{0, 5, 0, false}, {settlingFor - 1, 5, 2, false}, {settlingFor, 5, 2, false}, {settlingFor - 1 + quietFor, 5, 2, true}},
		"no end":   {{0, 5, 0, false}, {settlingAtMost - 1, 5, 1, false}, {settlingAtMost, 5, 2, true}},
		"lost":     {{0, 5, 0, false}, {settlingFor - 1, 0, 0, false}, {settlingFor, 4, 0, false}, {2*settlingFor - 1, 4, 0, false}, {2 * settlingFor, 4, 0, true}},
	} {
		var w settling
		for i, s := range steps {
			now := start.Add(s.after)
			w.sees(now, s.index)
			if over := w.over(now, s.claims) && s.index > 0; over != s.over {
				t.Errorf("%s, step %d: over is %v", name, i, over)
			}
		}
	}
}

// TestSettleTogether: many wait for one settlement, and when the one dies that looks after the
// claims, another does.
func TestSettleTogether(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	server := consultest.Start(t, consultest.Options{})
	open := func() *Store {
		s, err := Open(Options{Stack: "shop", Address: server.HTTP})
		if err != nil {
			t.Fatal(err)
		}
		s.takeover = 15 * time.Second
		return s
	}
	dying, die := context.WithCancel(t.Context())
	waits := make(chan struct{}, 1)
	died := make(chan error, 1)
	go func() {
		died <- open().Settle(dying, func(time.Duration) { waits <- struct{}{} })
	}()
	<-waits
	store := open()
	client, err := api.NewClient(&api.Config{Address: server.HTTP})
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if pair, _, err := client.KV().Get("cnm/settled", nil); err == nil && pair != nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("nobody says that he waits")
		}
	}
	die()
	if err := <-died; !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
	if settled, err := store.Settled(t.Context()); settled || err != nil {
		t.Errorf("settled is %v, %v", settled, err)
	}
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			if err := open().Settle(t.Context(), func(time.Duration) {}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if settled, err := store.Settled(t.Context()); !settled || err != nil {
		t.Errorf("settled is %v, %v", settled, err)
	}
}

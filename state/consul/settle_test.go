package consul

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/cnmctl/cnmctl/state/consul/consultest"
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
// claims, another does. One that could not speak to Consul for a while goes on.
func TestSettleTogether(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	server := consultest.Start(t, consultest.Options{})
	open := func(path string, takeover time.Duration) *Store {
		s, err := Open(Options{Stack: "shop", Path: path, Address: server.HTTP, Silence: 30 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		s.takeover = takeover
		return s
	}
	// begin has a store wait until it looks after the claims, and then be cut off.
	begin := func(s *Store) {
		t.Helper()
		dying, die := context.WithCancel(t.Context())
		died := make(chan error, 1)
		go func() { died <- s.Settle(dying, func(time.Duration) {}) }()
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
			if now, index, err := s.settlement(t.Context(), 0); err == nil && index > 0 && now.By == s.id {
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("nobody says that he waits")
			}
		}
		die()
		if err := <-died; err == nil {
			t.Error("it did not have to wait")
		}
		if settled, err := s.Settled(t.Context()); settled || err != nil {
			t.Errorf("settled is %v, %v", settled, err)
		}
	}
	// settle tries again on a machine that is so busy that Consul does not answer, as agents do.
	settle := func(s *Store) {
		err := s.Settle(t.Context(), func(time.Duration) {})
		var busy *UnreachableError
		for deadline := time.Now().Add(2 * time.Minute); errors.As(err, &busy) && time.Now().Before(deadline); {
			err = s.Settle(t.Context(), func(time.Duration) {})
		}
		if err != nil {
			t.Error(err)
		}
	}
	begin(open("cnm", 15*time.Second))
	again := open("other", time.Hour)
	begin(again)
	var all sync.WaitGroup
	all.Go(func() { settle(again) }) // it lives after all, and goes on
	for range 10 {
		all.Go(func() { settle(open("cnm", 15*time.Second)) })
	}
	all.Wait()
	if settled, err := open("cnm", time.Hour).Settled(t.Context()); !settled || err != nil {
		t.Errorf("settled is %v, %v", settled, err)
	}
}

package consul_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cnmctl/cnmctl/state"
	"github.com/cnmctl/cnmctl/state/consul"
	"github.com/cnmctl/cnmctl/state/consul/consultest"
	"github.com/hashicorp/consul/api"
)

const lockPath = "cnm/shop/lock"

// patience is for what happens at once, on a machine that has nothing else to do.
const patience = time.Minute

// holder is who holds the lock now, as a message would say it.
func holder(t *testing.T, store *consul.Store) *state.LockedError {
	t.Helper()
	_, err := store.Lock(t.Context(), state.LockInfo{})
	var locked *state.LockedError
	if !errors.As(err, &locked) {
		t.Fatalf("taking a lock that is held: %v", err)
	}
	return locked
}

// wantLost waits until the store says that its lock is lost, and then cannot be written to.
func wantLost(t *testing.T, store *consul.Store, unlock func() error) {
	t.Helper()
	select {
	case <-store.Lost():
	case <-time.After(patience):
		t.Fatalf("the loss was not noticed in %s", patience)
	}
	var lost *state.LockLostError
	if _, _, err := apply(t.Context(), store, creates(network("late"))); !errors.As(err, &lost) {
		t.Errorf("writing after the loss: %v", err)
	}
	if err := unlock(); !errors.As(err, &lost) || !strings.Contains(err.Error(), lockPath) {
		t.Errorf("giving back what is lost: %v", err)
	}
	if _, _, err := apply(t.Context(), store, creates(network("later"))); !errors.As(err, &lost) {
		t.Errorf("writing after that: %v", err)
	}
}

func TestLocksAreLost(t *testing.T) {
	t.Parallel()
	server := consultest.Start(t, consultest.Options{})
	c := client(t, server, "")
	for name, lose := range map[string]func(id string) error{
		"session destroyed": func(id string) error { _, err := c.Session().Destroy(id, nil); return err },
		"key deleted":       func(string) error { _, err := c.KV().Delete(lockPath, nil); return err },
		"released": func(id string) error {
			_, _, err := c.KV().Release(&api.KVPair{Key: lockPath, Session: id}, nil)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			store, other := open(t, server.HTTP), open(t, server.HTTP)
			unlock, err := store.Lock(t.Context(), state.LockInfo{Operation: "apply"})
			check(t, err)
			mustApply(t, store, creates(network("a")))
			check(t, lose(holder(t, other).ID))
			wantLost(t, store, unlock)
			if n := size(t, other); n != 1 {
				t.Errorf("%d records are there", n)
			}
			// Taken anew, by the same store and by others, it is a lock like any.
			again, err := store.Lock(t.Context(), state.LockInfo{})
			check(t, err)
			mustApply(t, store, deletes(network("a")))
			check(t, again())
		})
	}
}

// The fence alone, before anybody noticed: what is written under a lock that is gone is
// not written.
func TestFence(t *testing.T) {
	t.Parallel()
	server := consultest.Start(t, consultest.Options{})
	c := client(t, server, "")
	for range 4 { // each has to wait out the lock delay of the one before
		store := open(t, server.HTTP)
		unlock, err := store.Lock(t.Context(), state.LockInfo{})
		check(t, err)
		pair, _, err := c.KV().Get(lockPath, nil)
		check(t, err)
		if _, err := c.Session().Destroy(pair.Session, nil); err != nil {
			t.Fatal(err)
		}
		done, _, err := apply(t.Context(), store, creates(networks(300)...))
		var lost *state.LockLostError
		if !errors.As(err, &lost) || done != 0 {
			t.Fatalf("%d done: %v", done, err)
		}
		wantLost(t, store, unlock)
	}
	if n := size(t, open(t, server.HTTP)); n != 0 {
		t.Errorf("%d records were written", n)
	}
}

// quick is a Consul that allows sessions which end soon, shortlived a store with such.
var quick = consultest.Options{Config: `session_ttl_min = "1s"`}

func shortlived(o *consul.Options) { o.SessionTTL = 4 * time.Second }

// A holder that cannot reach Consul stops before Consul gives its lock to another.
func TestLockIsLostWithConsul(t *testing.T) {
	t.Parallel()
	server := consultest.Start(t, quick)
	store, next := open(t, server.HTTP, shortlived), open(t, server.HTTP)
	start := time.Now() // the session lives from here on at least
	unlock, err := store.Lock(t.Context(), state.LockInfo{})
	check(t, err)
	server.Freeze()
	wantLost(t, store, unlock)
	if took := time.Since(start); took < time.Second {
		t.Errorf("it was given up after %s already", took)
	}
	server.Thaw()
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		again, err := next.Lock(t.Context(), state.LockInfo{})
		var locked *state.LockedError
		if err == nil {
			check(t, again())
			return
		}
		if !errors.As(err, &locked) || time.Now().After(deadline) {
			t.Fatalf("a session that nobody renews holds on: %v", err)
		}
	}
}

// A lock that is held for longer than its session lives is kept. On a machine that stands
// still for as long it is rightly lost, so what lives longer is tried as well.
func TestLockIsKept(t *testing.T) {
	t.Parallel()
	server := consultest.Start(t, quick)
	for ttl := 4 * time.Second; ; ttl *= 2 {
		store := open(t, server.HTTP, func(o *consul.Options) { o.SessionTTL = ttl })
		unlock, err := store.Lock(t.Context(), state.LockInfo{})
		check(t, err)
		select {
		case <-store.Lost():
			if ttl > 30*time.Second {
				t.Fatal("it is lost")
			}
			_ = unlock() // and says so
			continue
		case <-time.After(9 * ttl / 4):
		}
		mustApply(t, store, creates(network("a")))
		check(t, unlock())
		return
	}
}

func TestForceUnlock(t *testing.T) {
	server := consultest.Start(t, consultest.Options{})
	c := client(t, server, "")
	store, breaker := open(t, server.HTTP), open(t, server.HTTP)
	refused := func(id, want string) {
		t.Helper()
		if _, err := breaker.ForceUnlock(t.Context(), id); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("breaking with %q: %v, want %q", id, err, want)
		}
	}
	refused("x", "nobody holds it")

	info := state.LockInfo{Operation: "apply", Who: "ann@a", PID: 7, Since: "2001-02-03T04:05:06Z"}
	unlock, err := store.Lock(t.Context(), info)
	check(t, err)
	id := holder(t, breaker).ID
	refused("", "its ID is "+id)
	refused("11111111-2222-3333-4444-555555555555", "ann@a")
	if broken, err := breaker.ForceUnlock(t.Context(), id); err != nil || broken != info {
		t.Fatalf("breaking: %v, %v", broken, err)
	}
	wantLost(t, store, unlock)
	next, err := breaker.Lock(t.Context(), info)
	check(t, err)
	refused(id, "not "+id) // an old ID does not break the next one's lock
	check(t, next())

	// Another program's session at our key is nobody's to break, and its lock is respected.
	session, _, err := c.Session().CreateNoChecks(&api.SessionEntry{TTL: "30s"}, nil)
	check(t, err)
	if ok, _, err := c.KV().Acquire(&api.KVPair{Key: lockPath, Session: session}, nil); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if l := holder(t, store); l.ID != "" {
		t.Errorf("the lock of another program has the ID %s", l.ID)
	}
	refused(session, "not cnmctl's")
	if entry, _, err := c.Session().Info(session, nil); entry == nil || err != nil {
		t.Errorf("the session is %v, %v", entry, err)
	}
}

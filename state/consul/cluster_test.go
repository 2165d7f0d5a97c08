package consul_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cnmctl/cnmctl/state"
	"github.com/cnmctl/cnmctl/state/consul"
	"github.com/cnmctl/cnmctl/state/consul/consultest"
	"github.com/hashicorp/consul/api"
)

// change writes one record, or deletes it.
func change(t *testing.T, store *consul.Store, action state.Action, o state.Object) {
	t.Helper()
	op := state.Op{Action: action, Key: o.Key(), After: o}
	if action == state.Delete {
		op.Before, op.After = o, nil
	}
	if err := store.Apply(context.Background(), []state.Op{op}, func(int, error) {}); err != nil {
		t.Fatal(err)
	}
}

func TestAwaitEachRevision(t *testing.T) {
	server := consultest.Start(t, consultest.Options{})
	store := open(t, server.HTTP)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	revisions := make(chan state.Revision)
	go func() {
		defer close(revisions)
		var known state.Revision
		for {
			now, err := store.Await(ctx, known)
			if err != nil {
				return
			}
			known = now.Revision
			revisions <- known
		}
	}()
	silent := func() {
		t.Helper()
		select {
		case r := <-revisions:
			t.Fatalf("told of revision %+v, and nothing has changed", r)
		case <-time.After(100 * time.Millisecond):
		}
	}
	silent()
	last := state.Revision{}
	for _, action := range []state.Action{state.Create, state.Delete, state.Create} { // to nothing and back
		change(t, store, action, network("front"))
		now, err := store.Revision(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if told := <-revisions; told != now || action == state.Create && told.Index <= last.Index {
			t.Fatalf("after %s told of revision %+v, want %+v, and it was %+v", action, told, now, last)
		}
		if action == state.Create {
			last = now
		} else if now != (state.Revision{}) {
			t.Errorf("a stack without records has revision %+v", now)
		}
		if err := store.Report(ctx, state.Status{Host: "a", Revision: now}); err != nil {
			t.Fatal(err)
		}
		silent()
	}
	cancel()
	if _, more := <-revisions; more {
		t.Error("told of a revision after the end")
	}
}

func TestStatusesOfHosts(t *testing.T) {
	server := consultest.Start(t, consultest.Options{})
	store, ctx := open(t, server.HTTP), context.Background()
	change(t, store, state.Create, network("front"))
	now, err := store.Revision(ctx)
	check(t, err)
	want := state.Status{Host: "b", Revision: now, When: time.Now().UTC().Truncate(time.Millisecond), Error: "no"}
	if err := store.Report(ctx, want); err != nil {
		t.Fatal(err)
	}
	if _, err := client(t, server, "").KV().Put(&api.KVPair{Key: "cnm/shop/status/notes", Value: []byte("mine")}, nil); err != nil {
		t.Fatal(err)
	}
	all, next, err := store.Statuses(ctx, 0)
	if err != nil || !slices.Equal(all, []state.Status{want}) || next == 0 {
		t.Fatalf("the hosts say %+v (%d), %v", all, next, err)
	}
	later := make(chan []state.Status, 1)
	go func() {
		all, _, _ := store.Statuses(ctx, next) // an error is no status
		later <- all
	}()
	if err := store.Report(ctx, state.Status{Host: "b"}); err != nil {
		t.Fatal(err)
	}
	if all := <-later; len(all) != 1 || all[0] != (state.Status{Host: "b"}) {
		t.Errorf("heard %+v", all)
	}
	// They are no records, and nobody reads them as such.
	world, err := store.Snapshot(ctx)
	if err != nil || len(world) != 1 {
		t.Errorf("the stack holds %v, %v", world.Keys(), err)
	}
	if err := store.Retract(ctx, "b"); err != nil {
		t.Fatal(err)
	}
	if all, _, err := store.Statuses(ctx, 0); err != nil || len(all) > 0 {
		t.Errorf("after all the hosts say %+v, %v", all, err)
	}
}

func TestAttendance(t *testing.T) {
	server := consultest.Start(t, quick)
	store := open(t, server.HTTP, shortlived)
	attend := func(store *consul.Store) (stop func(), ended chan error) {
		t.Helper()
		ctx, cancel := context.WithCancel(context.Background())
		begun, ended := make(chan struct{}), make(chan error, 1)
		go func() { ended <- store.Attend(ctx, state.LockInfo{Operation: "agent"}, "b", func() { close(begun) }) }()
		select {
		case <-begun:
		case err := <-ended:
			ended <- err
		}
		return cancel, ended
	}
	attended := func(want ...string) {
		t.Helper()
		if got, err := store.Attended(context.Background()); err != nil || !slices.Equal(got, want) {
			t.Errorf("alive are %v, %v; want %v", got, err, want)
		}
	}
	attended()
	stop, ended := attend(store)
	defer stop()
	attended("b")
	stop2, second := attend(open(t, server.HTTP, shortlived))
	defer stop2()
	if err := <-second; err == nil || !strings.Contains(err.Error(), "another one says so already") {
		t.Errorf("a second agent of the host: %v", err)
	}
	time.Sleep(9 * time.Second) // more than twice the time to live
	attended("b")
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	attended()
}

// Whoever waited while Consul went hears of one that has come back with nothing, although it
// counts from the beginning.
func TestAwaitAfterLoss(t *testing.T) {
	t.Parallel()
	server := consultest.Start(t, consultest.Options{})
	store, writer := open(t, server.HTTP), open(t, server.HTTP)
	for i := range 60 { // far more than a Consul counts when it starts
		mustApply(t, writer, creates(network(fmt.Sprint("n", i))))
	}
	known, err := store.Latest(t.Context())
	check(t, err)
	server.Kill()
	if _, err := store.Await(t.Context(), known.Revision); err == nil {
		t.Error("waiting for a Consul that is gone went well")
	}
	check(t, server.Lose())
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if now, err := store.Await(ctx, known.Revision); err != nil || now.Revision != (state.Revision{}) {
		t.Errorf("heard %+v, %v", now.Revision, err)
	}
}

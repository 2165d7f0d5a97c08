package statetest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"

	"github.com/cnmctl/cnmctl/state"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// Stack is the stack whose objects the contract stores.
const Stack = "contract"

// Run checks that a store keeps the contract. fresh makes new, empty storage for Stack and
// returns how to open it; what is opened twice is one storage.
func Run(t *testing.T, fresh func(t *testing.T) (open func() (state.RecordStore, error))) {
	for _, c := range []struct {
		name string
		test func(*suite)
	}{
		{"an empty store has an empty world", (*suite).empty},
		{"objects come back as they went in", (*suite).roundTrip},
		{"operations done twice are done once", (*suite).idempotent},
		{"claims are create-only", (*suite).claims},
		{"a renamed block takes its claims along", (*suite).handover},
		{"what a plugin answers is written over what it was asked for", (*suite).answers},
		{"a wave is seen as a whole", (*suite).wholeWaves},
		{"a failed wave leaves nothing", (*suite).failedWave},
		{"what was stored is there after opening again", (*suite).reopened},
		{"the last object can go", (*suite).emptied},
		{"a lock keeps others out until it is given back", (*suite).locks},
		{"one of many takers gets the lock", (*suite).lockRace},
		{"a cancelled context begins nothing", (*suite).cancelled},
		{"a kernel's object is refused", (*suite).wrongPlace},
		{"ten thousand records", (*suite).many},
	} {
		t.Run(c.name, func(t *testing.T) {
			open := fresh(t)
			c.test(&suite{t: t, open: func() state.RecordStore {
				store, err := open()
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() {
					if err := store.Close(); err != nil {
						t.Error(err)
					}
				})
				return store
			}})
		})
	}
}

type suite struct {
	t    *testing.T
	open func() state.RecordStore
}

func (s *suite) empty() {
	store := s.open()
	s.wantWorld(store, nil)
	s.apply(store) // a wave of nothing
	s.wantWorld(store, nil)
}

func (s *suite) roundTrip() {
	store := s.open()
	s.apply(store, creates(samples()...)...)
	s.wantWorld(store, samples())
}

func (s *suite) idempotent() {
	store := s.open()
	for range 2 {
		s.apply(store, creates(samples()...)...)
		s.wantWorld(store, samples())
	}
	changed := samples()
	endpoint := changed[1].(state.Endpoint)
	endpoint.Interface = "eth7"
	changed[1] = endpoint
	for range 2 {
		s.apply(store, state.Op{Action: state.Update, Key: endpoint.Key(), Before: samples()[1], After: endpoint})
		s.wantWorld(store, changed)
	}
	for range 2 {
		s.apply(store, deletes(changed[1:]...)...)
		s.wantWorld(store, changed[:1])
	}
}

func (s *suite) claims() {
	store := s.open()
	mine, theirs := claim("endpoint.a", 2), claim("endpoint.b", 2)
	s.apply(store, creates(mine)...)
	err := store.Apply(s.ctx(), creates(theirs), func(int, error) {})
	var claimed *state.ClaimedError
	if !errors.As(err, &claimed) || claimed.Holder != mine.Mark || claimed.Want != theirs {
		s.t.Fatalf("claiming what another holds: %v", err)
	}
	s.apply(store, deletes(theirs)...) // not theirs to release
	s.wantWorld(store, []state.Object{mine})
	s.apply(store, deletes(mine)...)
	s.apply(store, creates(theirs)...)
	s.wantWorld(store, []state.Object{theirs})
}

// answers: what a plugin is asked for is written before it answers, and again with each answer.
func (s *suite) answers() {
	store := s.open()
	pool := state.Pool{Mark: mark("network.front"), Plugin: "count", Stage: state.Begun}
	for _, stage := range []state.Stage{state.Begun, state.Created, state.Made} {
		pool.Stage = stage
		s.apply(store, creates(pool)...)
		s.wantWorld(store, []state.Object{pool})
	}
	s.apply(store, deletes(pool)...)
	s.wantWorld(store, nil)
}

func (s *suite) handover() {
	store := s.open()
	old, renamed := claim("endpoint.a", 2), claim("endpoint.b", 2)
	s.apply(store, creates(old)...)
	for range 2 {
		s.apply(store, state.Op{Action: state.Update, Key: old.Key(), Before: old, After: renamed})
		s.wantWorld(store, []state.Object{renamed})
	}
}

// wholeWaves reads while another handle writes waves of two objects that say the same.
func (s *suite) wholeWaves() {
	writer, reader := s.open(), s.open()
	pair := func(n int) []state.Object {
		a, b := record("a"), record("b")
		a.MTU, b.MTU = n, n
		return []state.Object{a, b}
	}
	s.apply(writer, creates(pair(0)...)...)
	var wg sync.WaitGroup
	defer wg.Wait()
	stop := make(chan struct{})
	defer close(stop)
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			w, err := reader.Snapshot(s.ctx())
			if err != nil {
				s.t.Error(err)
				return
			}
			a, b := w[record("a").Key()], w[record("b").Key()]
			if a == nil || b == nil || a.(state.Network).MTU != b.(state.Network).MTU {
				s.t.Errorf("half a wave is visible: %v and %v", a, b)
				return
			}
		}
	})
	for n := 1; n <= 20; n++ {
		s.apply(writer, creates(pair(n)...)...)
	}
}

func (s *suite) failedWave() {
	store := s.open()
	s.apply(store, creates(claim("endpoint.a", 2))...)
	var told []int
	wave := creates(record("new"), claim("endpoint.b", 3), claim("endpoint.b", 2), record("late"))
	err := store.Apply(s.ctx(), wave, func(i int, err error) {
		if err != nil {
			told = append(told, i)
		}
	})
	if err == nil || len(told) != 1 || told[0] != 2 {
		s.t.Fatalf("the error is %v, told of operations %v; want operation 2 to fail", err, told)
	}
	s.wantWorld(store, []state.Object{claim("endpoint.a", 2)})
}

func (s *suite) reopened() {
	first := s.open()
	s.apply(first, creates(samples()...)...)
	s.wantWorld(s.open(), samples())
	s.apply(s.open(), deletes(samples()[1:]...)...)
	s.wantWorld(first, samples()[:1])
}

func (s *suite) emptied() {
	store := s.open()
	for range 2 {
		s.apply(store, creates(samples()...)...)
		s.apply(store, deletes(samples()...)...)
		s.wantWorld(store, nil)
		s.wantWorld(s.open(), nil)
	}
}

func (s *suite) locks() {
	one, two := s.open(), s.open()
	info := state.LockInfo{Operation: "apply", Who: "me@here", PID: 7, Since: "2001-02-03T04:05:06Z"}
	unlock, err := one.Lock(s.ctx(), info)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, store := range []state.RecordStore{one, two} {
		_, err := store.Lock(s.ctx(), state.LockInfo{Operation: "destroy"})
		var locked *state.LockedError
		if !errors.As(err, &locked) || locked.Holder != info || locked.Path == "" {
			s.t.Fatalf("taking a lock that is held: %v", err)
		}
	}
	s.apply(one, creates(samples()...)...)
	for range 2 { // giving back twice is giving back once
		if err := unlock(); err != nil {
			s.t.Fatal(err)
		}
	}
	again, err := two.Lock(s.ctx(), info)
	if err != nil {
		s.t.Fatalf("taking a lock that was given back: %v", err)
	}
	if err := unlock(); err != nil {
		s.t.Fatal(err)
	}
	if _, err := one.Lock(s.ctx(), info); err == nil {
		s.t.Fatal("giving back an old lock gave back another's")
	}
	if err := again(); err != nil {
		s.t.Fatal(err)
	}
}

// lockRace has many takers; each adds to a number that only the lock protects.
func (s *suite) lockRace() {
	held, total := 0, 0
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 8 {
		store := s.open()
		wg.Go(func() {
			for range 25 {
				unlock, err := store.Lock(s.ctx(), state.LockInfo{Operation: "race"})
				var locked *state.LockedError
				if errors.As(err, &locked) {
					continue
				}
				if err != nil {
					s.t.Error(err)
					return
				}
				mu.Lock()
				held, total = held+1, total+1
				if held != 1 {
					s.t.Errorf("%d hold the lock", held)
				}
				mu.Unlock()
				mu.Lock()
				held--
				mu.Unlock()
				if err := unlock(); err != nil {
					s.t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if total == 0 {
		s.t.Error("nobody got the lock")
	}
}

func (s *suite) cancelled() {
	store := s.open()
	ctx, cancel := context.WithCancel(s.ctx())
	cancel()
	err := store.Apply(ctx, creates(samples()...), func(i int, err error) { s.t.Errorf("operation %d was tried: %v", i, err) })
	if !errors.Is(err, context.Canceled) {
		s.t.Errorf("applying after a cancel: %v", err)
	}
	if _, err := store.Lock(ctx, state.LockInfo{}); !errors.Is(err, context.Canceled) {
		s.t.Errorf("locking after a cancel: %v", err)
	}
	s.wantWorld(store, nil)
}

func (s *suite) wrongPlace() {
	store := s.open()
	ns := state.Namespace{Name: "x", Mark: mark("sandbox.x")}
	if err := store.Apply(s.ctx(), creates(ns), func(int, error) {}); err == nil {
		s.t.Error("a namespace was stored")
	}
	s.wantWorld(store, nil)
}

func (s *suite) many() {
	store := s.open()
	objects := make([]state.Object, 10_000)
	for i := range objects {
		objects[i] = record(fmt.Sprint("n", i))
	}
	s.apply(store, creates(objects...)...)
	s.wantWorld(s.open(), objects)
	s.apply(store, deletes(objects...)...)
	s.wantWorld(s.open(), nil)
}

// apply applies a wave that must succeed, and checks that each op is told of once.
func (s *suite) apply(store state.RecordStore, wave ...state.Op) {
	s.t.Helper()
	told := make([]int, len(wave))
	err := store.Apply(s.ctx(), wave, func(i int, err error) {
		told[i]++
		if err != nil {
			s.t.Errorf("%s %s: %v", wave[i].Action, wave[i].Key, err)
		}
	})
	if err != nil {
		s.t.Fatal(err)
	}
	for i, n := range told {
		if n != 1 {
			s.t.Fatalf("%s %s was told of %d times", wave[i].Action, wave[i].Key, n)
		}
	}
}

func (s *suite) wantWorld(store state.RecordStore, want []state.Object) {
	s.t.Helper()
	got, err := store.Snapshot(s.ctx())
	if err != nil {
		s.t.Fatal(err)
	}
	world := state.World{}
	world.Add(want...)
	opts := cmp.Options{cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}), cmpopts.EquateEmpty()}
	if diff := cmp.Diff(world, got, opts); diff != "" {
		s.t.Fatalf("the store's world differs (-want +got):\n%s", diff)
	}
}

func (s *suite) ctx() context.Context { return s.t.Context() }

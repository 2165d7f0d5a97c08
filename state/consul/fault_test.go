package consul_test

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cnmctl/cnmctl/state"
	"github.com/cnmctl/cnmctl/state/consul"
	"github.com/cnmctl/cnmctl/state/consul/consultest"
)

// proxy stands before a Consul and spoils what meddle says: before it reaches Consul, or
// (after) when Consul has done it and only the answer is missing.
type proxy struct {
	*httptest.Server
	mu     sync.Mutex
	meddle func(r *http.Request) fault
	seen   int
}

type fault int

const (
	none fault = iota
	cutBefore
	cutAfter
	busy
	slow
)

func before(t *testing.T, server *consultest.Server, meddle func(*http.Request) fault) *proxy {
	t.Helper()
	behind, err := url.Parse("http://" + server.HTTP)
	if err != nil {
		t.Fatal(err)
	}
	forward := httputil.NewSingleHostReverseProxy(behind)
	forward.ErrorLog = log.New(io.Discard, "", 0) // cut connections are what it is for
	p := &proxy{meddle: meddle}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.seen++
		f := p.meddle(r)
		p.mu.Unlock()
		switch f {
		case cutBefore:
			panic(http.ErrAbortHandler)
		case cutAfter:
			forward.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		case busy:
			http.Error(w, "No cluster leader", http.StatusInternalServerError)
		case slow:
			time.Sleep(500 * time.Millisecond)
			forward.ServeHTTP(w, r)
		default:
			forward.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(p.Close)
	return p
}

func isWrite(r *http.Request) bool { return r.Method == http.MethodPut && r.URL.Path == "/v1/txn" }

// A change that is cut in the middle is seen in part, never wrongly, and completed by
// whoever applies next.
func TestHalfCommitted(t *testing.T) {
	t.Parallel()
	server := consultest.Start(t, consultest.Options{})
	writes, broken := 0, true
	p := before(t, server, func(r *http.Request) fault {
		if isWrite(r) {
			if writes++; writes > 2 && broken {
				return cutBefore
			}
		}
		return none
	})
	store, witness := open(t, strings.TrimPrefix(p.URL, "http://")), open(t, server.HTTP)
	wave := creates(networks(1000)...)
	done, failed, err := apply(t.Context(), store, wave)
	var unreachable *consul.UnreachableError
	if !errors.As(err, &unreachable) || failed == 0 {
		t.Fatalf("%d done, %d failed: %v", done, failed, err)
	}
	if n := size(t, witness); n != done || n == 0 || n == 1000 {
		t.Fatalf("%d are there, and %d were told of", n, done)
	}
	if now, err := witness.Revision(t.Context()); now != (state.Revision{}) || err != nil {
		t.Errorf("half a change has a revision: %v, %v", now, err)
	}
	p.mu.Lock()
	broken = false
	p.mu.Unlock()
	mustApply(t, store, wave)
	if n := size(t, witness); n != 1000 {
		t.Errorf("%d are there", n)
	}
}

// A transaction whose answer is lost was made or not; both end well, and are told of once.
func TestLostAnswers(t *testing.T) {
	server := consultest.Start(t, consultest.Options{})
	for name, f := range map[string]fault{"done": cutAfter, "not done": cutBefore, "no leader": busy} {
		t.Run(name, func(t *testing.T) {
			n := 0
			p := before(t, server, func(r *http.Request) fault {
				if n++; n%2 == 1 {
					return f // every second request, reads and writes, locks and sessions
				}
				return none
			})
			store := open(t, p.URL, func(o *consul.Options) { o.Path = "lost/" + strings.ReplaceAll(name, " ", "-") })
			unlock, err := store.Lock(t.Context(), state.LockInfo{Operation: "test"})
			check(t, err)
			objects := append(networks(300), claim("endpoint.a", 2))
			mustApply(t, store, creates(objects...))
			if n := size(t, store); n != len(objects) {
				t.Errorf("%d are there", n)
			}
			mustApply(t, store, deletes(objects...))
			if n := size(t, store); n != 0 {
				t.Errorf("%d are left", n)
			}
			if err := unlock(); err != nil {
				t.Error(err)
			}
			if keys, _, err := client(t, server, "").KV().Keys("lost/", "", nil); len(keys) != 0 || err != nil {
				t.Errorf("left behind: %v, %v", keys, err)
			}
		})
	}
}

// Whatever is wrong with Consul, a call ends soon, says so, and has changed nothing; when
// Consul is back, the same store goes on.
func TestUnreachable(t *testing.T) {
	for name, lose := range map[string]func(*consultest.Server){
		"refused": (*consultest.Server).Kill,
		"frozen":  (*consultest.Server).Freeze,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := consultest.Start(t, consultest.Options{Durable: true})
			store := open(t, server.HTTP, impatient)
			mustApply(t, store, creates(network("a")))
			lose(server)
			wantUnreachable(t, store, server.HTTP)
			server.Kill()
			check(t, server.Start())
			if w, err := store.Snapshot(t.Context()); err != nil || len(w) != 1 {
				t.Errorf("afterwards there is %v, %v", w, err)
			}
		})
	}
	t.Run("never spoken to", func(t *testing.T) {
		t.Parallel()
		hole := blackHole(t)
		wantUnreachable(t, open(t, hole, impatient), hole)
	})
}

// impatient is a store that waits no longer for Consul than it does outside of tests.
func impatient(o *consul.Options) { o.Silence = 0 }

// wantUnreachable tries everything; all of it together ends within ten seconds.
func wantUnreachable(t *testing.T, store *consul.Store, address string) {
	t.Helper()
	start := time.Now()
	_, reading := store.Snapshot(t.Context())
	_, locking := store.Lock(t.Context(), state.LockInfo{})
	_, _, writing := apply(t.Context(), store, creates(network("b")))
	for _, err := range []error{reading, locking, writing} {
		var unreachable *consul.UnreachableError
		if !errors.As(err, &unreachable) || !strings.Contains(err.Error(), address) || strings.Contains(err.Error(), "/v1/") {
			t.Errorf("error is %v", err)
		}
	}
	if took := time.Since(start); took > time.Minute {
		t.Errorf("three calls took %s", took)
	}
}

// blackHole is an address that accepts connections and never says anything.
func blackHole(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A Consul that answers slowly is worked with, slowly.
func TestSlowAnswers(t *testing.T) {
	t.Parallel()
	server := consultest.Start(t, consultest.Options{})
	p := before(t, server, func(*http.Request) fault { return slow })
	store := open(t, p.URL)
	unlock, err := store.Lock(t.Context(), state.LockInfo{Operation: "test"})
	check(t, err)
	mustApply(t, store, creates(networks(200)...))
	if n := size(t, store); n != 200 {
		t.Errorf("%d are there", n)
	}
	check(t, unlock())
}

// An interrupt ends a call at once, whatever it waits for.
func TestInterruptedWhileConsulIsSilent(t *testing.T) {
	store := open(t, blackHole(t))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, err := store.Snapshot(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error is %v", err)
	}
	if took := time.Since(start); took > patience/2 {
		t.Errorf("it took %s", took)
	}
}

// The leader of three servers dies while a store is written to through another one.
func TestLeaderLost(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	servers := consultest.Cluster(t, 3, consultest.Options{})
	leader, err := client(t, servers[0], "").Status().Leader()
	check(t, err)
	var other *consultest.Server
	for _, s := range servers {
		if s.IP+":8300" == leader {
			defer s.Kill()
			continue
		}
		other = s
	}
	store := open(t, other.HTTP)
	unlock, err := store.Lock(t.Context(), state.LockInfo{Operation: "test"})
	check(t, err)
	mustApply(t, store, creates(network("a")))
	for _, s := range servers {
		if s.IP+":8300" == leader {
			s.Kill()
		}
	}
	mustApply(t, store, creates(network("b")))
	if n := size(t, store); n != 2 {
		t.Errorf("%d are there", n)
	}
	check(t, unlock())
}

// Two stores without a lock take the same addresses at once: each is one's.
func TestRaceForAddresses(t *testing.T) {
	t.Parallel()
	server := consultest.Start(t, consultest.Options{})
	const addresses = 50
	wins := make(chan int, 2)
	for _, who := range []string{"endpoint.a", "endpoint.b"} {
		store := open(t, server.HTTP)
		go func() {
			won := 0
			for n := range byte(addresses) {
				_, _, err := apply(t.Context(), store, creates(claim(who, n)))
				var claimed *state.ClaimedError
				if err == nil {
					won++
				} else if !errors.As(err, &claimed) {
					t.Error(err)
				}
			}
			wins <- won
		}()
	}
	if a, b := <-wins, <-wins; a+b != addresses || size(t, open(t, server.HTTP)) != addresses {
		t.Errorf("of %d addresses one got %d and the other %d", addresses, a, b)
	}
}

// A Consul that takes less in one transaction than usual gets less.
func TestSmallTransactions(t *testing.T) {
	t.Parallel()
	server := consultest.Start(t, consultest.Options{Config: "limits { txn_max_req_len = 20000, kv_max_value_size = 20000 }"})
	store := open(t, server.HTTP)
	mustApply(t, store, creates(networks(500)...))
	if n := size(t, store); n != 500 {
		t.Errorf("%d are there", n)
	}
	big := network("big")
	big.Labels = map[string]string{"text": strings.Repeat("x", 30_000)}
	if _, failed, err := apply(t.Context(), store, creates(big)); failed != 1 || !strings.Contains(err.Error(), "network.big") {
		t.Errorf("a record that is too big: %d failed, %v", failed, err)
	}
}

func TestManyEndpoints(t *testing.T) {
	t.Parallel()
	server := consultest.Start(t, consultest.Options{})
	// On a busy machine Consul has no time for a session while it writes so much.
	store := open(t, server.HTTP, func(o *consul.Options) { o.SessionTTL = 3 * time.Minute })
	unlock, err := store.Lock(t.Context(), state.LockInfo{Operation: "test"})
	check(t, err)
	count := 10_000
	if testing.Short() {
		count = 1000
	}
	objects := endpoints(count)
	start := time.Now()
	mustApply(t, store, creates(objects...))
	written := time.Since(start)
	if n := size(t, store); n != len(objects) {
		t.Errorf("%d are there", n)
	}
	read := time.Since(start) - written
	mustApply(t, store, deletes(objects...))
	t.Logf("%d endpoints with their claims: written in %s, read in %s, removed in %s", count, written, read, time.Since(start)-written-read)
	check(t, unlock())
}

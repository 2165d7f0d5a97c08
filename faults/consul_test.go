package faults

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cnmctl/cnmctl/cli"
	"github.com/cnmctl/cnmctl/e2e/apart"
	"github.com/cnmctl/cnmctl/state"
	"github.com/cnmctl/cnmctl/state/consul/consultest"
	"github.com/hashicorp/consul/api"
)

// shared is a stack whose records are in Consul, before and after an afternoon's edits.
const shared = `
cnm {
  stack = "shop"
  store "consul" { address = %q }
}
network "front" {
  subnet { cidr = "10.1.0.0/24" }
}
sandbox "web" {}
sandbox "db" {}
endpoint "web" {
  network = network.front
  sandbox = sandbox.web
}
endpoint "db" {
  network = network.front
  sandbox = sandbox.db
}
`

var sharedEdits = strings.NewReplacer(
	`sandbox "db" {}`, `sandbox "db" { hostname = "database" }
sandbox "more" {}
network "back" {
  internal = true
  subnet { cidr = "10.2.0.0/24" }
}
endpoint "more" {
  network = network.back
  sandbox = sandbox.more
}`,
	"  network = network.front\n  sandbox = sandbox.web", "  network = network.back\n  sandbox = sandbox.web",
)

// cluster is a machine with a Consul.
type cluster struct {
	*consultest.Server
	client *api.Client
}

// sharedLife goes through the life of the stack on a machine with a Consul, as life does.
func sharedLife(t *testing.T, each func(t *testing.T, c cluster, s stage)) {
	t.Parallel()
	consultest.Need(t)
	apart.Test(t, func(t *testing.T) {
		c := cluster{Server: consultest.Start(t, consultest.Options{Durable: true})}
		var err error
		if c.client, err = api.NewClient(&api.Config{Address: c.HTTP}); err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprintf(shared, c.HTTP)
		for _, s := range stages(folder(t, text), folder(t, sharedEdits.Replace(text))) {
			s.before = machine(t)
			must(t, 0, s.run...) // the first run ever also switches forwarding on, for good
			must(t, 0, s.back...)
			isLike(t, s.before)
			s.ops = operations(t, s.run)
			s.after = machine(t)
			must(t, 0, s.plan...)
			must(t, 0, s.back...)
			isLike(t, s.before)
			t.Run(s.name, func(t *testing.T) { each(t, c, s) })
			if t.Failed() {
				return
			}
			must(t, 0, s.run...)
		}
		if left := c.records(t); left != "" {
			t.Errorf("left in Consul:\n%s", left)
		}
	})
}

// records is all that Consul holds, but for the revision, which counts what was done.
func (c cluster) records(t *testing.T) string {
	t.Helper()
	pairs, _, err := c.client.KV().List("", nil)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, p := range pairs {
		if !strings.HasSuffix(p.Key, "/revision") {
			fmt.Fprintf(&b, "%s %s\n", p.Key, p.Value)
		}
	}
	return b.String()
}

// TestErrorsWithConsul: whichever operation fails, the records are put back too.
func TestErrorsWithConsul(t *testing.T) {
	sharedLife(t, func(t *testing.T, c cluster, s stage) {
		before := c.records(t)
		s.each(t, 1, func(t *testing.T, n int) {
			f := &fault{at: n, late: n%2 == 0, hit: func(context.Context, state.Op) error { return syscall.ENOBUFS }}
			code, out := cnmctl(f.env(), s.run...)
			if code != 1 || !strings.Contains(out, syscall.ENOBUFS.Error()) {
				t.Errorf("exit code %d\n%s", code, out)
			}
			isLike(t, s.before)
			if now := c.records(t); now != before {
				t.Errorf("the records are not as they were:\n%s", difference(before, now))
			}
		})
	})
}

// TestLockLost: at whichever operation the lock is lost, the run stops at once: it begins
// nothing more, and puts nothing back.
func TestLockLost(t *testing.T) {
	sharedLife(t, func(t *testing.T, c cluster, s stage) {
		s.each(t, 3, func(t *testing.T, n int) {
			f := &fault{at: n, late: true}
			f.hit = func(ctx context.Context, _ state.Op) error {
				if _, err := c.client.KV().Delete("cnm/shop/lock", nil); err != nil {
					return err
				}
				select {
				case <-ctx.Done():
					return nil
				case <-time.After(patience):
					return errors.New("nobody heard of the loss")
				}
			}
			code, out := cnmctl(f.env(), s.run...)
			if code != 1 || !strings.Contains(out, "the lock cnm/shop/lock: it is lost") || strings.Contains(out, "olled back") {
				t.Errorf("exit code %d\n%s", code, out)
			}
			if len(f.seen) != n+1 {
				t.Errorf("after the loss, %d operations were begun", len(f.seen)-n-1)
			}
			s.converges(t)
		})
	})
}

var lockID = regexp.MustCompile(`force-unlock ([0-9a-f-]+)`)

// unlocked breaks the lock that somebody dead holds.
func (s stage) unlocked(t *testing.T) {
	t.Helper()
	code, out := cnmctl(cli.Env{}, s.run...)
	id := lockID.FindStringSubmatch(out)
	if code != 4 || id == nil {
		t.Fatalf("the lock of the dead: exit code %d\n%s", code, out)
	}
	must(t, 0, s.run[0], "force-unlock", "-force", id[1])
}

// TestDeathWithConsul: who dies leaves a lock, which is broken, and then the next run ends
// what was begun.
func TestDeathWithConsul(t *testing.T) {
	sharedLife(t, func(t *testing.T, _ cluster, s stage) {
		s.each(t, 5, func(t *testing.T, n int) {
			if status, out := die.run(t, true, n, s.run); status.Signal() != syscall.SIGKILL {
				t.Fatalf("the process did not die:\n%s", out)
			}
			s.unlocked(t)
			s.converges(t)
		})
	})
}

// onceUnlocked runs as soon as Consul has forgotten the lock of a run that lost it.
func (s stage) onceUnlocked(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(2 * patience); ; time.Sleep(100 * time.Millisecond) {
		code, out := cnmctl(cli.Env{}, s.run...)
		if code == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("exit code %d\n%s", code, out)
		}
	}
}

// soon is how long a run waits for Consul without doubt; after three times as long it gives
// its lock up for lost.
const soon = 5 * time.Second

// TestConsulRestarts: a Consul that comes back soon, with what it held, is waited for. On a
// machine so busy that it does not, the next run ends what was begun.
func TestConsulRestarts(t *testing.T) {
	sharedLife(t, func(t *testing.T, c cluster, s stage) {
		s.each(t, 8, func(t *testing.T, n int) {
			var gone time.Duration
			f := &fault{at: n, hit: func(context.Context, state.Op) error {
				since := time.Now()
				c.Kill()
				err := c.Start()
				gone = time.Since(since)
				return err
			}}
			code, out := cnmctl(f.env(), s.run...)
			if code != 0 && gone < soon {
				t.Errorf("exit code %d\n%s", code, out)
			}
			if code != 0 && gone >= soon {
				s.onceUnlocked(t)
			}
			isLike(t, s.after)
			must(t, 0, s.back...)
			isLike(t, s.before)
		})
	})
}

// TestConsulLosesItsData: the lock is lost with all else, so the run stops; what the kernel
// holds stays held, and the next run says it to Consul again.
func TestConsulLosesItsData(t *testing.T) {
	sharedLife(t, func(t *testing.T, c cluster, s stage) {
		s.each(t, 8, func(t *testing.T, n int) {
			f := &fault{at: n, hit: func(context.Context, state.Op) error { return c.Lose() }}
			code, out := cnmctl(f.env(), s.run...)
			if code != 1 || !strings.Contains(out, "it is lost") {
				t.Errorf("exit code %d\n%s", code, out)
			}
			s.converges(t)
		})
	})
}

// TestConsulDies: when Consul goes in the middle of a run, it ends soon, and the network is
// as it was before. With Consul back, the next run ends what was begun.
func TestConsulDies(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for a Consul that does not come back")
	}
	sharedLife(t, func(t *testing.T, c cluster, s stage) {
		s.each(t, 12, func(t *testing.T, n int) {
			var gone time.Time
			f := &fault{at: n, hit: func(context.Context, state.Op) error {
				c.Kill()
				gone = time.Now()
				return nil
			}}
			code, out := cnmctl(f.env(), s.run...)
			took := time.Since(gone)
			if code != 1 || !strings.Contains(out, "cannot be reached") || took > patience {
				t.Errorf("exit code %d, %s after Consul went\n%s", code, took, out)
			}
			isLike(t, s.before)
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			s.unlocked(t)
			s.converges(t)
		})
	})
}

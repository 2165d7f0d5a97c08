package laws

import (
	"fmt"
	"os"
	"syscall"
	"testing"

	"github.com/cnmctl/cnmctl/applier/appliertest"
	"github.com/cnmctl/cnmctl/cli"
	"github.com/cnmctl/cnmctl/e2e/apart"
	"github.com/cnmctl/cnmctl/state"
	"pgregory.net/rapid"
)

// TestRollback: a run that fails somewhere, on its way from nothing, from one configuration
// to another, or to nothing, leaves the kernel and the files as they were.
func TestRollback(t *testing.T) {
	checks := "-rapid.checks=30"
	if testing.Short() {
		checks = "-rapid.checks=15" // of which rapid runs a fifth in short mode
	}
	apart.Test(t, func(t *testing.T) {
		t.Setenv("TMPDIR", t.TempDir())
		rapid.Check(t, func(t *rapid.T) {
			p := pair{configs().Draw(t, "A").String(), configs().Draw(t, "B").String()}
			t.Logf("A:\n%s\nB:\n%s", p.A, p.B)
			checkRollback(t, p, rapid.IntRange(0, 60).Draw(t, "operation"), maybe(t, "done"))
		})
	}, append([]string{checks, "-rapid.nofailfile"}, given("rapid.")...)...)
}

// forward switches forwarding on, as on a host that has had networks: it stays on when a
// run fails, and shows in what the kernel has on its links.
func forward(t fataler) {
	t.Helper()
	for _, path := range []string{"/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding"} {
		if err := os.WriteFile(path, []byte("1\n"), 0); err != nil {
			t.Fatalf("switching forwarding on: %v", err)
		}
	}
}

// checkRollback lets every run fail at operation n, and then goes on.
func checkRollback(t fataler, p pair, n int, done bool) {
	t.Helper()
	m, end := newMachine(t)
	defer end()
	forward(t)

	nothing := m.listing()
	m.write(p.A)
	m.fails(n, done, nothing, "apply", "-auto-approve")
	m.must(0, "apply", "-auto-approve")
	first := m.listing()
	m.fails(n, done, first, "destroy", "-auto-approve")
	m.must(0, "apply", "-auto-approve")
	m.same("applying A again changes it", first)
	m.write(p.B)
	m.fails(n, done, first, "apply", "-auto-approve")
}

// fails runs a command whose operation n fails, untried or although it was done. Unless
// the command has not so many operations, all is as before then.
func (m *machine) fails(n int, done bool, before string, args ...string) {
	m.Helper()
	count := 0
	hook := func(_ int, op state.Op) error {
		count++
		if count != n+1 {
			return nil
		}
		return fmt.Errorf("a fault at %s: %w", op.Key, syscall.ENOBUFS)
	}
	wrap := func(t state.Target) state.Target {
		if done {
			return &appliertest.Faulty{Target: t, After: hook}
		}
		return &appliertest.Faulty{Target: t, Before: hook}
	}
	code, stdout, stderr := m.try(cli.Env{WrapKernel: wrap, WrapStore: wrap}, args...)
	switch {
	case count <= n && code == 0:
	case count <= n || code != 1:
		m.Fatalf("%v: exit code %d after %d operations\n%s%s", args, code, count, stdout, stderr)
	default:
		m.same(fmt.Sprintf("a failed %s leaves something:\n%s", args[0], stderr), before)
	}
}

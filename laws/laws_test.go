// Package laws holds cnmctl to its promises on a real kernel, over random configurations:
// twice is once, destroying leaves nothing, the way there does not matter, the plan says
// what happens, and a script of it does the same.
package laws

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/cnmctl/cnmctl/e2e/apart"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) {
	apart.Main()
	os.Exit(m.Run())
}

// TestLaws draws pairs of configurations, 100 in all, or four in short mode, on as many
// machines as there is a use for: much of the time passes with waiting for the kernel.
// They are the same each time, so that nobody's work fails by chance; RAPID_SEED draws others.
// What it finds is shrunk and kept, see keep.
func TestLaws(t *testing.T) {
	const machines = 4
	checks := 25
	if testing.Short() {
		checks = 5 // of which rapid runs a fifth in short mode
	}
	for i := range machines {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			t.Parallel()
			flags := []string{fmt.Sprintf("-rapid.checks=%d", checks), "-rapid.nofailfile"}
			if seed, err := strconv.Atoi(os.Getenv("RAPID_SEED")); err == nil && seed != 0 {
				flags = append(flags, fmt.Sprintf("-rapid.seed=%d", seed+1000*i)) // each machine others
			}
			apart.Test(t, drawPairs, append(flags, given("rapid.")...)...)
		})
	}
}

func drawPairs(t *testing.T) {
	var worst pair
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("kept in %s, which TestKept runs from now on", keep(t, worst))
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		p := pair{configs().Draw(t, "A").String(), configs().Draw(t, "B").String()}
		passed := false
		defer func() {
			if !passed {
				worst = p // rapid ends with the smallest pair that fails
			}
		}()
		checkLaws(t, p)
		passed = true
	})
}

// given are the flags of this run whose names begin so.
func given(prefix string) []string {
	var flags []string
	flag.Visit(func(f *flag.Flag) {
		if strings.HasPrefix(f.Name, prefix) {
			flags = append(flags, "-"+f.Name+"="+f.Value.String())
		}
	})
	return flags
}

// pair is a configuration and the one that follows it.
type pair struct{ A, B string }

// newMachine is the throwaway host, with nothing on it, and a folder that ends with the test.
func newMachine(t fataler) (m *machine, done func()) {
	t.Helper()
	dir, err := os.MkdirTemp("", "law")
	if err != nil {
		t.Fatalf("making a folder: %v", err)
	}
	m = &machine{fataler: t, dir: dir}
	m.wipe(false)
	return m, func() { _ = os.RemoveAll(dir) }
}

// checkLaws goes from nothing to A, to B, and back to nothing, with apply and with scripts.
func checkLaws(t fataler, p pair) {
	t.Helper()
	m, done := newMachine(t)
	defer done()

	nothing := m.listing()
	m.write(p.A)
	first := m.apply(nothing)
	m.write(p.B)
	second := m.apply(first)

	m.wipe(true) // and the claims are held, so that they are the same
	m.must(0, "apply", "-auto-approve")
	m.same("B alone is not what A then B is", second)
	m.destroy(second, nothing)

	m.wipe(false)
	m.write(p.A)
	m.script()
	m.same("the script for A does not do what apply does", first)
	m.must(0, "apply", "-auto-approve") // the store knows nothing yet of what the script made
	m.same("writing the records of A changes the kernel", first)
	m.write(p.B)
	m.script()
	m.same("the script from A to B does not do what apply does", second)
	m.must(0, "apply", "-auto-approve")
	m.same("writing the records of B changes the kernel", second)
	m.script("-destroy")
	m.same("the script that destroys B leaves something", nothing)
}

// apply goes from the kernel that was to what the configuration says.
func (m *machine) apply(was string) (is string) {
	m.Helper()
	plan := m.plan()
	m.must(0, "apply", "-auto-approve")
	is = m.listing()
	m.announced(plan, was, is)
	m.must(0, "plan", "-detailed-exitcode")
	return is
}

// destroy goes back to nothing, and leaves no directory behind either.
func (m *machine) destroy(was, nothing string) {
	m.Helper()
	plan := m.plan("-destroy")
	m.must(0, "destroy", "-auto-approve")
	m.same("destroying leaves something", nothing)
	m.announced(plan, was, nothing)
	for _, dir := range []string{"/run/netns", "/etc/netns", "/var/lib/cnmctl"} {
		if left, _ := filepath.Glob(dir + "*"); len(left) > 0 {
			m.Fatalf("destroying leaves %s", left)
		}
	}
}

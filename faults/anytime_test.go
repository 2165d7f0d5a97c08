package faults

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestDeathAnytime kills runs that do whole waves at a time, at any moment: in the middle of
// an operation, too, when a link has no mark yet or a namespace no name.
func TestDeathAnytime(t *testing.T) {
	life(t, func(t *testing.T, s stage) {
		tries := 40
		if testing.Short() {
			tries = 1
		}
		start := time.Now()
		cmd := command(s.run)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		took := time.Since(start)
		must(t, 0, s.back...)
		for range tries {
			killIn(t, s.run, rand.N(took))
			s.converges(t)
		}
	})
}

// killIn kills a run after the time.
func killIn(t *testing.T, run []string, after time.Duration) {
	t.Helper()
	cmd := command(run)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(after)
	_ = cmd.Process.Kill() // it may have ended by itself
	_ = cmd.Wait()
}

package faults

import (
	"strings"
	"testing"
	"time"

	"github.com/cnmctl/cnmctl/e2e/apart"
)

// TestInterrupt: at whichever operation the first interrupt comes, all is as it was before
// the run.
func TestInterrupt(t *testing.T) {
	life(t, func(t *testing.T, s stage) {
		s.each(t, 4, func(t *testing.T, n int) {
			status, out := interrupt.run(t, true, n, s.run)
			if status.ExitStatus() != 130 || !strings.Contains(out, "Interrupt received") || !strings.Contains(out, "Rolled back") {
				t.Errorf("exit code %d\n%s", status.ExitStatus(), out)
			}
			isLike(t, s.before)
		})
	})
}

// TestSecondInterrupt: the second interrupt ends the rollback too, and the next run ends
// what was begun.
func TestSecondInterrupt(t *testing.T) {
	life(t, func(t *testing.T, s stage) {
		s.each(t, 11, func(t *testing.T, n int) {
			if n < len(s.ops)/3 {
				return // too little is done by then to meet a second interrupt on the way back
			}
			status, out := interruptTwice.run(t, true, n, s.run)
			if status.ExitStatus() != 130 || !strings.Contains(out, "Second interrupt") || !strings.Contains(out, "left to be done") {
				t.Errorf("exit code %d\n%s", status.ExitStatus(), out)
			}
			must(t, 2, s.plan...)
			s.converges(t)
		})
	})
}

// TestInterruptOfWhatHangs: a run that cannot stop is stopped soon after the second interrupt.
func TestInterruptOfWhatHangs(t *testing.T) {
	apart.Test(t, func(t *testing.T) {
		first, _ := folders(t)
		before := machine(t)
		start := time.Now()
		status, out := hang.run(t, false, 40, []string{"-chdir=" + first, "apply", "-auto-approve"})
		if took := time.Since(start); status.ExitStatus() != 130 || took > patience {
			t.Errorf("exit code %d after %s\n%s", status.ExitStatus(), took, out)
		}
		must(t, 0, "-chdir="+first, "apply", "-auto-approve")
		must(t, 0, "-chdir="+first, "plan", "-detailed-exitcode")
		must(t, 0, "-chdir="+first, "destroy", "-auto-approve")
		isLike(t, before)
	})
}

// TestInterruptKeeps: with -on-failure=keep, what was done stays, and the next run goes on.
func TestInterruptKeeps(t *testing.T) {
	apart.Test(t, func(t *testing.T) {
		first, _ := folders(t)
		status, out := interrupt.run(t, true, 40, []string{"-chdir=" + first, "apply", "-auto-approve", "-on-failure=keep"})
		if status.ExitStatus() != 130 || !strings.Contains(out, "41 done, 0 failed") {
			t.Errorf("exit code %d\n%s", status.ExitStatus(), out)
		}
		out = must(t, 0, "-chdir="+first, "apply", "-auto-approve")
		if strings.Contains(out, "namespace three-tier-router in the host") {
			t.Errorf("what was kept was made again:\n%s", out)
		}
		must(t, 0, "-chdir="+first, "plan", "-detailed-exitcode")
	})
}

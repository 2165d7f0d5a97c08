package faults

import (
	"syscall"
	"testing"
	"time"

	"github.com/cnmctl/cnmctl/cli"
)

// TestDeathBefore and TestDeathAfter: wherever a run dies, the next plan shows the rest, the
// next run ends what was begun, and then all is as if nobody had died.
func TestDeathBefore(t *testing.T) { life(t, dying(false)) }
func TestDeathAfter(t *testing.T)  { life(t, dying(true)) }

func dying(late bool) func(*testing.T, stage) {
	return func(t *testing.T, s stage) {
		s.each(t, 1, func(t *testing.T, n int) {
			status, out := die.run(t, late, n, s.run)
			if status.Signal() != syscall.SIGKILL {
				t.Fatalf("the process did not die:\n%s", out)
			}
			if late && n == len(s.ops)-1 {
				nothingIsLeft(t, s.plan)
			} else {
				must(t, 2, s.plan...)
			}
			s.converges(t)
		})
	}
}

// nothingIsLeft wants an empty plan, as soon as the kernel has taken apart, in the
// background, the namespaces that the run unmounted.
func nothingIsLeft(t *testing.T, plan []string) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		code, out := cnmctl(cli.Env{}, plan...)
		if code == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("exit code %d\n%s", code, out)
		}
	}
}

package faults

import (
	"errors"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/cnmctl/cnmctl/cli"
	"github.com/cnmctl/cnmctl/state"
)

// TestDeathBefore and TestDeathAfter: wherever a run dies, the next plan shows the rest, the
// next run ends what was begun, and then all is as if nobody had died.
func TestDeathBefore(t *testing.T) { life(t, dying(false)) }
func TestDeathAfter(t *testing.T)  { life(t, dying(true)) }

func dying(late bool) func(*testing.T, stage) {
	return func(t *testing.T, s stage) {
		s.each(t, func(t *testing.T, n int) {
			t.Logf("%s dies, after the operation: %t", s.name, late)
			die(t, late, n, s.run)
			if late && n == s.ops-1 {
				nothingIsLeft(t, s.plan)
			} else {
				must(t, 2, s.plan...)
			}
			must(t, 0, s.run...)
			must(t, 0, s.plan...)
			isLike(t, s.after)
			must(t, 0, s.back...)
			isLike(t, s.before)
		})
	}
}

// nothingIsLeft wants an empty plan, as soon as the kernel has taken apart, in the
// background, the namespaces that the run unmounted.
func nothingIsLeft(t *testing.T, plan []string) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		code, out := cnmctl(cli.Env{}, plan...)
		if code == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("exit code %d\n%s", code, out)
		}
	}
}

// mortal is the first argument of a process that runs cnmctl and dies at an operation.
const mortal = "faults-mortal"

// die runs cnmctl in a process of its own, which has to die at operation n.
func die(t *testing.T, late bool, n int, run []string) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", append([]string{mortal, strconv.FormatBool(late), strconv.Itoa(n)}, run...)...)
	out, err := cmd.CombinedOutput()
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("the process did not die at operation %d: %v\n%s", n, err, out)
	}
}

// mortalMain is the main function of that process.
func mortalMain(args []string) int {
	late, err := strconv.ParseBool(args[0])
	n, err2 := strconv.Atoi(args[1])
	if err := errors.Join(err, err2); err != nil {
		panic(err)
	}
	f := &fault{at: n, late: late, hit: func(state.Op) error {
		return syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}}
	env := alone(f.env())
	env.Stdout, env.Stderr = os.Stdout, os.Stderr
	return cli.Main(append([]string{"cnmctl"}, args[2:]...), env)
}

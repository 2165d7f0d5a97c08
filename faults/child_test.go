package faults

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/cnmctl/cnmctl/cli"
	"github.com/cnmctl/cnmctl/state"
)

// childArg is the first argument of a process that runs cnmctl and does something to itself
// at an operation: dies, or gets interrupts.
const childArg = "faults-child"

// deed is what such a process does to itself.
type deed string

const (
	nothing        deed = "nothing"
	die            deed = "die"
	interrupt      deed = "interrupt"
	interruptTwice deed = "interrupt twice"
	hang           deed = "hang" // ...and does not heed the two interrupts
)

// run runs cnmctl in a process that does the deed at operation n.
func (d deed) run(t *testing.T, late bool, n int, args []string) (syscall.WaitStatus, string) {
	t.Helper()
	cmd := command(args, string(d), strconv.FormatBool(late), strconv.Itoa(n))
	out, err := cmd.CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatalf("starting the process: %v", exit)
	}
	return cmd.ProcessState.Sys().(syscall.WaitStatus), string(out)
}

// command is cnmctl in a process of its own, with what it does to itself, if anything.
func command(args []string, doing ...string) *exec.Cmd {
	if doing == nil {
		doing = []string{string(nothing), "false", "-1"}
	}
	return exec.Command("/proc/self/exe", slices.Concat([]string{childArg}, doing, args)...)
}

// childMain is the main function of that process.
func childMain(args []string) int {
	late, err := strconv.ParseBool(args[1])
	n, err2 := strconv.Atoi(args[2])
	if err := errors.Join(err, err2); err != nil {
		panic(err)
	}
	f := &fault{at: n, late: late}
	f.whole = deed(args[0]) == nothing
	f.hit = func(ctx context.Context, _ state.Op) error { return deed(args[0]).at(ctx, f) }
	env := alone(f.env())
	env.Stdout, env.Stderr = os.Stdout, os.Stderr
	return cli.Main(append([]string{"cnmctl"}, args[3:]...), env)
}

// at does the deed.
func (d deed) at(ctx context.Context, f *fault) error {
	switch d {
	case die:
		return syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case interruptTwice:
		f.hit = func(ctx context.Context, _ state.Op) error { return interrupted(ctx) }
		f.at = len(f.seen) + 1 // the second operation of the rollback
	case hang:
		return errors.Join(interrupted(ctx), syscall.Kill(os.Getpid(), syscall.SIGINT), forever())
	}
	return interrupted(ctx)
}

// interrupted interrupts this process and waits until the operation at hand knows.
func interrupted(ctx context.Context) error {
	if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return nil
	case <-time.After(patience):
		return errors.New("nobody heard of the interrupt")
	}
}

// forever is a system call that does not return.
func forever() error {
	time.Sleep(time.Hour)
	return nil
}

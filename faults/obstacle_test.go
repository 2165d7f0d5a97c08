package faults

import (
	"context"
	"os/exec"
	"strings"
	"testing"

	"github.com/cnmctl/cnmctl/state"
)

// TestInTheWay: something foreign takes a name between the plan and the operation that needs
// it. The run fails, everything is as before, and what is foreign is still there.
func TestInTheWay(t *testing.T) {
	life(t, func(t *testing.T, s stage) {
		for n, op := range s.ops {
			obstruct, clear := obstacle(t, op)
			if obstruct == nil {
				continue
			}
			t.Run(op.Key.String(), func(t *testing.T) {
				f := &fault{at: n, whole: true, hit: func(context.Context, state.Op) error {
					obstruct()
					return nil
				}}
				code, out := cnmctl(f.env(), s.run...)
				if code != 1 || !strings.Contains(out, op.Key.Name) || !strings.Contains(out, "Rolled back") {
					t.Errorf("exit code %d\n%s", code, out)
				}
				clear()
				isLike(t, s.before)
			})
		}
	})
}

// obstacle is how to put something in the way of what the operation makes on the host, and
// how to take it away; nil if there is no way.
func obstacle(t *testing.T, op state.Op) (obstruct, clear func()) {
	if op.Action != state.Create || op.Key.Place != state.Host {
		return nil, nil
	}
	name := op.Key.Name
	run := func(command string) func() {
		return func() {
			t.Helper()
			if out, err := exec.Command("sh", "-ec", command, "sh", name).CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", command, err, out)
			}
		}
	}
	switch op.Key.Kind {
	case state.KindLink:
		return run("ip link add $1 type bridge"), run("ip link del $1")
	case state.KindNamespace:
		// ip makes the directory when there is none, and a mount of it.
		return run("ip netns add $1"), run("ip netns del $1; test -n \"$(ls /run/netns)\" || { umount /run/netns; rmdir /run/netns; }")
	}
	return nil, nil
}

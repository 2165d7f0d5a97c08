package faults

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/cnmctl/cnmctl/state"
)

// TestErrorBefore and TestErrorAfter: whichever operation fails, untried or although it was
// done, all is as it was before the run.
func TestErrorBefore(t *testing.T) { life(t, failing(false)) }
func TestErrorAfter(t *testing.T)  { life(t, failing(true)) }

// errnos are what the kernel and the file system say when they have not enough of
// something, or will not.
var errnos = []syscall.Errno{syscall.ENOBUFS, syscall.ENOMEM, syscall.ENOSPC, syscall.EPERM, syscall.EBUSY}

func failing(late bool) func(*testing.T, stage) {
	return func(t *testing.T, s stage) {
		s.each(t, 1, func(t *testing.T, n int) {
			errno := errnos[n%len(errnos)]
			f := &fault{at: n, late: late, hit: func(_ context.Context, op state.Op) error {
				return fmt.Errorf("a fault at %s: %w", op.Key, errno)
			}}
			code, out := cnmctl(f.env(), s.run...)
			undone := strings.Contains(out, "Rolled back") || n == 0 && strings.Contains(out, "Nothing was changed")
			if code != 1 || !undone || !strings.Contains(out, errno.Error()) {
				t.Errorf("exit code %d\n%s", code, out)
			}
			isLike(t, s.before)
		})
	}
}

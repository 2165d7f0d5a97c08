package cli

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestApprove(t *testing.T) {
	for input, want := range map[string]bool{
		"yes\n": true, " yes \n": true, "yes": true,
		"y\n": false, "YES\n": false, "no\n": false, "\n": false,
	} {
		var out strings.Builder
		got, err := approve(t.Context(), strings.NewReader(input), &out, askApply)
		if err != nil || got != want {
			t.Errorf("%q: %t, %v", input, got, err)
		}
		if !strings.Contains(out.String(), "Do you want to perform these actions?") ||
			!strings.Contains(out.String(), "Only 'yes' will be accepted to approve.") {
			t.Errorf("the question is %q", out.String())
		}
	}
}

func TestApproveWithoutInput(t *testing.T) {
	if _, err := approve(t.Context(), strings.NewReader(""), io.Discard, askApply); err == nil ||
		!strings.Contains(err.Error(), "-auto-approve") {
		t.Errorf("error is %v", err)
	}
}

func TestApproveIsGivenUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	never, _ := io.Pipe()
	if _, err := approve(ctx, never, io.Discard, askApply); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
	if got := exitCode(context.Canceled); got != codeInterrupted {
		t.Errorf("the exit code is %d", got)
	}
}

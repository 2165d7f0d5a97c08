package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// question is what is asked before anything is changed, and how not to be asked.
type question struct{ ask, explain, remedy string }

const giveApproval = "give -auto-approve, or apply a saved plan"

var (
	askApply = question{
		ask: "Do you want to perform these actions?",
		explain: "cnmctl will perform the actions described above.\n" +
			"  Only 'yes' will be accepted to approve.",
		remedy: giveApproval,
	}
	askDestroy = question{
		ask: "Do you really want to destroy all of this?",
		explain: "cnmctl will destroy what is shown above.\n" +
			"  There is no undo. Only 'yes' will be accepted to approve.",
		remedy: giveApproval,
	}
	askRemoveHost = question{
		ask: "Do you really want to remove this host?",
		explain: "cnmctl will free what is shown above, for others to take.\n" +
			"  There is no undo. Only 'yes' will be accepted to approve.",
		remedy: "give -auto-approve",
	}
	askUnlock = question{
		ask: "Do you really want to break the lock?",
		explain: "If its holder is still at work, two runs may get into each other's way.\n" +
			"  Only 'yes' will be accepted to approve.",
		remedy: "give -force",
	}
)

// approve asks the question and reports whether the answer is yes. It is given up when
// ctx is cancelled: a terminal's read cannot be, so the reader is left behind.
func approve(ctx context.Context, in io.Reader, out io.Writer, q question) (bool, error) {
	fmt.Fprintf(out, "\n%s\n  %s\n\n  Enter a value: ", q.ask, q.explain)
	answer, err := readLine(ctx, bufio.NewReader(in))
	fmt.Fprintln(out)
	switch {
	case errors.Is(err, io.EOF) && answer == "":
		return false, errors.New("asking for approval: there is no input to read an answer from; " + q.remedy)
	case err != nil && !errors.Is(err, io.EOF):
		return false, fmt.Errorf("asking for approval: %w", err)
	}
	return strings.TrimSpace(answer) == "yes", nil
}

// readLine reads a line, or until ctx is cancelled.
func readLine(ctx context.Context, in *bufio.Reader) (string, error) {
	type result struct {
		line string
		err  error
	}
	read := make(chan result, 1)
	go func() {
		line, err := in.ReadString('\n')
		read <- result{line, err}
	}()
	select {
	case r := <-read:
		return r.line, r.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

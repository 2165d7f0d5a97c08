package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// program is a command that runs beside a script and waits for an answer.
type program struct {
	cmd *exec.Cmd
	out *output
}

// output may be read while it is written.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func held(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) >= 1, "held CMD...")
	cmd, out := exec.Command(args[0], args[1:]...), &output{}
	cmd.Dir, cmd.Stdout, cmd.Stderr = ts.MkAbs("."), out, out
	for _, name := range []string{"CONSUL_HTTP_ADDR", "CONSUL_HTTP_TOKEN"} {
		cmd.Env = append(cmd.Environ(), name+"="+ts.Getenv(name))
	}
	answer, err := cmd.StdinPipe() // nobody ever answers
	ts.Check(err)
	ts.Check(cmd.Start())
	ts.Defer(func() {
		answer.Close()
		_ = cmd.Process.Kill() // it may have ended
	})
	remembered(ts).held = &program{cmd, out}
	for deadline := time.Now().Add(patience); !strings.Contains(out.String(), "Enter a value"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			ts.Fatalf("%s does not ask:\n%s", strings.Join(args, " "), out)
		}
	}
}

func ended(ts *testscript.TestScript, neg bool, args []string) {
	p := remembered(ts).held
	usage(ts, neg, len(args) == 2 && p != nil, "ended CODE TEXT, after held")
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	start := time.Now()
	watchdog := time.AfterFunc(patience, func() { _ = p.cmd.Process.Kill() })
	code, err := exitCode(p.cmd.Wait())
	watchdog.Stop()
	ts.Check(err)
	if code != want || !strings.Contains(p.out.String(), args[1]) {
		ts.Fatalf("after %s it ended with %d, saying:\n%s", time.Since(start), code, p.out)
	}
}

func killed(ts *testscript.TestScript, neg bool, args []string) {
	p := remembered(ts).held
	usage(ts, neg, len(args) == 0 && p != nil, "killed, after held")
	ts.Check(p.cmd.Process.Signal(os.Kill))
	_ = p.cmd.Wait() // it was killed
}

func within(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, false, len(args) >= 2, "within SECONDS CMD...")
	limit, err := time.ParseDuration(args[0] + "s")
	ts.Check(err)
	start := time.Now()
	err = ts.Exec(args[1], args[2:]...)
	if took := time.Since(start); took > 6*limit {
		ts.Fatalf("%s took %s", strings.Join(args[1:], " "), took)
	}
	if (err != nil) != neg {
		ts.Fatalf("%s: %v", strings.Join(args[1:], " "), err)
	}
}

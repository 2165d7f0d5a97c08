package faults

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/cnmctl/cnmctl/cli"
	"github.com/cnmctl/cnmctl/e2e/apart"
	"github.com/rogpeppe/go-internal/diff"
)

// cnmctl runs a command in this process and returns its exit code and output.
func cnmctl(env cli.Env, args ...string) (int, string) {
	var out bytes.Buffer
	env.Stdout, env.Stderr = &out, &out
	code := cli.Main(append([]string{"cnmctl"}, args...), alone(env))
	return code, out.String()
}

// alone lets nothing of the tester's environment in.
func alone(env cli.Env) cli.Env {
	env.Stdin, env.Getenv = strings.NewReader(""), getenv
	env.ConsulSilence = patience / 2
	env.Environ = func() []string { return nil }
	return env
}

func getenv(name string) string {
	if name == "CNMCTL_IN_AUTOMATION" {
		return "1"
	}
	return ""
}

// must runs a command that has to end with the code.
func must(t *testing.T, want int, args ...string) string {
	t.Helper()
	code, out := cnmctl(cli.Env{}, args...)
	if code != want {
		t.Fatalf("cnmctl %s: exit code %d, want %d\n%s", strings.Join(args, " "), code, want, out)
	}
	return out
}

// directories are those with files of cnmctl's.
var directories = []string{"/etc/netns", "/var/lib/cnmctl"}

// machine is all that the kernel and the local store hold, as text.
func machine(t *testing.T) string {
	t.Helper()
	text, err := apart.Look(directories...)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// patience is for what happens at once on a machine that has nothing else to do.
const patience = time.Minute

// isLike fails unless the machine is as it was once. It waits: the kernel takes namespaces apart in the background.
func isLike(t *testing.T, want string) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		same, err := apart.Is(want, directories...)
		if err != nil {
			t.Fatal(err)
		}
		if same {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the machine is not as it has to be:\n%s", difference(want, machine(t)))
		}
	}
}

// difference shows the lines that differ.
func difference(want, now string) string {
	const most = 40
	var lines []string
	for line := range strings.Lines(string(diff.Diff("want", []byte(want), "now", []byte(now)))) {
		if line[0] != ' ' {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[:min(len(lines), most)], "")
}

package laws

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/cnmctl/cnmctl/cli"
)

// wipe makes the throwaway host new again, whatever a failed run left.
func wipe(t fataler, keepStore bool) {
	t.Helper()
	for _, path := range glob("/run/netns/*") {
		_ = syscall.Unmount(path, syscall.MNT_DETACH)
		_ = os.Remove(path)
	}
	for _, path := range glob("/sys/class/net/*") {
		if name := filepath.Base(path); name != "lo" {
			_ = exec.Command("ip", "link", "del", name).Run() // its peer may have taken it along
		}
	}
	witness(t, "nft", "flush", "ruleset")
	dirs := []string{"/run/netns", "/etc/netns"}
	if !keepStore {
		dirs = append(dirs, "/var/lib/cnmctl")
	}
	_ = syscall.Unmount("/run/netns", syscall.MNT_DETACH)
	for _, dir := range dirs {
		if err := os.RemoveAll(dir); err != nil {
			t.Fatalf("wiping the throwaway host: %v", err)
		}
	}
}

func glob(pattern string) []string {
	found, _ := filepath.Glob(pattern)
	return found
}

// fataler is what *testing.T and *rapid.T have in common.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
	Logf(format string, args ...any)
}

// folder writes a configuration to a folder of its own.
func folder(t fataler, hcl string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "law")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "main.hcl"), []byte(hcl), 0o644)
	}
	if err != nil {
		t.Fatalf("writing the configuration: %v", err)
	}
	return dir
}

// cnmctl runs a command in this process and returns its exit code and output.
func cnmctl(env cli.Env, args ...string) (int, string) {
	var out bytes.Buffer
	env.Stdin, env.Stdout, env.Stderr = strings.NewReader(""), &out, &out
	if env.Getenv == nil {
		env.Getenv = getenv
	}
	code := cli.Main(append([]string{"cnmctl"}, args...), env)
	return code, out.String()
}

// getenv lets nothing of the tester's environment in.
func getenv(name string) string {
	if name == "CNMCTL_IN_AUTOMATION" {
		return "1"
	}
	return ""
}

// must runs a command that has to end with the code.
func must(t fataler, want int, args ...string) string {
	t.Helper()
	code, out := cnmctl(cli.Env{}, args...)
	if code != want {
		t.Fatalf("cnmctl %s: exit code %d, want %d\n%s", strings.Join(args, " "), code, want, out)
	}
	return out
}

// same compares two listings.
func same(t fataler, what, want, got string) {
	t.Helper()
	if want != got {
		t.Fatalf("%s:\n%s", what, difference(want, got))
	}
}

// difference shows the lines that only one of two listings has.
func difference(want, got string) string {
	var b strings.Builder
	have := count(got)
	for line := range strings.Lines(want) {
		if have[line]--; have[line] < 0 {
			fmt.Fprintf(&b, "- %s", line)
		}
	}
	need := count(want)
	for line := range strings.Lines(got) {
		if need[line]--; need[line] < 0 {
			fmt.Fprintf(&b, "+ %s", line)
		}
	}
	return b.String()
}

func count(text string) map[string]int {
	lines := map[string]int{}
	for line := range strings.Lines(text) {
		lines[line]++
	}
	return lines
}

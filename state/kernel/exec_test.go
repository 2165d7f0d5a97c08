package kernel

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/cnmctl/cnmctl/state"
)

// execEnv has TestMain replace the process by the program that TestExec asks for.
const execEnv = "KERNEL_TEST_EXEC"

func execInstead() {
	place, argv, _ := strings.Cut(os.Getenv(execEnv), " ")
	k, err := Open(Config{Stack: stack})
	if err == nil {
		err = k.Exec(state.Place(place), strings.Split(argv, " "), os.Environ())
	}
	fmt.Println(err)
	os.Exit(1)
}

func TestExec(t *testing.T) {
	b := newBench(t)
	b.cable()
	hosts := file("x", "hosts", "192.0.2.7 seven\n")
	odd := file("x", "no-such-file-in-etc", "")
	b.apply(create(hosts, odd)...)
	run := func(place, argv string) (string, error) {
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = append(os.Environ(), execEnv+"="+place+" "+argv)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	for _, c := range []struct{ place, argv, want string }{
		{"ns/x", "cat /etc/hosts", "192.0.2.7 seven"},
		{"ns/x", "ip -o link show eth0", "eth0"},
		{"ns/x", "ls /sys/class/net", "eth0\nlo"},
		{"host", "ip -o link show v0", "v0"},
		{"ns/none", "true", "entering namespace none"},
		{"ns/x", "no-such-program", "running no-such-program: executable file not found in $PATH"},
	} {
		if out, _ := run(c.place, c.argv); !strings.Contains(out, c.want) {
			t.Errorf("%s in %s: %s", c.argv, c.place, out)
		}
	}
	_, err := run("ns/x", "sh -c exit\t7")
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 7 {
		t.Errorf("the program's exit code: %v", err)
	}
	if out := b.Sh("cat /etc/hosts; cat /proc/self/mountinfo"); strings.Contains(out, "seven") || strings.Contains(out, "/etc/hosts") {
		t.Errorf("mounts have escaped:\n%s", out)
	}
	b.apply(remove(hosts, odd)...)
}

func TestProbe(t *testing.T) {
	b := newBench(t)
	all := []state.Feature{state.FeatureBridge, state.FeatureVeth, state.FeatureNftables, state.FeatureNAT}
	if err := b.k.Probe(t.Context(), all); err != nil {
		t.Error(err)
	}
	if err := b.k.Probe(t.Context(), []state.Feature{"sorcery"}); err == nil {
		t.Error("a feature that nobody has")
	}
	err := &MissingError{all[:2]}
	if err.Error() != "this kernel lacks bridge (enable CONFIG_BRIDGE, or load its module), veth (enable CONFIG_VETH, or load its module)" {
		t.Error(err)
	}
}

package apart

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// testEnv names the test that a child process is for.
const testEnv = "CNMCTL_APART_TEST"

// inside is the test that this process is for, "" for the one that starts them.
var inside string

// Main has to be called first by the TestMain of a package that uses Test.
func Main() {
	if inside = os.Getenv(testEnv); inside == "" {
		// Machines wait for the kernel, which takes namespaces down one after another, more
		// than they compute. A -test.parallel on the command line is parsed later, and wins.
		_ = flag.Set("test.parallel", strconv.Itoa(3*runtime.GOMAXPROCS(0)))
		return
	}
	_ = os.Unsetenv(testEnv) // it is not for what the test starts
	if err := Settle(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// Test runs the body of a test on a machine of its own: it starts the test program once
// more, for this test alone, and only there calls body. Flags are the test program's own.
func Test(t *testing.T, body func(t *testing.T), flags ...string) {
	t.Helper()
	if inside == t.Name() {
		body(t)
		return
	}
	if os.Getenv(testEnv) != "" {
		t.Fatal("the TestMain of this package has to call apart.Main")
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root, to make network namespaces")
	}
	cmd := Command("/proc/self/exe", append(testFlags(t), flags...)...)
	cmd.Env = append(os.Environ(), testEnv+"="+t.Name())
	out, err := cmd.CombinedOutput()
	switch {
	case err != nil:
		t.Errorf("%v\n%s", err, out)
	case bytes.Contains(out, []byte("--- SKIP")):
		t.Skip(skipReason(string(out)))
	case bytes.Contains(out, []byte("no tests to run")):
		t.Errorf("the child did not run the test:\n%s", out)
	default:
		t.Logf("%s", out)
	}
}

func testFlags(t *testing.T) []string {
	var pattern []string
	for name := range strings.SplitSeq(t.Name(), "/") {
		pattern = append(pattern, "^"+regexp.QuoteMeta(name)+"$")
	}
	flags := []string{"-test.run=" + strings.Join(pattern, "/"), fmt.Sprintf("-test.v=%t", testing.Verbose()),
		fmt.Sprintf("-test.short=%t", testing.Short())}
	if deadline, ok := t.Deadline(); ok {
		flags = append(flags, "-test.timeout="+time.Until(deadline).String())
	}
	return flags
}

// skipReason is what the child said when it skipped.
func skipReason(out string) string {
	for line := range strings.Lines(out) {
		if strings.Contains(line, "> skip ") || strings.Contains(line, ".go:") {
			return strings.TrimSpace(line)
		}
	}
	return "skipped"
}

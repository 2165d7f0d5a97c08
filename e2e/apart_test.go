package e2e

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cnmctl/cnmctl/e2e/apart"
)

// scriptEnv tells a child process which script it is for.
const scriptEnv = "CNMCTL_E2E_SCRIPT"

// runApart runs one script in a child on a machine of its own.
func runApart(t *testing.T, script string) {
	args := []string{"-test.run=^TestScripts$", "-test.v=" + fmt.Sprint(testing.Verbose())}
	if testing.Short() {
		args = append(args, "-test.short")
	}
	if deadline, ok := t.Deadline(); ok {
		args = append(args, "-test.timeout="+time.Until(deadline).String())
	}
	cmd := apart.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), scriptEnv+"="+script)
	out, err := cmd.CombinedOutput()
	switch {
	case err != nil:
		t.Errorf("%v\n%s", err, out)
	case bytes.Contains(out, []byte("--- SKIP")):
		t.Skip(skipReason(string(out)))
	default:
		t.Logf("%s", out)
	}
}

// skipReason is what the child's script said when it was skipped.
func skipReason(out string) string {
	for line := range strings.Lines(out) {
		if strings.Contains(line, "> skip ") || strings.Contains(line, "testscript.go") {
			return strings.TrimSpace(line)
		}
	}
	return "skipped"
}

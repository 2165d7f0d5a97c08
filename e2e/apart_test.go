package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// scriptEnv tells a child process which script it is for.
const scriptEnv = "CNMCTL_E2E_SCRIPT"

// runApart runs one script in a child with namespaces of its own. The process namespace
// sees to it that nothing which a script started outlives it.
func runApart(t *testing.T, script string) {
	args := []string{"-test.run=^TestScripts$", "-test.v=" + fmt.Sprint(testing.Verbose())}
	if testing.Short() {
		args = append(args, "-test.short")
	}
	if deadline, ok := t.Deadline(); ok {
		args = append(args, "-test.timeout="+time.Until(deadline).String())
	}
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), scriptEnv+"="+script)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID,
		Pdeathsig:  syscall.SIGKILL,
	}
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

// settle makes the child's namespaces a machine of its own: its mounts are nobody else's,
// /run and /var/lib are empty, what is written to /etc stays in memory, /sys and /proc show
// what belongs to the child, and lo is up.
func settle() error {
	type mount struct {
		source, target, fstype string
		flags                  uintptr
		data                   string
	}
	const private = syscall.MS_REC | syscall.MS_PRIVATE
	for _, m := range []mount{
		{"", "/", "", private, ""},
		{"proc", "/proc", "proc", 0, ""},
		{"sysfs", "/sys", "sysfs", 0, ""},
		{"tmpfs", "/run", "tmpfs", 0, ""},
		{"tmpfs", "/var/lib", "tmpfs", 0, ""},
	} {
		if err := syscall.Mount(m.source, m.target, m.fstype, m.flags, m.data); err != nil {
			return fmt.Errorf("mounting %s: %w", m.target, err)
		}
	}
	if err := privateEtc(); err != nil {
		return err
	}
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		return fmt.Errorf("bringing lo up: %w: %s", err, out)
	}
	return nil
}

// privateEtc lays a copy of /etc over the real one: an overlay, or where the file system
// cannot be the lower layer of one, a copy in memory.
func privateEtc() error {
	for _, dir := range []string{"/var/lib/etc/upper", "/var/lib/etc/work", "/var/lib/etc/copy"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	err := syscall.Mount("overlay", "/etc", "overlay", 0, "lowerdir=/etc,upperdir=/var/lib/etc/upper,workdir=/var/lib/etc/work")
	if err == nil {
		return nil
	}
	copied := os.CopyFS("/var/lib/etc/copy", os.DirFS("/etc"))
	if copied != nil && !errors.Is(copied, fs.ErrPermission) {
		return fmt.Errorf("copying /etc: %w (no overlay either: %w)", copied, err)
	}
	return syscall.Mount("/var/lib/etc/copy", "/etc", "", syscall.MS_BIND, "")
}

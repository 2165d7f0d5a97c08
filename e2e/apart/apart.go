// Package apart gives a child process a machine of its own: network, mount and process
// namespaces in which it can do as it likes, and which are gone when it ends.
package apart

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// Command is exec.Command for a child that is in namespaces of its own from its first
// instruction. The process namespace sees to it that nothing which the child started
// outlives it. The child has to call Settle before anything else.
func Command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID,
		Pdeathsig:  syscall.SIGKILL,
	}
	return cmd
}

// Settle furnishes the machine: its mounts are nobody else's, /run and /var/lib are empty,
// what is written to /etc stays in memory and has no files of namespaces at first, /sys and
// /proc show what belongs to the child, lo is up, and nothing is forwarded.
func Settle() error {
	if os.Getpid() != 1 {
		return fmt.Errorf("settling down: this process is not in namespaces of its own")
	}
	const private = syscall.MS_REC | syscall.MS_PRIVATE
	for _, m := range []struct {
		source, target, fstype string
		flags                  uintptr
	}{
		{"", "/", "", private},
		{"proc", "/proc", "proc", 0},
		{"sysfs", "/sys", "sysfs", 0},
		{"tmpfs", "/run", "tmpfs", 0},
		{"tmpfs", "/var/lib", "tmpfs", 0},
	} {
		if err := syscall.Mount(m.source, m.target, m.fstype, m.flags, ""); err != nil {
			return fmt.Errorf("mounting %s: %w", m.target, err)
		}
	}
	if err := privateEtc(); err != nil {
		return err
	}
	if err := os.RemoveAll("/etc/netns"); err != nil { // of the machine outside, in our copy
		return err
	}
	// A new namespace has the forwarding of the machine outside.
	for _, name := range []string{"ipv4/ip_forward", "ipv6/conf/all/forwarding"} {
		if err := os.WriteFile("/proc/sys/net/"+name, []byte("0"), 0o644); err != nil {
			return fmt.Errorf("switching forwarding off: %w", err)
		}
	}
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		return fmt.Errorf("bringing lo up: %w: %s", err, out)
	}
	return nil
}

// privateEtc lays a copy of /etc over the real one: an overlay, or where the file system
// cannot be the lower layer of one, a copy in memory.
func privateEtc() error {
	const upper, work, dup = "/var/lib/etc/upper", "/var/lib/etc/work", "/var/lib/etc/copy"
	for _, dir := range []string{upper, work, dup} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	options := "lowerdir=/etc,upperdir=" + upper + ",workdir=" + work
	if syscall.Mount("overlay", "/etc", "overlay", 0, options) == nil {
		return nil
	}
	if out, err := exec.Command("cp", "-a", "/etc/.", dup).CombinedOutput(); err != nil {
		return fmt.Errorf("copying /etc: %w: %s", err, out)
	}
	return syscall.Mount(dup, "/etc", "", syscall.MS_BIND, "")
}

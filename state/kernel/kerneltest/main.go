package kerneltest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// insideVar tells the test binary that it is inside a throwaway machine.
const insideVar = "CNMCTL_KERNELTEST_INSIDE"

// Missing says why there can be no throwaway machine, "" if there can.
func Missing() string {
	if os.Geteuid() != 0 {
		return "needs root: network and mount namespaces are made and entered"
	}
	return ""
}

// Main runs the tests of a package inside a throwaway machine: it starts the test binary
// once more in new namespaces. Without root the tests run where they are, and NewHost
// skips those that need a host.
func Main(m *testing.M) {
	if os.Getenv(insideVar) != "" {
		if err := furnish(); err != nil {
			fmt.Fprintln(os.Stderr, "preparing a machine for tests:", err)
			os.Exit(2)
		}
		os.Exit(m.Run())
	}
	if Missing() != "" {
		os.Exit(m.Run())
	}
	os.Exit(again())
}

// again runs the test binary in new namespaces and returns its exit code.
func again() int {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), insideVar+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS,
		Pdeathsig:  syscall.SIGKILL,
	}
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit) && exit.ExitCode() >= 0:
		return exit.ExitCode()
	}
	fmt.Fprintln(os.Stderr, "running the tests in a throwaway machine:", err)
	return 2
}

// furnish makes the mounts of the calling thread's new mount namespace, and brings lo up.
func furnish() error {
	if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
		return &os.PathError{Op: "mount", Path: "/", Err: err}
	}
	if err := unix.Mount("tmpfs", "/run", "tmpfs", 0, "mode=755"); err != nil {
		return &os.PathError{Op: "mount", Path: "/run", Err: err}
	}
	if err := overlayEtc(); err != nil {
		return err
	}
	// A new sysfs shows the new namespace's devices; without it tests still work.
	_ = unix.Mount("sysfs", "/sys", "sysfs", 0, "")
	return loUp()
}

// overlayEtc lets /etc be written without the machine's own /etc being touched.
func overlayEtc() error {
	upper, work := "/run/.kerneltest/etc", "/run/.kerneltest/work"
	for _, dir := range []string{upper, work} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	options := "lowerdir=/etc,upperdir=" + upper + ",workdir=" + work
	if err := unix.Mount("overlay", "/etc", "overlay", 0, options); err == nil {
		return nil
	}
	// A kernel without overlayfs: a copy does as well.
	if err := os.CopyFS("/run/.kerneltest/copy", os.DirFS("/etc")); err != nil {
		return err
	}
	if err := unix.Mount("/run/.kerneltest/copy", "/etc", "", unix.MS_BIND, ""); err != nil {
		return &os.PathError{Op: "mount", Path: "/etc", Err: err}
	}
	return nil
}

// loUp brings lo up in the namespace of the calling thread.
func loUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	req, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	req.SetUint16(unix.IFF_UP)
	return os.NewSyscallError("ioctl", unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, req))
}

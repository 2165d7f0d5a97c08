package kernel

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/cnmctl/cnmctl/state"
	"golang.org/x/sys/unix"
)

// ErrNoCommand says that there is no command of a name that Exec was given.
var ErrNoCommand = exec.ErrNotFound

// NotRunError is why a program that Exec was given cannot be run, once in its place.
type NotRunError struct {
	Program string
	Err     error
}

func (e *NotRunError) Error() string { return "running " + e.Program + ": " + e.Err.Error() }
func (e *NotRunError) Unwrap() error { return e.Err }

// Exec replaces the process by the program argv, in the place: a namespace with its files
// laid over /etc and a /sys of its own, as `ip netns exec` does it, or the host as it is.
// It returns only if that fails.
func (k *Kernel) Exec(p state.Place, argv, env []string) error {
	if len(argv) == 0 {
		return errors.New("running a program: none is given")
	}
	runtime.LockOSThread() // the thread that calls execve becomes the process
	if ns, ok := p.Netns(); ok {
		if err := k.visit(p); err != nil {
			return fmt.Errorf("entering %s: %w", p, err)
		}
		if err := k.ownMounts(ns); err != nil {
			return fmt.Errorf("entering %s: %w", p, err)
		}
	}
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return &NotRunError{argv[0], errors.Unwrap(err)}
	}
	err = unix.Exec(path, argv, env)
	if errors.Is(err, unix.ENOEXEC) { // a script that does not say whose: the shell's, as with execvp(3)
		err = unix.Exec("/bin/sh", append([]string{"sh", path}, argv[1:]...), env)
	}
	return &NotRunError{path, err}
}

// ownMounts gives the calling thread mounts of its own, which die with the program.
func (k *Kernel) ownMounts(ns string) error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return os.NewSyscallError("unshare", err)
	}
	// Nothing that is mounted here may reach the host; what the host mounts still comes in.
	if err := unix.Mount("", "/", "none", unix.MS_SLAVE|unix.MS_REC, ""); err != nil {
		return &os.PathError{Op: "mount", Path: "/", Err: err}
	}
	if err := mountSys(ns); err != nil {
		return err
	}
	if !state.Named(ns) {
		return nil
	}
	entries, err := os.ReadDir(k.etcDirOf(ns))
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	for _, e := range entries {
		if isTemp(e.Name()) {
			continue
		}
		from, to := filepath.Join(k.etcDirOf(ns), e.Name()), filepath.Join(filepath.Dir(k.etcDir), e.Name())
		err := unix.Mount(from, to, "none", unix.MS_BIND, "")
		if err == unix.ENOENT {
			continue // there is nothing to lay it over
		}
		if err != nil {
			return &os.PathError{Op: "mount", Path: to, Err: err}
		}
	}
	return nil
}

// mountSys mounts a /sys that shows the namespace's own devices (/sys/class/net).
func mountSys(ns string) error {
	var flags uintptr
	var st unix.Statfs_t
	if unix.Statfs("/sys", &st) == nil && st.Flags&unix.ST_RDONLY != 0 {
		flags = unix.MS_RDONLY
	}
	if err := unix.Unmount("/sys", unix.MNT_DETACH); err != nil && err != unix.EINVAL {
		return &os.PathError{Op: "unmount", Path: "/sys", Err: err}
	}
	if err := unix.Mount(ns, "/sys", "sysfs", flags, ""); err != nil {
		return &os.PathError{Op: "mount", Path: "/sys", Err: err}
	}
	return nil
}

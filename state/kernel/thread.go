package kernel

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// threadNetns is the namespace of the calling thread. /proc/self is the main thread's,
// which is anybody's.
const threadNetns = "/proc/thread-self/ns/net"

// excursion runs fn on a thread that may change its network namespace, and brings the
// thread back. A thread that cannot come back is never unlocked, so that the runtime ends
// it with its goroutine instead of giving it to somebody else.
func excursion(fn func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		home, err := openNetns(threadNetns)
		if err != nil {
			runtime.UnlockOSThread()
			result <- fmt.Errorf("opening the thread's own network namespace: %w", err)
			return
		}
		err = fn()
		if unix.Setns(home, unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread()
		}
		unix.Close(home)
		result <- err
	}()
	return <-result
}

// enter moves the calling thread, which must be on an excursion.
func enter(nsfd int) error {
	return os.NewSyscallError("setns", unix.Setns(nsfd, unix.CLONE_NEWNET))
}

// openNetns opens a namespace's file. O_RDONLY on a FIFO would wait: O_NONBLOCK.
func openNetns(path string) (int, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return fd, nil
}

// isNetns tells a namespace from any other file, such as the empty one that is left when
// the mount on it is gone.
func isNetns(fd int) bool {
	var st unix.Statfs_t
	if unix.Fstatfs(fd, &st) != nil || st.Type != unix.NSFS_MAGIC {
		return false
	}
	kind, err := unix.IoctlRetInt(fd, unix.NS_GET_NSTYPE)
	return err == nil && kind == unix.CLONE_NEWNET
}

// inode tells one namespace from another.
func inode(fd int) uint64 {
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil {
		return 0
	}
	return st.Ino
}

package kernel

import "golang.org/x/sys/unix"

const (
	// firstRoom is how many files a process's table has room for from the beginning
	// (NR_OPEN_DEFAULT of linux/fdtable.h).
	firstRoom = 64
	// otherFiles is room for what is open beside the sockets of places.
	otherFiles = 32
)

// makeRoom makes room for the sockets of n places at once, while other work goes on. The
// kernel doubles a process's table of files whenever it is full, and whoever opens another
// one then waits for an RCU grace period (expand_fdtable in fs/file.c): with a thousand
// places that were 50 ms, more than a quarter of the time that it took to read them.
func (k *Kernel) makeRoom(n int) {
	n = min(n, k.maxOpen) + otherFiles
	if n <= max(k.room, firstRoom) {
		return
	}
	k.room = n
	k.background.Go(func() {
		if fd, err := unix.FcntlInt(uintptr(k.host), unix.F_DUPFD_CLOEXEC, n); err == nil {
			unix.Close(fd)
		}
	})
}

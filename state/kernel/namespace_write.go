package kernel

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/cnmctl/cnmctl/state"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// makers is how many threads make namespaces. The kernel makes one at a time; while it does,
// the other thread marks and names the one before. More gain nothing.
const makers = 2

// createNamespaces makes all namespaces of the wave on threads that go from one to the next:
// a new thread for each would double the cost.
func (r *run) createNamespaces(ops []int) error {
	unlock, err := r.lockNetnsDir()
	if err != nil {
		return fmt.Errorf("preparing %s: %w", r.netnsDir, err)
	}
	defer unlock()
	r.makeRoom(len(r.places) + len(ops))
	left := make(chan int, len(ops))
	for _, i := range ops {
		left <- i
	}
	close(left)
	var one sync.Mutex // of them keeps and reports at a time
	var group errgroup.Group
	for range min(makers, len(ops)) {
		group.Go(func() error {
			return excursion(func() error { return r.makeNamespaces(left, &one) })
		})
	}
	return group.Wait()
}

// makeNamespaces makes what is left until nothing is, or one fails.
func (r *run) makeNamespaces(left <-chan int, one *sync.Mutex) error {
	for i := range left {
		if err := r.ctx.Err(); err != nil {
			return err
		}
		n := r.wave[i].After.(state.Namespace)
		c, ino, err := r.makeNamespace(n)
		one.Lock()
		if err == nil {
			r.keep(state.Netns(n.Name), c, ino)
		}
		r.report(i, err)
		failed := r.first != nil
		one.Unlock()
		if failed {
			return nil
		}
	}
	return nil
}

// updateNamespaces rewrites marks; where the namespace itself is missing because its
// creation was cut short, it makes it.
func (r *run) updateNamespaces(ops []int) error {
	for _, i := range ops {
		n := r.wave[i].After.(state.Namespace)
		if was := r.wave[i].Before.(state.Namespace); was.Name != n.Name {
			if r.report(i, r.moveNamespace(was, n)); r.first != nil {
				break
			}
			continue
		}
		open, err := r.at(state.Netns(n.Name))
		if errors.Is(err, errNotNetns) {
			if err := r.replaceUnmounted(i, n); err != nil {
				return err
			}
			continue
		}
		if err == nil {
			err = r.markSpace(open.conn, n)
		}
		r.report(i, err)
		if r.first != nil {
			break
		}
	}
	return nil
}

// replaceUnmounted makes a namespace where only the file for it was left.
func (r *run) replaceUnmounted(i int, n state.Namespace) error {
	if err := r.dropNamespace(n.Name); err != nil {
		r.report(i, err)
		return nil
	}
	return r.createNamespaces([]int{i})
}

// unmounters is how many threads unmount at once. Each unmount waits for an RCU grace
// period, and they can wait for the same one.
const unmounters = 8

// deleteNamespaces unmounts the namespaces and removes their files, when the links that would
// go with them are gone. The kernel takes down the rest in the background.
func (r *run) deleteNamespaces(ops []int) error {
	if err := r.deleteAlong(ops); err != nil {
		return err
	}
	for part := range slices.Chunk(ops, batchSize) {
		if err := r.ctx.Err(); err != nil {
			return err
		}
		errs := make([]error, len(part))
		var group errgroup.Group
		group.SetLimit(unmounters)
		for at, i := range part {
			name := r.wave[i].Key.Name
			known := r.places[state.Netns(name)]
			group.Go(func() error {
				errs[at] = r.deleteNamespace(name, known)
				return nil
			})
		}
		_ = group.Wait()
		for at, i := range part {
			r.forget(state.Netns(r.wave[i].Key.Name))
			r.report(i, errs[at])
		}
		if r.first != nil {
			return nil
		}
	}
	return r.removeNetnsDir()
}

// deleteNamespace deletes one namespace. The open socket that is known of it would keep it
// alive, so it goes first.
func (k *Kernel) deleteNamespace(name string, known *place) error {
	if err := k.checkOurs(name, known); err != nil {
		return err
	}
	if known != nil {
		known.conn.close()
	}
	if err := k.dropNamespace(name); err != nil {
		return err
	}
	return k.dropEtc(name)
}

// checkOurs sees to it that the name still stands for what was read or made under it.
func (k *Kernel) checkOurs(name string, known *place) error {
	path := filepath.Join(k.netnsDir, name)
	fd, err := openNetns(path)
	if isAny(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if !isNetns(fd) {
		if owner, marked := markOf(fd); !marked || owner.Stack != k.stack {
			return fmt.Errorf("%s is a file that cnmctl did not make: remove it", path)
		}
		return nil
	}
	if known != nil && known.ino == inode(fd) {
		return nil
	}
	owner, ours, err := k.whose(fd)
	if err == nil && !ours {
		err = fmt.Errorf("the name stands for %s by now; plan again", foreignSpace(owner))
	}
	return err
}

// lockNetnsDir makes the netns directory as `ip netns add` does, if it is not there, and
// holds the lock that `ip netns` takes on it. The directory becomes a shared mount of its
// own, so that a namespace that is mounted here is seen, and can be unmounted, in every
// mount namespace that has a copy.
func (k *Kernel) lockNetnsDir() (unlock func(), err error) {
	made, err := makeOwnDir(k.netnsDir, k.stack)
	if err != nil {
		return nil, err
	}
	fd, err := unix.Open(k.netnsDir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: k.netnsDir, Err: err}
	}
	unlock = func() { unix.Close(fd) }
	if err := flock(fd); err != nil {
		unlock()
		return nil, err
	}
	if err := shareMount(k.netnsDir); err != nil {
		unlock()
		if made {
			_ = unix.Rmdir(k.netnsDir)
		}
		return nil, err
	}
	return unlock, nil
}

func flock(fd int) error {
	for {
		err := unix.Flock(fd, unix.LOCK_EX)
		if err != unix.EINTR {
			return os.NewSyscallError("flock", err)
		}
	}
}

// shareMount makes dir a shared mount point; the first attempt fails when it is none yet.
func shareMount(dir string) error {
	err := unix.Mount("", dir, "none", unix.MS_SHARED|unix.MS_REC, "")
	if err == unix.EINVAL {
		if err = unix.Mount(dir, dir, "none", unix.MS_BIND|unix.MS_REC, ""); err == nil {
			err = unix.Mount("", dir, "none", unix.MS_SHARED|unix.MS_REC, "")
		}
	}
	if err != nil {
		return &os.PathError{Op: "mount", Path: dir, Err: err}
	}
	return nil
}

// removeNetnsDir removes the netns directory if one of ours was the first to need it and
// nothing is left in it.
func (k *Kernel) removeNetnsDir() error {
	fd, err := unix.Open(k.netnsDir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	if err := flock(fd); err != nil {
		return err
	}
	entries, err := os.ReadDir(k.netnsDir)
	if err != nil || len(entries) > 0 || !ownDir(k.netnsDir) {
		return err
	}
	// The mount on the directory has to go first. Whoever comes between the two finds the
	// directory as `ip netns` finds it on a machine that has just started.
	if err := unix.Unmount(k.netnsDir, unix.MNT_DETACH); err != nil && err != unix.EINVAL {
		return &os.PathError{Op: "unmount", Path: k.netnsDir, Err: err}
	}
	return removeOwnDir(k.netnsDir)
}

// etcDirOf is the directory of the namespace's files.
func (k *Kernel) etcDirOf(name string) string { return filepath.Join(k.etcDir, name) }

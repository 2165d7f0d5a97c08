package kernel

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/cnmctl/cnmctl/state"
	"golang.org/x/sys/unix"
)

// moveNamespace gives a namespace another name. A mount in a shared directory cannot be
// moved (mount(2), MS_MOVE), so the namespace is mounted on the new name, gets its files
// there, and loses the old name. Cut short in between it has both names; see aliases.
func (r *run) moveNamespace(before, after state.Namespace) error {
	unlock, err := r.lockNetnsDir()
	if err != nil {
		return fmt.Errorf("preparing %s: %w", r.netnsDir, err)
	}
	defer unlock()
	from, to := filepath.Join(r.netnsDir, before.Name), filepath.Join(r.netnsDir, after.Name)
	here, err := r.mounted(from)
	if err != nil {
		return err
	}
	there, err := r.mounted(to)
	if err != nil {
		return err
	}
	if err := r.checkOurs(before.Name, r.places[state.Netns(before.Name)]); err != nil {
		return err
	}
	switch {
	case here == 0 && there == 0:
		return &os.PathError{Op: "open", Path: from, Err: unix.ENOENT}
	case here == 0:
		return nil // it has been done
	case there == 0:
		if err := r.mountOn(from, to, after.Mark); err != nil {
			return err
		}
	case there != here:
		return &os.PathError{Op: "mount", Path: to, Err: unix.EEXIST}
	}
	if err := r.moveEtc(before.Name, after.Name); err != nil {
		return err
	}
	if err := r.dropNamespace(before.Name); err != nil {
		return err
	}
	if open := r.places[state.Netns(before.Name)]; open != nil {
		delete(r.places, state.Netns(before.Name))
		r.places[state.Netns(after.Name)] = open
	}
	return nil
}

// mounted is the inode of the namespace on a path, 0 when there is none.
func (k *Kernel) mounted(path string) (uint64, error) {
	fd, err := openNetns(path)
	if isAny(err, unix.ENOENT) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	if isNetns(fd) {
		return inode(fd), nil
	}
	if owner, marked := markOf(fd); !marked || owner.Stack != k.stack {
		return 0, fmt.Errorf("%s is a file that cnmctl did not make: remove it", path)
	}
	return 0, nil
}

// mountOn mounts a namespace on a second name.
func (k *Kernel) mountOn(from, to string, mark state.Owner) error {
	if err := k.makeMountpoint(to, mark); err != nil && !isAny(err, unix.EEXIST) {
		return err // one that is there is ours, see mounted
	}
	if err := unix.Mount(from, to, "", unix.MS_BIND, ""); err != nil {
		return &os.PathError{Op: "mount", Path: to, Err: err}
	}
	return nil
}

// moveEtc moves the directory of a namespace's files.
func (k *Kernel) moveEtc(from, to string) error {
	err := os.Rename(k.etcDirOf(from), k.etcDirOf(to))
	if os.IsNotExist(err) {
		return nil
	}
	return err
}

// aliases finds namespaces that have two names. The first one is kept; another one is in
// the world as what it is, so that it gets the name that is wanted, or loses it.
func (k *Kernel) aliases(spaces []*reading, world state.World) []*reading {
	first := map[uint64]*reading{}
	kept := spaces[:0]
	for _, r := range spaces {
		other := first[r.ino]
		if other == nil || r.unmounted || r.on.lent {
			kept = append(kept, r)
			if !r.unmounted && !r.on.lent {
				first[r.ino] = r
			}
			continue
		}
		name, _ := r.place.Netns()
		of, _ := other.place.Netns()
		world.Add(state.Namespace{Name: name, Mark: r.on.space, AliasOf: of})
		k.letGo(r)
	}
	return kept
}

package kernel

import (
	"errors"
	"os"

	"github.com/cnmctl/cnmctl/state"
	"golang.org/x/sys/unix"
)

// inPassage is the mode of a directory from its making to its marking, which nobody else gives
// one: a run that dies in between leaves what can still be told from others' directories.
const inPassage = unix.S_ISVTX | 0o700

// makeOwnDir makes a directory, marked as ours so that it goes when it is empty again. One
// that is there already is left as it is.
func makeOwnDir(path, stack string) (made bool, err error) {
	err = unix.Mkdir(path, inPassage)
	if err == unix.EEXIST && !passing(path) {
		return false, nil
	}
	if err != nil && err != unix.EEXIST {
		return false, &os.PathError{Op: "mkdir", Path: path, Err: err}
	}
	set := func(attr string, value []byte) error { return unix.Setxattr(path, attr, value, 0) }
	if err := writeMark(state.Owner{Stack: stack}, set); err != nil && !errors.Is(err, unix.EOPNOTSUPP) {
		return true, &os.PathError{Op: "setxattr", Path: path, Err: err}
	}
	if err := unix.Chmod(path, 0o755); err != nil {
		return true, &os.PathError{Op: "chmod", Path: path, Err: err}
	}
	return true, nil
}

// passing reports that a run died while it made the directory.
func passing(path string) bool {
	var st unix.Stat_t
	return unix.Lstat(path, &st) == nil && st.Mode == unix.S_IFDIR|inPassage && int(st.Uid) == os.Geteuid()
}

// ownDir reports that the directory was made by makeOwnDir, by any stack.
func ownDir(path string) bool {
	_, ok := readMark(func(attr string, value []byte) (int, error) { return unix.Getxattr(path, attr, value) })
	return ok || passing(path)
}

// removeOwnDir removes a directory that makeOwnDir made, if it is empty.
func removeOwnDir(path string) error {
	if !ownDir(path) {
		return nil
	}
	err := unix.Rmdir(path)
	if err == nil || err == unix.ENOENT || err == unix.ENOTEMPTY || err == unix.EEXIST || err == unix.EBUSY {
		return nil
	}
	return &os.PathError{Op: "rmdir", Path: path, Err: err}
}

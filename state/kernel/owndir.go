package kernel

import (
	"errors"
	"os"

	"github.com/cnmctl/cnmctl/state"
	"golang.org/x/sys/unix"
)

// makeOwnDir makes a directory, marked as ours so that it goes when it is empty again. One
// that is there already is left as it is.
func makeOwnDir(path, stack string) (made bool, err error) {
	switch err := unix.Mkdir(path, 0o755); err {
	case nil:
	case unix.EEXIST:
		return false, nil
	default:
		return false, &os.PathError{Op: "mkdir", Path: path, Err: err}
	}
	set := func(attr string, value []byte) error { return unix.Setxattr(path, attr, value, 0) }
	if err := writeMark(state.Owner{Stack: stack}, set); err != nil && !errors.Is(err, unix.EOPNOTSUPP) {
		return true, &os.PathError{Op: "setxattr", Path: path, Err: err}
	}
	return true, nil
}

// ownDir reports that the directory was made by makeOwnDir, by any stack.
func ownDir(path string) bool {
	_, ok := readMark(func(attr string, value []byte) (int, error) { return unix.Getxattr(path, attr, value) })
	return ok
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

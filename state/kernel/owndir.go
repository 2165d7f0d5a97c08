package kernel

import (
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
	mark := state.Owner{Stack: stack}.Mark()
	if err := unix.Setxattr(path, xattrMark, []byte(mark), 0); err != nil && err != unix.EOPNOTSUPP {
		return true, &os.PathError{Op: "setxattr", Path: path, Err: err}
	}
	return true, nil
}

// ownDir reports that the directory was made by makeOwnDir, by any stack.
func ownDir(path string) bool {
	var buf [512]byte
	n, err := unix.Getxattr(path, xattrMark, buf[:])
	if err != nil {
		return false
	}
	_, ok := state.ParseMark(string(buf[:n]))
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

package kernel

import (
	"errors"

	"github.com/cnmctl/cnmctl/state"
	"golang.org/x/sys/unix"
)

// The mark of files and directories that we make is an extended attribute. Only root can
// have trusted ones. In a user namespace there are none, and one that the owner of the file
// can write has to do: what is there is that user's alone.
const (
	xattrMark     = "trusted.cnm"
	xattrUserMark = "user.cnm"
)

// writeMark has set write the mark into an attribute.
func writeMark(mark state.Owner, set func(attr string, value []byte) error) error {
	err := set(xattrMark, []byte(mark.Mark()))
	if errors.Is(err, unix.EPERM) {
		err = set(xattrUserMark, []byte(mark.Mark()))
	}
	return err
}

// readMark has get read an attribute, and makes a mark of it.
func readMark(get func(attr string, value []byte) (int, error)) (state.Owner, bool) {
	var buf [512]byte
	n, err := get(xattrMark, buf[:])
	if err != nil {
		n, err = get(xattrUserMark, buf[:])
	}
	if err != nil {
		return state.Owner{}, false
	}
	return state.ParseMark(string(buf[:n]))
}

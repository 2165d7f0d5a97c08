package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/cnmctl/cnmctl/state"
	"golang.org/x/sys/unix"
)

// Lock takes the stack's lock, or returns a *state.LockedError that says who has it. The
// lock is the kernel's (flock), so it ends with the process that holds it, however that
// ends; the file's content is for the message only.
func (s *Store) Lock(ctx context.Context, info state.LockInfo) (unlock func() error, err error) {
	if info.PID == 0 {
		info.PID = os.Getpid()
	}
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		f, err := s.tryLock()
		if err != nil {
			return nil, err
		}
		if f == nil {
			continue // the file or its directory was removed by who held the lock before us
		}
		if err := writeHolder(f, info); err != nil {
			f.Close()
			return nil, fmt.Errorf("locking %s: %w", s.lock, err)
		}
		s.sweep()
		return s.unlocker(f), nil
	}
}

// tryLock opens and locks the file. It returns nil when the file that it locked is no
// longer the one at the path, where a lock on it would keep nobody out, and when somebody
// took the directory away under it.
func (s *Store) tryLock() (*os.File, error) {
	dir := filepath.Dir(s.lock)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		if _, e := os.Lstat(dir); errors.Is(err, fs.ErrExist) && errors.Is(e, fs.ErrNotExist) {
			return nil, nil // made and removed meanwhile
		}
		return nil, fmt.Errorf("locking %s: %w", s.lock, err)
	}
	f, err := os.OpenFile(s.lock, os.O_RDWR|os.O_CREATE, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("locking the stack: %w", err)
	}
	switch err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); {
	case errors.Is(err, unix.EWOULDBLOCK):
		defer f.Close()
		return nil, &state.LockedError{Path: s.lock, Holder: readHolder(f)}
	case err != nil:
		f.Close()
		return nil, fmt.Errorf("locking %s: %w", s.lock, err)
	}
	if !isAt(f, s.lock) {
		f.Close()
		return nil, nil
	}
	return f, nil
}

// unlocker removes the file while it is still locked, so that who finds it at the path and
// locks it has the lock; then closing it frees the lock. The directory goes when no other
// stack is being changed; who was about to make a file in it begins again.
func (s *Store) unlocker(f *os.File) func() error {
	return sync.OnceValue(func() error {
		err := os.Remove(s.lock)
		if errors.Is(err, fs.ErrNotExist) {
			err = nil // somebody tidied up /run; the lock was on the file, not on its name
		}
		if err := errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("unlocking: %w", err)
		}
		_ = os.Remove(filepath.Dir(s.lock)) // not while it holds locks of others
		return nil
	})
}

func isAt(f *os.File, path string) bool {
	ours, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(path)
	return err == nil && os.SameFile(ours, there)
}

func writeHolder(f *os.File, info state.LockInfo) error {
	text, err := json.Marshal(info)
	if err != nil {
		return err
	}
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err = f.WriteAt(append(text, '\n'), 0)
	return err
}

// readHolder reads who holds the lock; nobody in particular while that is being written.
func readHolder(f *os.File) state.LockInfo {
	var info state.LockInfo
	text, err := io.ReadAll(io.LimitReader(f, 1<<16))
	if err != nil || json.Unmarshal(text, &info) != nil {
		return state.LockInfo{}
	}
	return info
}

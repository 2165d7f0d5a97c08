package local

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"
)

// replace makes text the content of the file at path such that after a crash, of the
// process or the machine, there is either the old content or the new. The directory is
// synced too, or the new name could be lost with the power.
func replace(path string, text []byte) error {
	dir := filepath.Dir(path)
	f, err := renameio.NewPendingFile(path, renameio.WithTempDir(dir), renameio.WithStaticPermissions(0o600))
	if err != nil {
		return err
	}
	defer func() { _ = f.Cleanup() }()
	if _, err := f.Write(text); err != nil {
		return err
	}
	if err := f.CloseAtomicallyReplace(); err != nil {
		return err
	}
	return syncDir(dir)
}

// remove deletes the file, and its directory when that is ours and empty.
func (s *Store) remove(c content) error {
	dir := filepath.Dir(s.path)
	err := os.Remove(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if c.madeDir || s.ownDir {
		// Another stack's file keeps the directory; that is no failure.
		if os.Remove(dir) == nil {
			return nil
		}
	}
	return syncDir(dir)
}

// makeDir makes the directory and those above it, and reports whether it was missing.
func makeDir(dir string) (made bool, err error) {
	if _, err := os.Stat(dir); err == nil {
		return false, nil
	}
	return true, os.MkdirAll(dir, 0o700)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// sweep deletes what writers that were killed have left. Only who holds the lock may call
// it: the temporary file of a living writer looks the same.
func (s *Store) sweep() {
	dir, prefix := filepath.Dir(s.path), "."+filepath.Base(s.path)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return // nothing there, or the next write says why
	}
	for _, e := range entries {
		if number, ok := strings.CutPrefix(e.Name(), prefix); ok && number != "" && strings.Trim(number, "0123456789") == "" {
			_ = os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}

package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/cnmctl/cnmctl/state"
)

// DefaultDir is where state files are when nobody says otherwise.
const DefaultDir = "/var/lib/cnmctl"

// DefaultLockDir is where lock files are: a reboot ends all processes, and /run with them.
const DefaultLockDir = "/run/cnmctl"

// Options say which file a store is.
type Options struct {
	// Stack is the stack whose claims and records the store keeps.
	Stack string
	// Path is the state file; "" is <stack>.json in DefaultDir.
	Path string
	// LockDir holds the lock <stack>.lock; "" is DefaultLockDir. It does not follow Path,
	// because the lock also keeps two runs from changing the stack in the kernel at once.
	LockDir string
}

// Store is a state file and its lock. It implements state.RecordStore, and may be used by
// many goroutines.
type Store struct {
	stack, path, lock string
	// ownDir: the directory is cnmctl's own, whoever made it.
	ownDir bool

	mu sync.Mutex
	// text is the file as it was last read or written, and known what it says: reading it
	// again is comparing it.
	text  []byte
	known content
}

var _ state.RecordStore = (*Store)(nil)

// Open is the store with the options. Nothing is made before the first change.
func Open(o Options) (*Store, error) {
	if o.Stack == "" || o.Stack == "." || o.Stack == ".." || strings.ContainsAny(o.Stack, "/\x00") {
		return nil, fmt.Errorf("opening the local store: %q cannot be the name of a stack", o.Stack)
	}
	if o.Path == "" {
		o.Path = filepath.Join(DefaultDir, o.Stack+".json")
	}
	if o.LockDir == "" {
		o.LockDir = DefaultLockDir
	}
	s := &Store{stack: o.Stack, path: filepath.Clean(o.Path), lock: filepath.Join(o.LockDir, o.Stack+".lock")}
	s.ownDir = filepath.Dir(s.path) == DefaultDir
	return s, nil
}

// Path is the state file.
func (s *Store) Path() string { return s.path }

// String is the state file, for messages.
func (s *Store) String() string { return s.path }

// Snapshot reads the file; without one there is nothing.
func (s *Store) Snapshot(ctx context.Context) (state.World, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.read()
	return maps.Clone(c.objects), err
}

// Apply writes the wave in one replacement of the file: all of it, or nothing.
func (s *Store) Apply(ctx context.Context, wave []state.Op, done func(i int, err error)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(wave) == 0 {
		return nil
	}
	failed, err := s.commit(wave)
	switch {
	case err == nil:
		for i := range wave {
			done(i, nil)
		}
	case failed >= 0:
		done(failed, err)
	}
	return err
}

// commit writes the wave. When one of its ops is what fails, failed is its index, else -1.
func (s *Store) commit(wave []state.Op) (failed int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.read()
	if err != nil {
		return -1, err
	}
	after, failed, err := state.Commit(c.objects, wave)
	if err != nil {
		return failed, err
	}
	// What is known is only forgotten here and learnt again by a write that succeeds.
	s.text = nil
	return -1, s.write(c.with(after, wave))
}

// Close does nothing: the store keeps nothing open. A lock is given back by its unlock.
func (s *Store) Close() error { return nil }

func (s *Store) read() (content, error) {
	text, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return newContent(s.stack), nil
	}
	if err != nil {
		return content{}, fmt.Errorf("reading the state file: %w", err)
	}
	if s.text != nil && bytes.Equal(text, s.text) {
		return s.known, nil
	}
	c, err := decode(text, s.stack)
	if err == nil {
		s.text, s.known = text, c
		return c, nil
	}
	var newer *newerError
	var other *otherStackError
	if errors.As(err, &newer) || errors.As(err, &other) {
		return content{}, fmt.Errorf("reading the state file %s: %w", s.path, err)
	}
	return content{}, fmt.Errorf("reading the state file %s: %w. The file only remembers what the kernel does not show; "+
		"while the stack's objects exist in the kernel it is safe to delete it: cnmctl reads back from them what they hold", s.path, err)
}

// write replaces the file; a file without objects is removed.
func (s *Store) write(c content) error {
	if len(c.objects) == 0 {
		if err := s.remove(c); err != nil {
			return fmt.Errorf("removing the state file: %w", err)
		}
		return nil
	}
	made, err := makeDir(filepath.Dir(s.path))
	if err != nil {
		return fmt.Errorf("making the directory of the state file: %w", err)
	}
	c.madeDir = c.madeDir || made && !s.ownDir
	text, err := encode(c)
	if err != nil {
		return err
	}
	if err := replace(s.path, text); err != nil {
		if made {
			_ = os.Remove(filepath.Dir(s.path)) // somebody else may use it by now
		}
		return fmt.Errorf("writing the state file: %w", err)
	}
	s.text, s.known = text, c
	return nil
}

package kernel

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/cnmctl/cnmctl/state"
	"golang.org/x/sys/unix"
)

// File names that begin and end so are on their way to their real name.
const tempPrefix, tempSuffix = ".", ".cnm"

// headSize is as much of a file as holds its mark.
const headSize = 512

func tempName(name string) string { return tempPrefix + name + tempSuffix }

func isTemp(name string) bool {
	return strings.HasPrefix(name, tempPrefix) && strings.HasSuffix(name, tempSuffix)
}

// fileMark reads the stack from a file's first line.
func fileMark(content string) (stack string, marked bool) {
	line, _, _ := strings.Cut(content, "\n")
	return strings.CutPrefix(line, "# "+state.StackMark(""))
}

// fileReader reads files that share inodes once.
type fileReader struct {
	stack   string
	seen    map[inodeID]string
	objects []state.Object
	entries [8 << 10]byte
}

type inodeID struct{ dev, ino uint64 }

// readFiles reads what lies over /etc for each namespace. Files of ours come without
// their owner, which is the namespace's.
func (k *Kernel) readFiles() ([]state.Object, error) {
	spaces, err := os.ReadDir(k.etcDir)
	if err != nil && !os.IsNotExist(err) {
		return nil, fmt.Errorf("listing files of namespaces: %w", err)
	}
	r := &fileReader{stack: k.stack, seen: map[inodeID]string{}}
	for _, space := range spaces {
		if !space.IsDir() {
			continue
		}
		if err := r.readDir(filepath.Join(k.etcDir, space.Name()), state.Netns(space.Name())); err != nil {
			return nil, fmt.Errorf("reading files of namespace %s: %w", space.Name(), err)
		}
	}
	return r.objects, nil
}

// readDir reads the files of one namespace.
func (r *fileReader) readDir(dir string, p state.Place) error {
	// An os.File costs five calls more for each of a thousand directories.
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return &os.PathError{Op: "open", Path: dir, Err: err}
	}
	defer unix.Close(fd)
	names, err := r.list(fd)
	if err != nil {
		return &os.PathError{Op: "list", Path: dir, Err: err}
	}
	found := 0
	for _, name := range names {
		if isTemp(name) {
			continue
		}
		found++
		o, err := r.read(fd, p, name)
		if err != nil {
			return &os.PathError{Op: "read", Path: filepath.Join(dir, name), Err: err}
		}
		if o != nil {
			r.objects = append(r.objects, o)
		}
	}
	if found == 0 && ownDir(dir) {
		// A run was cut short before the directory had a file or after it had one. It
		// shows as an empty file, so that it is filled or goes.
		r.objects = append(r.objects, r.file(p, "hosts", ""))
	}
	return nil
}

// list lists the names in an open directory.
func (r *fileReader) list(dir int) (names []string, err error) {
	for {
		n, err := unix.ReadDirent(dir, r.entries[:])
		if err == unix.EINTR {
			continue
		}
		if n <= 0 || err != nil {
			return names, err
		}
		_, _, names = unix.ParseDirent(r.entries[:n], -1, names)
	}
}

func (r *fileReader) file(p state.Place, name, content string) state.File {
	return state.File{Place: p, Name: name, Content: content, Mark: state.Owner{Stack: r.stack}}
}

// read reads one file; nil when it is gone.
func (r *fileReader) read(dir int, p state.Place, name string) (state.Object, error) {
	var st unix.Stat_t
	if err := unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW); err == unix.ENOENT {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	foreign := state.Foreign{K: state.File{Place: p, Name: name}.Key(), What: "a file that cnmctl did not write"}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return foreign, nil
	}
	id := inodeID{st.Dev, st.Ino}
	content, ok := r.seen[id]
	if !ok {
		var err error
		if content, err = readMarked(dir, name, r.stack); err != nil {
			return nil, err
		}
		r.seen[id] = content
	}
	switch stack, marked := fileMark(content); {
	case marked && stack == r.stack:
		return r.file(p, name, content), nil
	case marked:
		foreign.What = "a file of stack " + stack
	}
	return foreign, nil
}

// readMarked reads a file as a whole if it bears the stack's mark, else only its beginning.
func readMarked(dir int, name, stack string) (string, error) {
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err == unix.ENOENT {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	head := make([]byte, headSize)
	n, _ := f.ReadAt(head, 0)
	if of, marked := fileMark(string(head[:n])); !marked || of != stack {
		return string(head[:n]), nil
	}
	text := make([]byte, 0, size(f))
	return readAll(f, text)
}

// size is the length that a buffer for the file should have.
func size(f *os.File) int64 {
	info, err := f.Stat()
	if err != nil {
		return 512
	}
	return info.Size() + 1
}

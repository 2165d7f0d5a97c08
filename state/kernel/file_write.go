package kernel

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/cnmctl/cnmctl/state"
	"golang.org/x/sys/unix"
)

// writer writes the files of one wave. Files with the same content are one inode: the
// hosts files of a thousand sandboxes on one network cost the disk one file.
type writer struct {
	*Kernel
	contents state.Contents
	first    map[int]string // a content's number to the path where it was written first
}

// writeFiles runs the wave's ops on files. Nothing is synced to disk: a machine that loses
// power loses the namespaces that the files are for.
func (r *run) writeFiles(ops []int) error {
	w := &writer{Kernel: r.Kernel, first: map[int]string{}}
	for _, i := range ops {
		if err := r.ctx.Err(); err != nil {
			return err
		}
		r.report(i, w.do(r.wave[i]))
		if r.first != nil {
			return nil
		}
	}
	return removeOwnDir(r.etcDir)
}

func (w *writer) do(op state.Op) error {
	f := op.Object().(state.File)
	ns, ok := f.Place.Netns()
	if !ok {
		return fmt.Errorf("files are laid over /etc of a namespace, not of %s", f.Place)
	}
	dir := w.etcDirOf(ns)
	temp, path := filepath.Join(dir, tempName(f.Name)), filepath.Join(dir, f.Name)
	// What a killed run left may be another name of a file in use: never write into it.
	if err := unix.Unlink(temp); err != nil && err != unix.ENOENT && err != unix.ENOTDIR {
		return &os.PathError{Op: "unlink", Path: temp, Err: err}
	}
	if op.Action == state.Delete {
		return w.remove(dir, path)
	}
	if op.Action == state.Update && !w.mine(path) {
		return fmt.Errorf("%s was replaced by a file that cnmctl did not write: move it away", path)
	}
	if _, err := makeOwnDir(w.etcDir, w.stack); err != nil {
		return err
	}
	if _, err := makeOwnDir(dir, w.stack); err != nil {
		return err
	}
	return w.put(op, f.Content, temp, path)
}

// put gives path the content, from one moment to the next.
func (w *writer) put(op state.Op, content, temp, path string) error {
	number := w.contents.Number(content)
	if op.Action == state.Create {
		if first := w.first[number]; first != "" && unix.Link(first, path) == nil {
			return nil
		}
		if _, err := os.Lstat(path); err == nil {
			return &os.PathError{Op: "create", Path: path, Err: unix.EEXIST}
		}
	}
	if first := w.first[number]; first == "" || unix.Link(first, temp) != nil {
		if err := writeNew(temp, content); err != nil {
			return err
		}
		w.first[number] = path
	}
	if err := unix.Rename(temp, path); err != nil {
		return &os.PathError{Op: "rename", Path: temp, Err: err}
	}
	return nil
}

// mine reports that the file may be written over: it bears our mark, or is not there.
func (w *writer) mine(path string) bool {
	content, err := readHead(path)
	stack, marked := fileMark(content)
	return err == nil && (content == "" || marked && stack == w.stack)
}

// readHead reads the beginning of a file, "" when there is none.
func readHead(path string) (string, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err == unix.ENOENT || err == unix.ENOTDIR {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	var head [headSize]byte
	n, err := unix.Pread(fd, head[:], 0)
	return string(head[:max(n, 0)]), err
}

// remove deletes a file of ours, and its directory when that is empty. Somebody else's
// file under the name is left: ours is gone.
func (w *writer) remove(dir, path string) error {
	if w.mine(path) {
		if err := unix.Unlink(path); err != nil && err != unix.ENOENT {
			return &os.PathError{Op: "unlink", Path: path, Err: err}
		}
	}
	return removeOwnDir(dir)
}

func writeNew(path, content string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, content)
	if e := f.Chmod(0o644); err == nil {
		err = e // whatever the umask is, every user's programs read it
	}
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}

// dropEtc removes what killed runs left of a namespace's directory of files, and the
// directories themselves, if they are ours and empty.
func (k *Kernel) dropEtc(ns string) error {
	dir := k.etcDirOf(ns)
	entries, err := os.ReadDir(dir)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if isTemp(e.Name()) {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil && !os.IsNotExist(err) {
				return err
			}
		}
	}
	if err := removeOwnDir(dir); err != nil {
		return err
	}
	return removeOwnDir(k.etcDir)
}

// readAll reads the file to its end into buf's capacity.
func readAll(f *os.File, buf []byte) (string, error) {
	for {
		n, err := f.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if err == io.EOF {
			return string(buf), nil
		}
		if err != nil {
			return "", err
		}
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
	}
}

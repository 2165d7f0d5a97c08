package vm

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/cavaliergopher/cpio"
)

// image is an archive that the kernel unpacks as its first file system (initramfs).
type image struct {
	file *os.File
	w    *cpio.Writer
	has  map[string]bool
}

func newImage(path string) (*image, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	return &image{file: f, w: cpio.NewWriter(f), has: map[string]bool{}}, nil
}

// close ends the archive.
func (i *image) close() error { return errors.Join(i.w.Close(), i.file.Close()) }

// dir adds a directory and those above it.
func (i *image) dir(path string) error {
	if path == "/" || i.has[path] {
		return nil
	}
	if err := i.dir(filepath.Dir(path)); err != nil {
		return err
	}
	i.has[path] = true
	return i.w.WriteHeader(&cpio.Header{Name: path[1:], Mode: cpio.TypeDir | 0o755, Links: 2})
}

// data adds a file with the content. What is already there stays.
func (i *image) data(path string, content []byte, mode fs.FileMode) error {
	if i.has[path] {
		return nil
	}
	if err := i.dir(filepath.Dir(path)); err != nil {
		return err
	}
	i.has[path] = true
	header := &cpio.Header{Name: path[1:], Mode: cpio.TypeReg | cpio.FileMode(mode.Perm()), Size: int64(len(content)), Links: 1}
	if err := i.w.WriteHeader(header); err != nil {
		return err
	}
	_, err := i.w.Write(content)
	return err
}

// copy adds a file of the host's, or all files of a directory, at path.
func (i *image) copy(path, from string) error {
	return filepath.WalkDir(from, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(from, name)
		if err != nil {
			return err
		}
		info, err := os.Stat(name)
		if err != nil {
			return err
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		return i.data(filepath.Join(path, rel), content, info.Mode())
	})
}

// library is a file in what ldd prints.
var library = regexp.MustCompile(`(?m)(/\S+) \(0x`)

// program adds a program of the host's with the shared libraries that it is linked with.
func (i *image) program(path, from string) error {
	if err := i.copy(path, from); err != nil {
		return err
	}
	out, err := exec.Command("ldd", from).CombinedOutput()
	if err != nil && !strings.Contains(string(out), "not a dynamic executable") {
		return fmt.Errorf("asking ldd about %s: %w: %s", from, err, out)
	}
	for _, found := range library.FindAllStringSubmatch(string(out), -1) {
		if err := i.copy(found[1], found[1]); err != nil {
			return err
		}
	}
	return nil
}

// programs adds programs of the host's, where its own PATH has them.
func (i *image) programs(names ...string) error {
	for _, name := range names {
		path, err := lookPath(name)
		if err != nil {
			return err
		}
		if err := i.program(path, path); err != nil {
			return err
		}
	}
	return nil
}

// lookPath finds a program in PATH or where only root looks.
func lookPath(name string) (string, error) {
	path, err := exec.LookPath(name)
	for _, dir := range []string{"/usr/sbin/", "/sbin/"} {
		if err != nil {
			path, err = exec.LookPath(dir + name)
		}
	}
	return path, err
}

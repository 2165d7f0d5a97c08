package apart

import (
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Files lists every file below dir with its mode and a checksum, a line each. The directory
// need not be there.
func Files(dir string) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "== %s\n", dir)
	if _, err := os.Lstat(dir); os.IsNotExist(err) {
		return b.String(), nil
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		text := ""
		if d.Type().IsRegular() {
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text = fmt.Sprintf(" %08x", crc32.ChecksumIEEE(content))
		}
		fmt.Fprintf(&b, "%s %s%s\n", info.Mode(), path, text)
		return nil
	})
	return b.String(), err
}

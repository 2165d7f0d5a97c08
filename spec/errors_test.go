package spec

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "write what the tests get into the goldens")

// TestErrors holds each mistake to the whole message that a user sees. The comment of an
// archive may set variables (-var x=1), the environment (CNMCTL_VAR_x=1), the version
// (version 1.2.3) and an allocator that fails (exhausted).
func TestErrors(t *testing.T) {
	files, err := filepath.Glob("testdata/errors/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no cases", err)
	}
	for _, path := range files {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) { checkErrors(t, path) })
	}
}

func checkErrors(t *testing.T, path string) {
	archive, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	golden, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	opts, alloc := Options{Drivers: testDrivers(), WorkDir: "/cwd"}, testAllocator{}
	for line := range strings.Lines(string(archive.Comment)) {
		switch word, rest, _ := strings.Cut(strings.TrimSpace(line), " "); {
		case word == "-var":
			opts.Vars = append(opts.Vars, VarFlag{Assignment: rest})
		case word == "-var-file":
			opts.Vars = append(opts.Vars, VarFlag{File: rest})
		case strings.HasPrefix(word, envPrefix):
			opts.Environ = append(opts.Environ, strings.TrimSpace(line))
		case word == "version":
			opts.Version = rest
		case word == "exhausted":
			alloc.exhausted = true
		}
	}
	want := ""
	for i, f := range archive.Files {
		if f.Name == "want" {
			want = string(f.Data)
			archive.Files = append(archive.Files[:i], archive.Files[i+1:]...)
			break
		}
	}
	t.Chdir(write(t, string(txtar.Format(archive))))
	c, _ := Load(".", opts)
	_, diags := c.Evaluate(alloc)
	var b bytes.Buffer
	if err := WriteDiagnostics(&b, diags, c.Files(), 0, false); err != nil {
		t.Fatal(err)
	}
	got := b.String()
	if *update {
		archive.Files = append(archive.Files, txtar.File{Name: "want", Data: b.Bytes()})
		if err := os.WriteFile(golden, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

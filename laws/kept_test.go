package laws

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cnmctl/cnmctl/e2e/apart"
	"golang.org/x/tools/txtar"
)

// TestKept holds the laws over the pairs of configurations that broke one once.
func TestKept(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("finding the pairs: %v, %v", files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			apart.Test(t, func(t *testing.T) { checkLaws(t, readPair(t, file)) })
		})
	}
}

func readPair(t *testing.T, file string) pair {
	t.Helper()
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := map[string]string{}
	for _, f := range archive.Files {
		text[f.Name] = string(f.Data)
	}
	if len(text) != 2 || text["a.hcl"] == "" || text["b.hcl"] == "" {
		t.Fatalf("%s does not hold a.hcl and b.hcl and nothing else", file)
	}
	return pair{text["a.hcl"], text["b.hcl"]}
}

// keep writes a pair that breaks a law to a file of its own, for TestKept.
func keep(t *testing.T, p pair) string {
	t.Helper()
	text := txtar.Format(&txtar.Archive{
		Comment: []byte("Say here which law this pair breaks, and rename the file after it.\n"),
		Files:   []txtar.File{{Name: "a.hcl", Data: []byte(p.A)}, {Name: "b.hcl", Data: []byte(p.B)}},
	})
	digest := sha256.Sum256([]byte(p.A + p.B))
	file := filepath.Join("testdata", fmt.Sprintf("found-%x.txtar", digest[:4]))
	if err := os.MkdirAll("testdata", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// Package laws holds cnmctl to its promises on a real kernel, over random configurations:
// twice is once, destroying leaves nothing, and the way there does not matter.
package laws

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/cnmctl/cnmctl/e2e/apart"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) {
	apart.Main()
	os.Exit(m.Run())
}

func TestLaws(t *testing.T) {
	apart.Test(t, func(t *testing.T) {
		t.Setenv("TMPDIR", t.TempDir())
		rapid.Check(t, func(t *rapid.T) {
			checkLaws(t, configs().Draw(t, "A").String(), configs().Draw(t, "B").String())
		})
	})
}

// checkLaws goes from nothing to a, to b, and back to nothing.
func checkLaws(t fataler, a, b string) {
	t.Helper()
	wipe(t, false)
	before := listing(t)
	dir := folder(t, a)
	defer os.RemoveAll(dir)

	t.Logf("A:\n%s\nB:\n%s", a, b)
	must(t, 0, "-chdir="+dir, "apply", "-auto-approve")
	must(t, 0, "-chdir="+dir, "plan", "-detailed-exitcode")
	if err := os.WriteFile(filepath.Join(dir, "main.hcl"), []byte(b), 0o644); err != nil {
		t.Fatalf("writing the configuration: %v", err)
	}
	must(t, 0, "-chdir="+dir, "apply", "-auto-approve")
	must(t, 0, "-chdir="+dir, "plan", "-detailed-exitcode")
	after := listing(t)

	// B alone, with the same claims held.
	wipe(t, true)
	must(t, 0, "-chdir="+dir, "apply", "-auto-approve")
	same(t, "A then B is not B alone", listing(t), after)

	must(t, 0, "-chdir="+dir, "destroy", "-auto-approve")
	same(t, "destroying B leaves something", before, listing(t))
}

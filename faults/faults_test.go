// Package faults breaks runs on a real kernel, at every operation there is: with an error,
// with an interrupt, with death. What the run leaves has to be what cnmctl promises: after
// an error all is as before, after a death the next run ends what was begun.
package faults

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/cnmctl/cnmctl/e2e/apart"
	"github.com/cnmctl/cnmctl/state"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == childArg {
		os.Exit(childMain(os.Args[2:]))
	}
	apart.Main()
	os.Exit(m.Run())
}

// The two configurations of the stack: the example, and the same after an afternoon's
// edits, which change networks, addresses, routes, files and links in place, and make and
// remove sandboxes.
const (
	example = "../examples/three-tier/main.hcl"
	stack   = "three-tier"
)

var edits = strings.NewReplacer(
	"internal = true", "internal = true\n  mtu      = 1400",
	"web = 2, app = 2, db = 1", "web = 1, app = 2, db = 2",
	`sysctls = { "net.ipv4.ip_forward" = "1" }`,
	`sysctls = { "net.ipv4.ip_forward" = "1", "net.ipv4.conf.all.rp_filter" = "1" }
  loopback = ["10.219.0.1/32"]
  rule {
    priority = 100
    to       = "10.213.0.0/24"
    table    = 254
  }`,
	`"10.211.0.0/24", reaches = ["app"]`, `"10.211.0.0/24", reaches = ["db"]`,
	"cidrhost(t.cidr, -2)", "cidrhost(t.cidr, -3)",
)

// stage is one of the runs in a stack's life.
type stage struct {
	name string
	// run is what to call, plan what shows whether there is anything left to run, and back
	// leads back to where the stage began.
	run, plan, back []string
	// ops are the run's operations, before and after are the machine around it.
	ops           []state.Op
	before, after string
}

// stages are a life, in order.
func stages(first, second string) []stage {
	cnmctl := func(dir string, args ...string) []string { return append([]string{"-chdir=" + dir}, args...) }
	const yes, code = "-auto-approve", "-detailed-exitcode"
	return []stage{
		{name: "create", run: cnmctl(first, "apply", yes), plan: cnmctl(first, "plan", code), back: cnmctl(first, "destroy", yes)},
		{name: "change", run: cnmctl(second, "apply", yes), plan: cnmctl(second, "plan", code), back: cnmctl(first, "apply", yes)},
		{name: "destroy", run: cnmctl(second, "destroy", yes), plan: cnmctl(second, "plan", code, "-destroy"), back: cnmctl(second, "apply", yes)},
	}
}

// life goes through the stages of a life on a machine of its own, and has each look at
// them from where they begin.
func life(t *testing.T, each func(t *testing.T, s stage)) {
	t.Parallel()
	apart.Test(t, func(t *testing.T) {
		first, second := folders(t)
		goThrough(t, stages(first, second), each)
	})
}

func goThrough(t *testing.T, life []stage, each func(t *testing.T, s stage)) {
	t.Helper()
	for _, s := range life {
		s.before = machine(t)
		s.ops = operations(t, s.run)
		s.after = machine(t)
		must(t, 0, s.plan...)
		must(t, 0, s.back...)
		isLike(t, s.before)
		t.Run(s.name, func(t *testing.T) { each(t, s) })
		if t.Failed() {
			return
		}
		must(t, 0, s.run...)
	}
}

// operations goes through a run and lists its operations in their order.
func operations(t *testing.T, run []string) []state.Op {
	t.Helper()
	f := &fault{at: -1}
	if code, out := cnmctl(f.env(), run...); code != 0 {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	return f.seen
}

// each calls f with operations of the stage, in full tests with every step-th and in short
// ones with one, until it fails.
func (s stage) each(t *testing.T, step int, f func(t *testing.T, n int)) {
	first := 0
	if testing.Short() {
		first, step = len(s.ops)/2, len(s.ops)
	}
	t.Logf("%d operations", len(s.ops))
	for n := first; n < len(s.ops) && !t.Failed(); n += step {
		t.Run(fmt.Sprintf("%d: %s %s", n, s.ops[n].Action, s.ops[n].Key), func(t *testing.T) { f(t, n) })
	}
}

// converges wants the stage's run to end what was begun, and the way back to lead back.
func (s stage) converges(t *testing.T) {
	t.Helper()
	must(t, 0, s.run...)
	must(t, 0, s.plan...)
	isLike(t, s.after)
	must(t, 0, s.back...)
	isLike(t, s.before)
}

// folders holds the two configurations. A stack is called after its folder.
func folders(t *testing.T) (first, second string) {
	t.Helper()
	text, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	return folder(t, string(text)), folder(t, edits.Replace(string(text)))
}

func folder(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir() + "/" + stack
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/main.hcl", []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

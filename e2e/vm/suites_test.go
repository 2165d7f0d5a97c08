package vm

import (
	"cmp"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cnmctl/cnmctl/e2e/vm/wire"
)

// suite is a package whose tests run in the machine.
type suite struct {
	dir string // from the module's root
	// run and skip choose tests as go test's flags do; "" for all, and for none.
	run, skip string
	// files are files and folders that the tests read, from the module's root.
	files []string
	cpus  int
}

// programs are what the tests call.
var programs = []string{
	"awk", "basename", "bash", "cat", "chmod", "cmp", "cp", "cut", "date", "dd", "diff", "dirname", "echo", "env", "expr",
	"false", "find", "grep", "head", "hostname", "id", "kill", "ln", "ls", "mkdir", "mktemp", "mount", "mv", "nsenter",
	"printf", "ps", "pwd", "readlink", "rm", "rmdir", "script", "sed", "seq", "setpriv", "sh", "sleep", "sort", "stat",
	"sysctl", "tail", "tee", "test", "timeout", "touch", "tr", "true", "truncate", "umount", "uname", "uniq", "unshare",
	"wc", "xargs",
	"bridge", "ip", "nft", "ping", "ss", "tc", "tcpdump",
}

// sourceDir is where the machine has the tests, each in the directory that it is run in
// here.
const sourceDir = "/src"

// suites are the packages that meet the kernel without help from a server.
func suites(t *testing.T) []suite {
	// TestWatch takes what a slow kernel tells late for something new.
	kernel := suite{dir: "state/kernel", cpus: 1, skip: "TestWatch|TestBigRuleset|TestRulesetRoundTrip"}
	drivers := suite{dir: "drivers/registry", run: "^(TestKernel|TestTraffic|TestEncrypted)$", files: []string{"drivers/registry/testdata"}, cpus: 1}
	if *everything {
		kernel.skip = "TestWatch"
	} else {
		drivers.run = "^TestKernel$|^TestEncrypted$|^TestTraffic$/^(dual-stack|icc-off|isolated)$"
	}
	return []suite{kernel, drivers, {
		dir: "e2e", run: "^TestScripts$/^(" + strings.Join(chosen(t), "|") + ")$", files: []string{"e2e/testdata", "examples", "bin/consul"}, cpus: 2,
	}}
}

// always are the scripts that run in the machine although this kernel has all that they
// need: an emulated minute for each of the others is too much for every day.
var always = regexp.MustCompile(`^(lifecycle|policy)$`)

// never are scripts that stay outside even with -all, unless they need a kernel that is
// only in the machine: those with a Consul beside them, those that look at what cnmctl says
// rather than at what it does, and those that are long even here.
var never = regexp.MustCompile(`^(consul.*|dockerd|bad-input|bench|color|completion|console|fmt|graph|help|output|validate|` +
	`variables|version|example-(abilene|thousand))$`)

// chosen are the names of the scripts for the machine.
func chosen(t *testing.T) []string {
	t.Helper()
	scripts, err := filepath.Glob(filepath.Join(root(t), "e2e/testdata/script/*.txtar"))
	if err != nil || len(scripts) == 0 {
		t.Fatalf("finding scripts: %v, %v", scripts, err)
	}
	var names []string
	for _, script := range scripts {
		name := strings.TrimSuffix(filepath.Base(script), ".txtar")
		needs, err := Needs(script)
		if err != nil {
			t.Fatal(err)
		}
		if len(needs) > 0 || always.MatchString(name) || *everything && !never.MatchString(name) {
			names = append(names, regexp.QuoteMeta(name))
		}
	}
	return names
}

// together is how many tests at once run in the machine: more would wait for each other, and a
// Consul beside them must not have to.
const together = "3"

// job is how the suite is run in the machine.
func (s suite) job() wire.Job {
	flags := []string{s.binary(), "-test.v=test2json", "-test.short", "-test.timeout=20m", "-test.parallel=" + together, "-test.run=" + cmp.Or(*onlyTests, s.run)}
	if s.skip != "" {
		flags = append(flags, "-test.skip="+s.skip)
	}
	return wire.Job{Dir: filepath.Join(sourceDir, s.dir), Argv: flags, Env: []string{"CNMCTL_IN_VM=1"}}
}

// binary is the path of the suite's test program in the machine.
func (s suite) binary() string {
	return filepath.Join(sourceDir, s.dir, filepath.Base(s.dir)+".test")
}

// root is the module's root here.
func root(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != "/"; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
	}
	t.Fatal("there is no go.mod above this directory")
	return ""
}

// TestNeeds looks that a script that says what it needs is never left out in the machine.
func TestNeeds(t *testing.T) {
	names := chosen(t)
	scripts, _ := filepath.Glob(filepath.Join(root(t), "e2e/testdata/script/*.txtar"))
	for _, script := range scripts {
		name := strings.TrimSuffix(filepath.Base(script), ".txtar")
		if needs, err := Needs(script); err != nil || len(needs) > 0 && !slices.Contains(names, regexp.QuoteMeta(name)) {
			t.Errorf("script %s, which needs %v, does not run in the machine (%v)", name, needs, err)
		}
	}
}

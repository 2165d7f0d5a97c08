package vm

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/cnmctl/cnmctl/e2e/vm/wire"
)

var (
	onlySuite  = flag.String("suite", "", "run the tests of this package only, such as e2e")
	onlyTests  = flag.String("tests", "", "run the tests that match only (go test's -run)")
	everything = flag.Bool("all", false, "run what takes too long for every day, too: half an hour")
)

// TestMachine boots a machine for each suite and runs it in there. Every test of theirs is a
// subtest here, called as there: e2e.TestScripts/vlan.
func TestMachine(t *testing.T) {
	if testing.Short() {
		t.Skip("emulation takes minutes")
	}
	kernel := filepath.Join(root(t), "bin", "kernel")
	for _, need := range []string{filepath.Join(kernel, "vmlinuz"), "/usr/bin/qemu-system-x86_64"} {
		if _, err := os.Stat(need); err != nil {
			t.Skipf("needs %s (tools/prepare fetches it)", need)
		}
	}
	dir := t.TempDir()
	guest := filepath.Join(dir, "guest")
	if err := compile(root(t), "CGO_ENABLED=0", "build", "-o", guest, "./e2e/vm/guest"); err != nil {
		t.Fatal(err)
	}
	// The scripts share a machine of two processors, what runs one test after the other has
	// one for itself.
	var boots sync.WaitGroup
	defer boots.Wait()
	for _, s := range suites(t) {
		if *onlySuite == "" || *onlySuite == s.dir {
			boots.Go(func() { boot(t, s, kernel, guest) })
		}
	}
}

// boot runs a suite in a machine.
func boot(t *testing.T, s suite, kernel, guest string) {
	dir, err := os.MkdirTemp(filepath.Dir(guest), "boot")
	if err != nil {
		t.Error(err)
		return
	}
	m, err := s.machine(root(t), dir)
	if err != nil {
		t.Error(err)
		return
	}
	m.Kernel = kernel
	m.Binaries["/init"], m.Binaries["/sbin/modprobe"] = guest, guest
	r, err := listenTo(t, s)
	if err != nil {
		t.Error(err)
		return
	}
	why := "it did not end"
	err = m.Run(t.Context(), dir, Listener{Line: r.line, End: func(text string) { why = text }})
	r.end(why)
	if err != nil {
		t.Errorf("%s: %v", s.dir, err)
	}
}

// machine is one for the suite, with dir for its test program.
func (s suite) machine(root, dir string) (*Machine, error) {
	m := &Machine{
		Programs: programs, CPUs: s.cpus, MemoryMB: 1536,
		Binaries: map[string]string{}, Copies: map[string]string{}, Jobs: []wire.Job{s.job()},
	}
	for _, file := range []string{"host.conf", "hosts", "passwd", "group", "nsswitch.conf", "protocols", "services", "iproute2"} {
		m.Copies["/etc/"+file] = "/etc/" + file
	}
	m.Copies["/etc/resolv.conf"] = "/dev/null"
	binary := filepath.Join(dir, "suite.test")
	m.Binaries[s.binary()] = binary
	for _, file := range s.files {
		m.Copies[filepath.Join(sourceDir, file)] = filepath.Join(root, file)
	}
	return m, compile(root, "", "test", "-c", "-ldflags=-s -w", "-o", binary, "./"+s.dir)
}

// compile runs the go command in the module's root.
func compile(root, env string, args ...string) error {
	cmd := exec.Command("go", args...)
	cmd.Dir = root
	if env != "" {
		cmd.Env = append(os.Environ(), env)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// results makes subtests of what a suite prints in the machine.
type results struct {
	t      *testing.T
	suite  suite
	cmd    *exec.Cmd
	feed   io.WriteCloser
	output map[string][]string // of a test, until it ends
	ran    int
	done   chan struct{}
}

// event is a line of what test2json makes of the output (see go doc test2json).
type event struct {
	Action, Test, Output string
	Elapsed              float64
}

// listenTo starts a translator of what go test prints.
func listenTo(t *testing.T, s suite) (*results, error) {
	cmd := exec.Command("go", "tool", "test2json", "-t")
	cmd.Stderr = os.Stderr
	feed, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	r := &results{t: t, suite: s, cmd: cmd, feed: feed, output: map[string][]string{}, done: make(chan struct{})}
	go r.read(out)
	return r, nil
}

func (r *results) line(line string) { fmt.Fprint(r.feed, line) }

// end waits for the last of the results.
func (r *results) end(why string) {
	r.feed.Close()
	<-r.done
	if err := r.cmd.Wait(); err != nil {
		r.t.Errorf("test2json: %v", err)
	}
	if why != "" {
		r.t.Errorf("%s in the machine: %s\n%s", r.suite.dir, why, strings.Join(r.output[""], ""))
	}
	if r.ran == 0 {
		r.t.Errorf("no test of %s ran in the machine", r.suite.dir)
	}
}

func (r *results) read(events io.Reader) {
	defer close(r.done)
	for lines := bufio.NewScanner(events); lines.Scan(); {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			r.t.Errorf("reading %s: %v", lines.Bytes(), err)
			continue
		}
		switch e.Action {
		case "output":
			r.output[e.Test] = append(r.output[e.Test], e.Output)
		case "pass", "fail", "skip":
			if e.Test != "" {
				r.report(e)
				delete(r.output, e.Test)
			}
		}
	}
}

// report has a subtest say how one ended in the machine.
func (r *results) report(e event) {
	r.ran++
	output := strings.Join(r.output[e.Test], "")
	r.t.Run(r.suite.dir+"."+e.Test, func(t *testing.T) {
		switch e.Action {
		case "fail":
			t.Errorf("it took %.1fs in the machine\n%s", e.Elapsed, output)
		case "skip":
			t.Skip(output)
		default:
			t.Logf("it took %.1fs in the machine", e.Elapsed)
		}
	})
}

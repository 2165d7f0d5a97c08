// Command gotest runs go test and says what a person wants to know: a line a package, all
// output of a test that failed, and which tests were skipped and why. A skipped test is a
// failure unless -short asked for it, or it passed in the virtual machine (package e2e/vm):
// what is not tested must be seen.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// event is one line of `go test -json` (see go doc test2json).
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
	Elapsed float64
}

// run gathers what the events say.
type run struct {
	output  map[string][]string // what a test or package printed, until it ends
	skipped []skip
	// inside are the tests that passed in the virtual machine, by the name outside.
	inside map[string]bool
	failed int
}

// skip is a test that did not run, and what it said of that.
type skip struct{ name, reason string }

const (
	module = "github.com/cnmctl/cnmctl/"
	// machine comes before the name of a test that ran in the virtual machine.
	machine = "e2e/vm.TestMachine/"
	// left is what a test says that is left to the virtual machine.
	left = "runs in the virtual machine"
)

func main() {
	code, err := test(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "gotest:", err)
		code = 1
	}
	os.Exit(code)
}

func test(args []string) (int, error) {
	start := time.Now()
	cmd := exec.Command("go", append([]string{"test", "-json", "-p=" + packages()}, args...)...)
	cmd.Dir = ".."
	cmd.Env = append([]string{"RAPID_SEED=" + seed, "GOGC=400"}, os.Environ()...) // what is set already wins
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 1, err
	}
	if err := cmd.Start(); err != nil {
		return 1, err
	}
	r := run{output: map[string][]string{}, inside: map[string]bool{}}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		r.line(lines.Bytes())
	}
	if err := errors.Join(lines.Err(), ignoreExit(cmd.Wait())); err != nil {
		return 1, err
	}
	short := slices.Contains(args, "-short")
	return r.verdict(short, !cmd.ProcessState.Success(), time.Since(start)), nil
}

// seed is what random configurations are drawn from, the same each time: a run that nobody
// changed anything for must not fail by chance. RAPID_SEED=0 draws others.
const seed = "1"

// packages is how many packages are tested at once: their tests wait for the kernel and for
// Consul as long as they compute.
func packages() string { return strconv.Itoa(2 * runtime.NumCPU()) }

// ignoreExit drops "exit status 1": the events said why.
func ignoreExit(err error) error {
	if _, ok := errors.AsType[*exec.ExitError](err); ok {
		return nil
	}
	return err
}

func (r *run) line(b []byte) {
	var e event
	if json.Unmarshal(b, &e) != nil {
		fmt.Println(string(b))
		return
	}
	key := e.Package + " " + e.Test
	switch e.Action {
	case "build-output":
		fmt.Print(e.Output)
	case "output":
		r.output[key] = append(r.output[key], e.Output)
	case "pass":
		if inside, ok := strings.CutPrefix(name(e), machine); ok {
			r.inside[inside] = true
		}
		r.end(e, key, "ok  ")
	case "skip":
		if e.Test != "" {
			r.skipped = append(r.skipped, skip{name(e), reason(r.output[key])})
		}
		delete(r.output, key)
	case "fail":
		if e.Test != "" {
			r.failed++
		}
		fmt.Print(strings.Join(r.output[key], ""))
		r.end(e, key, "FAIL")
	}
}

// end prints a package's line; tests are only heard when they fail.
func (r *run) end(e event, key, word string) {
	delete(r.output, key)
	if e.Test == "" {
		fmt.Printf("%s %-60s %6.1fs\n", word, e.Package, e.Elapsed)
	}
}

// name is the test as its package is called within the module: e2e.TestScripts/apply.
func name(e event) string { return strings.TrimPrefix(e.Package, module) + "." + e.Test }

// nowhere lists the tests that were skipped, less those that passed in the virtual machine
// instead.
func (r *run) nowhere() []string {
	var lines []string
	for _, s := range r.skipped {
		if !strings.Contains(s.reason, left) || !r.inside[s.name] {
			lines = append(lines, s.name+s.reason)
		}
	}
	return lines
}

// reason is the line that t.Skip printed.
func reason(output []string) string {
	for _, line := range output {
		if !strings.HasPrefix(strings.TrimSpace(line), "---") && !strings.HasPrefix(line, "===") {
			return ": " + strings.TrimSpace(line)
		}
	}
	return ""
}

// verdict prints the end of the story and returns the exit code.
func (r *run) verdict(short, goFailed bool, took time.Duration) int {
	bad := r.failed > 0 || goFailed
	if skipped := r.nowhere(); len(skipped) > 0 && !short {
		fmt.Printf("%d skipped, which this machine must not need:\n  %s\n", len(skipped), strings.Join(skipped, "\n  "))
		bad = true
	}
	word := "passed"
	if bad {
		word = fmt.Sprintf("FAILED (%d tests)", r.failed)
	}
	fmt.Printf("%s in %s\n", word, took.Round(time.Second))
	if bad {
		return 1
	}
	return 0
}

package e2e

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/cnmctl/cnmctl/e2e/apart"
	"github.com/cnmctl/cnmctl/state/consul/consultest"
	"github.com/rogpeppe/go-internal/testscript"
)

type verb = func(ts *testscript.TestScript, neg bool, args []string)

// verbs are what the scripts say beyond testscript's own commands. NS is a namespace as
// `ip netns` names it: <stack>-<sandbox>.
var verbs = map[string]verb{
	"exits":         exits,        // exits CODE CMD...: the command ends with that code
	"changes":       changes,      // changes none|some [PLAN FLAGS]: what a plan would do
	"reaches":       reaches,      // reaches NS ADDR...: a ping from the namespace is answered
	"all-reach":     allReach,     // all-reach STACK SANDBOX...: each pings each other by name
	"silent":        silent,       // silent NS ADDR...: it is not
	"pinging":       pinging,      // pinging NS ADDR: ping in the background, until
	"no-loss":       noLoss,       // no-loss: none of these pings got lost
	"until":         until,        // until CMD...: try again until it goes well
	"replace":       replace,      // replace FILE OLD NEW: edit the one place; \n is a new line
	"record-kernel": recordKernel, // record-kernel NAME: remember what the kernel holds
	"same-kernel":   sameKernel,   // same-kernel NAME: it holds the same now
	"within":        within,       // within SECONDS CMD...: the command ends in time, or six times that beside other work
	"held":          held,         // held CMD...: the command waits for an answer, until
	"ended":         ended,        // ended CODE TEXT: it ended by itself, saying so
	"killed":        killed,       // killed: or at once
	"hosts":         hosts,        // hosts NAME...: make hosts of a cluster, for `exec on HOST CMD...`
	"crash":         crash,        // crash HOST: it is gone with all that is on it
	"serve":         serve,        // serve NS PROTO ADDR:PORT NAME: a server that says its name and who asks
	"gets":          gets,         // gets NS PROTO ADDR:PORT TEXT: somebody there answers with the text
	"unanswered":    unanswered,   // unanswered NS PROTO ADDR:PORT...: nobody does
	"connect":       connect,      // connect NS PROTO ADDR:PORT NAME: begin a conversation, which
	"goes-on":       goesOn,       // goes-on NAME: still works
	"is-cut":        isCut,        // is-cut NAME: or no longer
	"stranger":      stranger,     // stranger NAME: a process in a namespace that is not cnmctl's; $NAME is its number
	"leaves":        leaves,       // leaves NAME: it ends, and its namespace with it
	"docker":        docker,       // docker start|runs NAME PID|stops NAME|removes NAME|end: an engine that tells of containers
	"dockerd":       dockerd,      // dockerd: a real engine, with the image "box", in which there is sleep
	"resolves":      resolves,     // resolves NAME [ADDRESS...]: Consul's DNS answers so, in the end
	"consul":        consulVerb,   // consul start|kill|restart|lose|freeze|thaw|COMMAND...: a Consul of the script's own
}

func usage(ts *testscript.TestScript, neg, ok bool, text string) {
	if neg || !ok {
		ts.Fatalf("usage: %s", text)
	}
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) >= 2, "exits CODE CMD...")
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	expectExit(ts, want, args[1:])
}

func expectExit(ts *testscript.TestScript, want int, cmd []string) {
	got, err := exitCode(ts.Exec(cmd[0], cmd[1:]...))
	ts.Check(err)
	if got != want {
		ts.Fatalf("%s: exit code %d, want %d", strings.Join(cmd, " "), got, want)
	}
}

// exitCode is the code that a command ended with; the error is why it could not run.
func exitCode(err error) (int, error) {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode(), nil
	}
	return 0, err
}

func changes(ts *testscript.TestScript, neg bool, args []string) {
	codes := map[string]int{"none": 0, "some": 2}
	ok := len(args) >= 1
	if ok {
		_, ok = codes[args[0]]
	}
	usage(ts, neg, ok, "changes none|some [PLAN FLAGS]")
	expectExit(ts, codes[args[0]], append([]string{"cnmctl", "plan", "-detailed-exitcode"}, args[1:]...))
}

func reaches(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) >= 2, "reaches NS ADDR...")
	for _, addr := range args[1:] {
		answered(ts, args[0], addr)
	}
}

func allReach(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) >= 3, "all-reach STACK SANDBOX...")
	for _, from := range args[1:] {
		for _, to := range args[1:] {
			if from != to {
				answered(ts, args[0]+"-"+from, to)
			}
		}
	}
}

// answered pings until there is an answer: the first packets may wait for a bridge port or a
// neighbor, and all of them for a busy machine.
func answered(ts *testscript.TestScript, ns, addr string) {
	for deadline := time.Now().Add(patience); ping(ts, ns, addr, "-c1", "-W1") != 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			ts.Fatalf("%s does not reach %s", ns, addr)
		}
	}
}

func silent(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) >= 2, "silent NS ADDR...")
	for _, addr := range args[1:] {
		if ping(ts, args[0], addr, "-c1", "-W0.5") == 0 {
			ts.Fatalf("%s reaches %s", args[0], addr)
		}
	}
}

// ping is ping's exit code: 0 answered, 1 not answered, 2 no way to ask.
func ping(ts *testscript.TestScript, ns, addr string, flags ...string) int {
	if _, err := os.Stat("/run/netns/" + ns); err != nil {
		ts.Fatalf("there is no namespace %s", ns)
	}
	code, err := exitCode(ts.Exec("ip", append(append([]string{"netns", "exec", ns, "ping", "-n"}, flags...), addr)...))
	ts.Check(err)
	if code > 2 {
		ts.Fatalf("ping in %s: exit code %d", ns, code)
	}
	return code
}

// memory is what one verb keeps for another.
type memory struct {
	kernels map[string]string // by record-kernel's NAME
	ping    *background
	held    *program
	talks   map[string]net.Conn // by connect's NAME
	consul  *consultest.Server
	hosts   map[string]*apart.Host
	engine  *engine

	strangers map[string]*exec.Cmd
}

// background is the ping that runs while a script changes something.
type background = program

type memoryKey struct{}

func remembered(ts *testscript.TestScript) *memory { return ts.Value(memoryKey{}).(*memory) }

func pinging(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 2, "pinging NS ADDR")
	out := &output{}
	cmd := exec.Command("ip", "netns", "exec", args[0], "ping", "-n", "-i0.01", args[1])
	cmd.Stdout, cmd.Stderr = out, out
	ts.Check(cmd.Start())
	ts.Defer(func() { _ = cmd.Process.Kill() })
	remembered(ts).ping = &background{cmd, out}
	answers(ts, out, 5) // some are to be from before the change
}

// answers waits for so many more answers to the pings that out is of.
func answers(ts *testscript.TestScript, out *output, more int) {
	had := strings.Count(out.String(), "bytes from")
	for deadline := time.Now().Add(patience); strings.Count(out.String(), "bytes from") < had+more; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			ts.Fatalf("pings are no longer answered:\n%s", tail(out.String(), 6))
		}
	}
}

// sequence is what an answer to a ping says of which it answers.
var sequence = regexp.MustCompile(`icmp_seq=(\d+) .*ttl=`)

// noLoss wants an answer to each ping but to those that are still under way, and some from
// after the change.
func noLoss(ts *testscript.TestScript, neg bool, args []string) {
	bg := remembered(ts).ping
	usage(ts, neg, len(args) == 0 && bg != nil, "no-loss, after pinging")
	answers(ts, bg.out, 5)
	ts.Check(bg.cmd.Process.Signal(syscall.SIGINT))
	_, err := exitCode(bg.cmd.Wait())
	ts.Check(err)
	remembered(ts).ping = nil
	for i, answer := range sequence.FindAllStringSubmatch(bg.out.String(), -1) {
		if answer[1] != strconv.Itoa(i+1) {
			ts.Fatalf("ping %d was lost:\n%s", i+1, tail(bg.out.String(), 6))
		}
	}
}

func tail(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

func until(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) >= 1, "until CMD...")
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		err := ts.Exec(args[0], args[1:]...)
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("waited in vain for %s: %v", strings.Join(args, " "), err)
		}
	}
}

func replace(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 3, "replace FILE OLD NEW")
	old, new := strings.ReplaceAll(args[1], `\n`, "\n"), strings.ReplaceAll(args[2], `\n`, "\n")
	text := ts.ReadFile(args[0])
	if n := strings.Count(text, old); n != 1 {
		ts.Fatalf("%s holds %q %d times, want once", args[0], old, n)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Replace(text, old, new, 1)), 0o644))
}

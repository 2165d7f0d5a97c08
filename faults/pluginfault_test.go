package faults

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cnmctl/cnmctl/cli"
	"github.com/cnmctl/cnmctl/e2e/apart"
)

// pluggedEdits change what plugins hold: the network is made anew, its endpoint goes and
// another one comes.
var pluggedEdits = strings.NewReplacer(
	`scope   = "global"`, "scope   = \"global\"\n    options = { colour = \"blue\" }",
	`toset(["web"])`, `toset(["app"])`,
)

// pluggedStage is a run in the life of a plugged stack, with the calls that it makes.
type pluggedStage struct {
	stage
	calls []string
	// holds are what the plugins hold around the run.
	holdsBefore, holdsAfter string
}

// holds is what the plugins hold.
func (o *outlet) holds() string {
	held := append(o.driver.Left(), o.ipam.Left()...)
	slices.Sort(held)
	return strings.Join(held, "\n")
}

// pluggedStages are the runs in the life of a plugged stack.
func pluggedStages(t *testing.T, text string) []stage {
	all := stages(folder(t, text), folder(t, pluggedEdits.Replace(text)))
	for i := range all {
		for _, args := range []*[]string{&all[i].run, &all[i].plan, &all[i].back} {
			*args = append(*args, "-host=h")
		}
	}
	return all
}

// pluggedLife goes through a life on a machine with plugins, and has each look at its stages
// from where they begin.
func pluggedLife(t *testing.T, text string, each func(t *testing.T, o *outlet, s pluggedStage)) {
	t.Parallel()
	apart.Test(t, func(t *testing.T) {
		o := plugIn(t)
		for _, s := range pluggedStages(t, text) {
			must(t, 0, s.run...) // which address is counted up to depends on the past
			must(t, 0, s.back...)
			p := pluggedStage{stage: s, holdsBefore: o.holds()}
			p.before = settled(t)
			o.do(-1, nil)
			must(t, 0, s.run...)
			p.calls, p.holdsAfter = o.seen(), o.holds()
			p.after = settled(t)
			must(t, 0, s.plan...)
			must(t, 0, s.back...)
			p.isBefore(t, o)
			t.Run(s.name, func(t *testing.T) { each(t, o, p) })
			if t.Failed() {
				return
			}
			must(t, 0, s.run...)
		}
	})
}

// settled is the machine when the kernel has noticed that ports of the plugin's bridges have
// a carrier, which takes it up to a second (linkwatch).
func settled(t *testing.T) string {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if now := machine(t); !strings.Contains(now, "bridge_slave state disabled") {
			return now
		}
		if time.Now().After(deadline) {
			t.Fatal("a port of a bridge does not get a carrier")
		}
	}
}

func (s pluggedStage) isBefore(t *testing.T, o *outlet) {
	t.Helper()
	isLike(t, s.before)
	if now := o.holds(); now != s.holdsBefore {
		t.Fatalf("the plugins do not hold what they held:\n%s", difference(s.holdsBefore, now))
	}
}

func (s pluggedStage) isAfter(t *testing.T, o *outlet) {
	t.Helper()
	isLike(t, s.after)
	if now := o.holds(); now != s.holdsAfter {
		t.Fatalf("the plugins do not hold what they should:\n%s", difference(s.holdsAfter, now))
	}
}

// eachCall calls f with the calls of the stage, in short tests with some, until it fails.
func (s pluggedStage) eachCall(t *testing.T, f func(t *testing.T, n int)) {
	step := 1
	if testing.Short() {
		step = 11
	}
	t.Logf("%d calls", len(s.calls))
	for n := 0; n < len(s.calls) && !t.Failed(); n += step {
		t.Run(fmt.Sprintf("%d: %s", n, s.calls[n]), func(t *testing.T) { f(t, n) })
	}
}

// harm is what happens to a call.
type harm func(w http.ResponseWriter, r *http.Request, ask func() *http.Response)

// harms are what a plugin can do wrong, and what is to be read of it in the error. Every
// second one was asked.
var harms = []struct {
	says string
	harm harm
}{
	{"HTTP status 500: \"out of order\"", func(w http.ResponseWriter, _ *http.Request, _ func() *http.Response) {
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprint(w, "out of order")
	}},
	{"the answer is not what the protocol says", func(w http.ResponseWriter, _ *http.Request, ask func() *http.Response) {
		ask()
		fmt.Fprint(w, "<html>")
	}},
	{"out of stock", func(w http.ResponseWriter, _ *http.Request, _ func() *http.Response) {
		fmt.Fprint(w, `{"Err": "out of stock"}`)
	}},
	{"broke off", func(w http.ResponseWriter, _ *http.Request, ask func() *http.Response) {
		answer := ask()
		w.Header().Set("Content-Length", "1000")
		_, _ = io.Copy(w, answer.Body)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}},
	{"HTTP status 404", func(w http.ResponseWriter, r *http.Request, _ func() *http.Response) { http.NotFound(w, r) }},
	{"EOF", func(_ http.ResponseWriter, _ *http.Request, ask func() *http.Response) {
		ask()
		panic(http.ErrAbortHandler)
	}},
}

// hangs: the plugin does what it is asked for, or not, and does not answer.
func hangs(asks bool) harm {
	return func(_ http.ResponseWriter, r *http.Request, ask func() *http.Response) {
		if asks {
			ask()
		}
		<-r.Context().Done()
	}
}

// comesToHarm has harm done to call n: the run says so and puts everything back, or does
// without that call.
func (s pluggedStage) comesToHarm(t *testing.T, o *outlet, n int, h harm, want string) {
	t.Helper()
	o.do(n, h)
	code, out := cnmctl(cli.Env{}, s.run...)
	if code == 0 {
		if !optional(s.calls[n]) {
			t.Errorf("nobody heard of it:\n%s", out)
		}
		must(t, 0, s.plan...)
		must(t, 0, s.back...)
		s.isBefore(t, o)
		return
	}
	name, call, _ := strings.Cut(s.calls[n], " ")
	said := words(out)
	undone := strings.Contains(said, "Rolled back") || strings.Contains(said, "Nothing was changed")
	if code != 1 || !undone || !strings.Contains(said, `plugin "`+name+`", `+call) || !strings.Contains(said, want) {
		t.Errorf("exit code %d, want %q\n%s", code, want, out)
	}
	s.isBefore(t, o)
}

// optional reports that a run may succeed although the call did not: older plugins do not
// know it, it can be repeated, or what counts comes after it.
func optional(call string) bool {
	_, method, _ := strings.Cut(call, ".")
	return slices.Contains([]string{
		"GetCapabilities", "GetDefaultAddressSpaces", "Activate", "AllocateNetwork", "FreeNetwork", "EndpointOperInfo", "DiscoverNew", "DiscoverDelete",
		"ProgramExternalConnectivity", "RevokeExternalConnectivity", "Leave",
	}, method)
}

// TestPluginFails: whichever call fails, and however, the run says which one, and kernel,
// store and plugins are as they were.
func TestPluginFails(t *testing.T) {
	pluggedLife(t, plugged, func(t *testing.T, o *outlet, s pluggedStage) {
		s.eachCall(t, func(t *testing.T, n int) {
			for i := n; i < n+2; i++ { // one that was asked, and one that was not
				h := harms[i%len(harms)]
				t.Run(h.says, func(t *testing.T) { s.comesToHarm(t, o, n, h.harm, h.says) })
			}
		})
	})
}

// TestPluginHangs: a plugin that does not answer is waited for no longer than is written.
// What comes then is as after an answer that broke off, so that a call of each stage will do.
func TestPluginHangs(t *testing.T) {
	calls := map[string]string{"create": "Join", "change": "CreateEndpoint", "destroy": "ReleaseAddress"}
	impatient := strings.ReplaceAll(plugged, "timeout = 60", "timeout = 10")
	pluggedLife(t, impatient, func(t *testing.T, o *outlet, s pluggedStage) {
		n := slices.IndexFunc(s.calls, func(call string) bool { return strings.HasSuffix(call, "."+calls[s.name]) })
		s.comesToHarm(t, o, n, hangs(s.name != "change"), "no answer within 10s")
	})
}

// TestDeathBeforeCall and TestDeathAfterCall: whatever call a run dies at, the plugin asked or
// not, the next one ends what was begun, and nothing is left in a plugin or the kernel.
func TestDeathBeforeCall(t *testing.T) { pluggedLife(t, plugged, dyingAtCall(false)) }
func TestDeathAfterCall(t *testing.T)  { pluggedLife(t, plugged, dyingAtCall(true)) }

func dyingAtCall(asks bool) func(*testing.T, *outlet, pluggedStage) {
	return func(t *testing.T, o *outlet, s pluggedStage) {
		s.eachCall(t, func(t *testing.T, n int) {
			s.dies(t, o, n, asks)
			must(t, 0, s.run...)
			must(t, 0, s.plan...)
			s.isAfter(t, o)
			must(t, 0, s.back...)
			s.isBefore(t, o)
		})
	}
}

// dies has the run killed at call n, before it gets to the plugin or after it was done.
func (s pluggedStage) dies(t *testing.T, o *outlet, n int, asks bool) {
	t.Helper()
	var child atomic.Int64
	cmd := command(s.run)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	started := make(chan struct{})
	o.do(n, func(_ http.ResponseWriter, r *http.Request, ask func() *http.Response) {
		<-started
		if asks {
			ask()
		}
		_ = syscall.Kill(int(child.Load()), syscall.SIGKILL)
		<-r.Context().Done()
	})
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	child.Store(int64(cmd.Process.Pid))
	close(started)
	_ = cmd.Wait()
	if status := cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != syscall.SIGKILL {
		t.Fatalf("the process did not die:\n%s", out.String())
	}
	o.do(-1, nil)
}

package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/cnmctl/cnmctl/applier"
	"github.com/cnmctl/cnmctl/bench/idle"
	ucli "github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"
)

func benchCommand(env Env) *ucli.Command {
	return &ucli.Command{
		Name:  "bench",
		Usage: "Measure this machine: plan, apply and destroy many sandboxes",
		Description: about(`Plans, applies, plans again and destroys a network with many sandboxes, and prints where the
time went. Between the steps it waits until the machine has come to rest. It does so in namespaces of its own that are gone afterwards: nothing of the machine is touched.`,
			"cnmctl bench", "cnmctl bench -n=100 -json"),
		Flags: flags([]ucli.Flag{
			&ucli.IntFlag{Name: "n", Value: 1000, Usage: "`NUMBER` of sandboxes (default 1000)"},
			toggle("json", "write a JSON object"),
			&ucli.StringFlag{Name: "inside", Hidden: true},
		}),
		Action: action(env, bench),
	}
}

func bench(ctx context.Context, s *session) error {
	if err := s.arguments(0, 0); err != nil {
		return err
	}
	if s.Int("n") < 1 {
		return s.misuse(errors.New("-n has to be at least 1"))
	}
	if s.String("inside") == "" {
		return benchApart(s)
	}
	report, err := benchInside(ctx, s)
	if err != nil {
		return err
	}
	if s.Bool("json") {
		return s.document(report)
	}
	report.print(s)
	return nil
}

// benchApart runs this program again in a network and mount namespace of its own.
func benchApart(s *session) error {
	here, err := namespaces()
	if err != nil {
		return err
	}
	argv := []string{os.Args[0], "bench", "-inside=" + here, fmt.Sprintf("-n=%d", s.Int("n")), fmt.Sprintf("-json=%t", s.Bool("json"))}
	p, err := os.StartProcess("/proc/self/exe", argv, &os.ProcAttr{
		Env:   s.env.Environ(),
		Files: []*os.File{os.Stdin, os.Stdout, os.Stderr},
		Sys: &syscall.SysProcAttr{
			Unshareflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS,
			Pdeathsig:    unix.SIGKILL,
		},
	})
	if err != nil {
		return fmt.Errorf("making namespaces to measure in (it takes root): %w", err)
	}
	end, err := p.Wait()
	if err != nil {
		return err
	}
	if !end.Success() {
		return quietly(codeError)
	}
	return nil
}

// benchReport is what was measured.
type benchReport struct {
	Sandboxes  int        `json:"sandboxes"`
	Operations int        `json:"operations"`
	Runs       []benchRun `json:"runs"`
	PeakMemory int64      `json:"peak_memory_bytes"`
}

// benchRun is one of the runs, with the time of each of its phases.
type benchRun struct {
	Name   string          `json:"name"`
	Took   time.Duration   `json:"took_ns"`
	Phases []applier.Phase `json:"phases"`
}

// benchInside runs the workload in the namespaces that the process was started in. It
// refuses to do so on the host.
func benchInside(ctx context.Context, s *session) (*benchReport, error) {
	if err := coverHost(s.String("inside")); err != nil {
		return nil, fmt.Errorf("covering the host's directories: %w", err)
	}
	dir := "/run/cnmctl-bench"
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "bench.hcl"), []byte(workload(s.Int("n"))), 0o600); err != nil {
		return nil, err
	}
	if err := os.Chdir(dir); err != nil {
		return nil, err
	}
	report := &benchReport{Sandboxes: s.Int("n")}
	for _, step := range []struct {
		name             string
		destroy, nothing bool
	}{{"apply", false, false}, {"plan again", false, true}, {"destroy", true, false}} {
		if err := comeToRest(ctx, s.Int("n"), len(report.Runs) > 0); err != nil {
			return nil, err
		}
		begin := time.Now()
		f, err := benchStep(ctx, s, step.destroy, step.nothing)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", step.name, err)
		}
		report.Runs = append(report.Runs, benchRun{step.name, time.Since(begin), merge(f.phases)})
		report.Operations = max(report.Operations, len(f.plan.Ops))
	}
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err == nil {
		report.PeakMemory = usage.Maxrss << 10
	}
	return report, nil
}

// comeToRest waits until what was made is quiet; a few interfaces make no noise.
func comeToRest(ctx context.Context, n int, made bool) error {
	if !made || n < 200 {
		return nil
	}
	return idle.Wait(ctx, time.Minute)
}

// namespaces names the network and mount namespaces of the process.
func namespaces() (string, error) {
	network, err := os.Readlink("/proc/self/ns/net")
	mounts, err2 := os.Readlink("/proc/self/ns/mnt")
	return network + "," + mounts, errors.Join(err, err2)
}

// coverHost makes what is mounted here private and lays empty file systems over all
// directories that a run writes to. It refuses to do so in the host's namespaces.
func coverHost(host string) error {
	here, err := namespaces()
	if err != nil {
		return err
	}
	for _, ns := range strings.Split(here, ",") {
		if strings.Contains(host, ns) {
			return fmt.Errorf("%s is the host's own namespace", ns)
		}
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return os.NewSyscallError("mount", err)
	}
	for _, dir := range []string{"/run", "/etc", "/var/lib"} {
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=0755"); err != nil {
			return &os.PathError{Op: "mount", Path: dir, Err: err}
		}
	}
	return nil
}

// workload is one dual-stack bridge network with n sandboxes.
func workload(n int) string {
	return fmt.Sprintf(`cnm {
  stack = "bench"
}

network "bench" {
  subnet { cidr = "10.64.0.0/12" }
  subnet { cidr = "fd64::/64" }
}

sandbox "box" {
  for_each = toset([for i in range(%d) : "b${i}"])
}

endpoint "box" {
  for_each = sandbox.box
  network  = network.bench
  sandbox  = each.value
}
`, n)
}

// benchStep plans, and carries the plan out unless there is to be nothing to do. What it
// opened is closed again, as at the end of a process: an open socket keeps a namespace
// alive.
func benchStep(ctx context.Context, parent *session, destroy, nothing bool) (*flow, error) {
	s := *parent
	s.closers = nil
	defer s.close()
	f := &flow{s: &s, destroy: destroy}
	if err := f.begin(ctx); err != nil {
		return nil, err
	}
	if err := f.makePlan(ctx); err != nil {
		return nil, err
	}
	if nothing {
		if !f.plan.Empty() {
			return nil, fmt.Errorf("%d operations are planned where there should be none", len(f.plan.Ops))
		}
		return f, nil
	}
	result, err := applier.Run(ctx, f.plan, f.targets(), applier.Options{Before: f.before, Keep: true, Abort: s.hard})
	f.phases = append(f.phases, result.Phases...)
	return f, err
}

// merge adds up phases of one name, in the order in which they first occur.
func merge(phases []applier.Phase) (merged []applier.Phase) {
	index := map[string]int{}
	for _, p := range phases {
		i, ok := index[p.Name]
		if !ok {
			i = len(merged)
			index[p.Name] = i
			merged = append(merged, applier.Phase{Name: p.Name})
		}
		merged[i].Took += p.Took
		merged[i].Ops += p.Ops
	}
	return merged
}

// print writes the report as a table.
func (r *benchReport) print(s *session) {
	w := tabwriter.NewWriter(s.say.text, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "%d sandboxes\ttime\tper sandbox\toperations\n", r.Sandboxes)
	line := func(name string, took time.Duration, ops string) {
		fmt.Fprintf(w, "%s\t%.1f ms\t%.1f µs\t%s\n", name, took.Seconds()*1e3, took.Seconds()*1e6/float64(r.Sandboxes), ops)
	}
	for _, run := range r.Runs {
		line(run.Name, run.Took, "")
		for _, p := range run.Phases {
			ops := ""
			if p.Ops > 0 {
				ops = fmt.Sprint(p.Ops)
			}
			line("  "+p.Name, p.Took, ops)
		}
	}
	w.Flush()
	s.say.line("peak memory: %d MB", r.PeakMemory>>20)
}

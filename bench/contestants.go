package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/cnmctl/cnmctl/bench/idle"
)

// toolsEnv is where a child finds the programs.
const toolsEnv = "CNMCTL_BENCH_TOOLS"

const (
	batchName  = "ip -batch"
	bareName   = "bare netlink"
	cnmctlName = "cnmctl"
)

// patience is how long the machine may take to come to rest after a creation.
const patience = time.Minute

type contestant struct {
	name    string
	measure func(n int) (result, error)
}

var contestants = []contestant{{batchName, measureBatch}, {bareName, measureBare}, {cnmctlName, measureCnmctl}}

// usage is what a finished command cost.
type usage struct {
	took time.Duration
	rss  int64
}

// timed runs a command to its end.
func timed(name string, args ...string) (usage, error) { return timedWith(nil, name, args...) }

func timedWith(stdin io.Reader, name string, args ...string) (usage, error) {
	cmd := exec.Command(name, args...)
	cmd.Stdin = stdin
	start := time.Now()
	out, err := cmd.CombinedOutput()
	u := usage{took: time.Since(start)}
	if err != nil {
		return u, fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	if r, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		u.rss = r.Maxrss * 1024
	}
	return u, nil
}

// waitGone waits until no interface but lo is left, and is how long that took since start.
func waitGone(start time.Time) (time.Duration, error) {
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(2 * time.Millisecond) {
		links, err := os.ReadDir("/sys/class/net")
		if err != nil {
			return 0, err
		}
		if len(links) == 1 {
			return time.Since(start), nil
		}
		if time.Now().After(deadline) {
			return 0, errors.New("interfaces are left two minutes after destroy")
		}
	}
}

func measureBare(n int) (result, error) {
	bare := filepath.Join(os.Getenv(toolsEnv), "bare")
	made, err := timed(bare, "create", fmt.Sprint(n))
	if err != nil {
		return result{}, err
	}
	if err := idle.Wait(context.Background(), patience); err != nil {
		return result{}, err
	}
	start := time.Now()
	gone, err := timed(bare, "destroy", fmt.Sprint(n))
	if err != nil {
		return result{}, err
	}
	all, err := waitGone(start)
	return result{Create: made.took, Destroy: gone.took, Gone: all, PeakRSS: max(made.rss, gone.rss), Programs: 1}, err
}

const config = `
network "lab" {
  subnet { cidr = "10.64.0.0/16" }
  subnet { cidr = "fd64::/64" }
}

sandbox "box" {
  for_each = toset([for i in range(%d) : tostring(i)])
}

endpoint "box" {
  for_each = sandbox.box
  network  = network.lab
  sandbox  = each.value
}
`

func measureCnmctl(n int) (r result, err error) {
	dir, err := os.MkdirTemp("", "cnmctl-bench-config-")
	if err != nil {
		return r, err
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(filepath.Join(dir, "main.hcl"), fmt.Appendf(nil, config, n), 0o644); err != nil {
		return r, err
	}
	cnmctl := func(args ...string) time.Duration {
		if err != nil {
			return 0
		}
		var u usage
		u, err = timed(filepath.Join(os.Getenv(toolsEnv), "cnmctl"), append([]string{"-chdir=" + dir}, args...)...)
		r.PeakRSS = max(r.PeakRSS, u.rss)
		return u.took
	}
	r.Programs = 1
	r.Plan = cnmctl("plan")
	r.Create = cnmctl("apply", "-auto-approve")
	if err := errors.Join(err, idle.Wait(context.Background(), patience)); err != nil {
		return r, err
	}
	r.Noop = cnmctl("plan", "-detailed-exitcode")
	start := time.Now()
	r.Destroy = cnmctl("destroy", "-auto-approve")
	if err != nil {
		return r, err
	}
	r.Gone, err = waitGone(start)
	return r, err
}

// Command bench measures cnmctl beside two baselines in one run: `ip -batch`, as a script
// would use it, and the bare netlink program in bench/bare. The workload: one bridge
// network and N sandboxes, each with one dual-stack endpoint, a default route a family and
// a hosts file that names all of them; masquerading; then all of it destroyed until the
// last interface is gone. Every run has throwaway namespaces.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/cnmctl/cnmctl/e2e/apart"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() error {
	sizes := flag.String("n", "100,1000", "how many sandboxes, separated by commas")
	runs := flag.Int("runs", 3, "runs of each, of which the median counts")
	binary := flag.String("cnmctl", "bin/cnmctl", "the binary to measure")
	check := flag.Bool("check", false, "fail when a limit is exceeded")
	child := flag.String("child", "", "measure this contestant here (the program calls itself)")
	flag.Parse()
	if *child != "" {
		return measureHere(*child, *sizes)
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("needs root, to make network namespaces")
	}
	tools, err := prepare(*binary)
	if err != nil {
		return err
	}
	defer os.RemoveAll(tools)
	table, err := measureAll(tools, strings.Split(*sizes, ","), *runs)
	if err != nil {
		return err
	}
	table.print(os.Stdout)
	if broken := table.broken(); len(broken) > 0 {
		fmt.Printf("\nlimits exceeded:\n  %s\n", strings.Join(broken, "\n  "))
		if *check {
			return fmt.Errorf("%d limits exceeded", len(broken))
		}
	}
	return nil
}

// prepare gathers the programs in one folder: cnmctl and the bare program, built now.
func prepare(binary string) (string, error) {
	dir, err := os.MkdirTemp("", "cnmctl-bench-")
	if err != nil {
		return "", err
	}
	binary, err = filepath.Abs(binary)
	if err != nil {
		return "", err
	}
	if err := os.Symlink(binary, filepath.Join(dir, "cnmctl")); err != nil {
		return "", err
	}
	_, err = timed("go", "build", "-o", filepath.Join(dir, "bare"), "./bench/bare")
	return dir, err
}

// measureAll runs every contestant, taking turns, so that a busy moment hits all alike.
func measureAll(tools string, sizes []string, runs int) (table, error) {
	var t table
	for _, size := range sizes {
		n, err := strconv.Atoi(size)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("-n: %q is not a number of sandboxes", size)
		}
		samples := map[string][]result{}
		for range runs {
			for _, who := range contestants {
				r, err := measureApart(tools, who.name, size)
				if err != nil {
					return nil, fmt.Errorf("%s, %s sandboxes: %w", who.name, size, err)
				}
				samples[who.name] = append(samples[who.name], r)
			}
		}
		for _, who := range contestants {
			t = append(t, row{n, who.name, median(samples[who.name])})
		}
	}
	return t, nil
}

// measureApart has a child do it in namespaces of its own.
func measureApart(tools, who, size string) (result, error) {
	cmd := apart.Command("/proc/self/exe", "-child", who, "-n", size)
	cmd.Env = append(os.Environ(), toolsEnv+"="+tools)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return result{}, fmt.Errorf("%w: %s", err, out)
	}
	var r result
	return r, json.Unmarshal(out, &r)
}

func measureHere(who, size string) error {
	if err := apart.Settle(); err != nil {
		return err
	}
	n, err := strconv.Atoi(size)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(contestants, func(c contestant) bool { return c.name == who })
	if i < 0 {
		return fmt.Errorf("there is no contestant %q", who)
	}
	r, err := contestants[i].measure(n)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

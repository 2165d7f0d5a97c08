// Command cluster measures what hosts of a cluster do for each other: how soon an endpoint
// answers from another host, how long one that moves is missed, and how long a thousand
// endpoints take to be known on ten hosts. The hosts are namespaces of this machine, with a
// real Consul and a real agent each. It reports; nothing fails on time.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cnmctl/cnmctl/e2e/apart"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench/cluster:", err)
		os.Exit(1)
	}
}

func run() error {
	binary := flag.String("cnmctl", "bin/cnmctl", "the binary to measure")
	rounds := flag.Int("rounds", 15, "how often to repeat what is quick; the median counts")
	hosts := flag.Int("hosts", 10, "hosts of the big network")
	endpoints := flag.Int("endpoints", 1000, "endpoints of the big network; 0 for none")
	logs := flag.String("logs", "", "an existing directory for the agents' logs")
	inside := flag.Bool("inside", false, "this process has namespaces of its own (the program calls itself)")
	flag.Parse()
	if !*inside {
		return again(*binary, os.Args[1:])
	}
	if err := apart.Settle(); err != nil {
		return err
	}
	for _, measure := range []func() error{
		func() error { return measureQuick(*binary, *logs, *rounds) },
		func() error { return measureBig(*binary, *logs, *hosts, *endpoints) },
	} {
		if err := measure(); err != nil {
			return err
		}
	}
	return nil
}

// again runs the program in namespaces of its own.
func again(binary string, args []string) error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("needs root, to make network namespaces")
	}
	binary, err := filepath.Abs(binary)
	if err != nil {
		return err
	}
	cmd := apart.Command("/proc/self/exe", append(args, "-inside", "-cnmctl="+binary)...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}

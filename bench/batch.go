package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cnmctl/cnmctl/bench/idle"
)

// measureBatch does the workload as a good script would: one `ip -batch` for the host, one
// for each namespace, nft for the rule. Links are born where they belong; nothing is moved
// or renamed.
func measureBatch(n int) (r result, err error) {
	step := func(stdin, name string, args ...string) {
		if err != nil {
			return
		}
		var u usage
		u, err = timedWith(strings.NewReader(stdin), name, args...)
		r.PeakRSS = max(r.PeakRSS, u.rss)
		r.Programs++
	}
	start := time.Now()
	step("", "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
	step("table inet batch { chain post { type nat hook postrouting priority srcnat; oifname != \"batch0\" ip saddr 10.64.0.0/16 masquerade; }; }", "nft", "-f", "-")
	step(hostBatch(n), "ip", "-batch", "-")
	for i := range n {
		step(namespaceBatch(i), "ip", "-n", batchNamespace(i), "-batch", "-")
	}
	if err == nil {
		err = batchHosts(n)
	}
	r.Create = time.Since(start)

	if err := errors.Join(err, idle.Wait(context.Background(), patience)); err != nil {
		return r, err
	}
	start = time.Now()
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "netns del %s\n", batchNamespace(i))
	}
	step(b.String()+"link del batch0\n", "ip", "-batch", "-")
	step("", "nft", "delete", "table", "inet", "batch")
	step("", "rm", "-rf", "/etc/netns")
	r.Destroy = time.Since(start)
	if err != nil {
		return r, err
	}
	r.Gone, err = waitGone(start)
	return r, err
}

func batchNamespace(i int) string { return fmt.Sprintf("batch-%d", i) }

func batchAddr(i int) (v4, v6 string) {
	k := i + 2
	return fmt.Sprintf("10.64.%d.%d", k>>8, k&255), fmt.Sprintf("fd64::%x", k)
}

func hostBatch(n int) string {
	var b strings.Builder
	b.WriteString("link add batch0 type bridge\naddr add 10.64.0.1/16 dev batch0\n" +
		"addr add fd64::1/64 dev batch0 nodad\nlink set batch0 up\n")
	for i := range n {
		ns := batchNamespace(i)
		fmt.Fprintf(&b, "netns add %s\n", ns)
		fmt.Fprintf(&b, "link add batch-p%d master batch0 type veth peer name eth0 netns %s\n", i, ns)
		fmt.Fprintf(&b, "link set batch-p%d up\n", i)
	}
	return b.String()
}

func namespaceBatch(i int) string {
	v4, v6 := batchAddr(i)
	return fmt.Sprintf("link set lo up\nlink set eth0 up\naddr add %s/16 dev eth0\naddr add %s/64 dev eth0 nodad\n"+
		"route add default via 10.64.0.1\nroute add default via fd64::1\n", v4, v6)
}

func batchHosts(n int) error {
	var b strings.Builder
	for i := range n {
		v4, v6 := batchAddr(i)
		fmt.Fprintf(&b, "%s %s\n%s %s\n", v4, batchNamespace(i), v6, batchNamespace(i))
	}
	for i := range n {
		dir := filepath.Join("/etc/netns", batchNamespace(i))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, "hosts"), []byte(b.String()), 0o644); err != nil {
			return err
		}
	}
	return nil
}

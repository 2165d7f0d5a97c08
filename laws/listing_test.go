package laws

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strings"

	"time"
)

// listing is the kernel and the files of this throwaway host in the words of iproute2 and
// nft, without what differs between two equal kernels: interface and namespace numbers,
// counters and life times.
func listing(t fataler) string {
	t.Helper()
	last := once(t)
	for range 100 { // carrier and link-local addresses settle a moment after the links
		time.Sleep(20 * time.Millisecond)
		now := once(t)
		if now == last && !strings.Contains(now, "tentative") {
			return now
		}
		last = now
	}
	t.Fatalf("the kernel does not come to rest:\n%s", last)
	return ""
}

func once(t fataler) string {
	t.Helper()
	var b bytes.Buffer
	spaces := strings.Fields(first(witness(t, "ip", "netns", "list")))
	sort.Strings(spaces)
	for _, ns := range append([]string{""}, spaces...) {
		fmt.Fprintf(&b, "=== namespace %q\n", ns)
		for _, view := range []string{"-d link", "addr", "route show table all", "-6 route show table all", "rule", "-6 rule", "neigh show nud permanent"} {
			args := strings.Fields(view)
			if ns != "" {
				args = append([]string{"-n", ns}, args...)
			}
			b.WriteString(normal(witness(t, "ip", args...)))
		}
	}
	b.WriteString("=== nft\n" + witness(t, "nft", "list", "ruleset"))
	for _, dir := range []string{"/etc/netns", "/var/lib/cnmctl", "/run/netns"} {
		for _, f := range tree(dir) {
			b.WriteString("=== " + f + "\n")
		}
	}
	return b.String()
}

// first keeps the first word of each line: `ip netns list` adds "(id: 3)".
func first(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if words := strings.Fields(line); len(words) > 0 {
			b.WriteString(words[0] + "\n")
		}
	}
	return b.String()
}

// varying is what differs between two kernels that are the same.
var varying = []struct {
	find *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`(?m)^\d+: `), ""},
	{regexp.MustCompile(`@if\d+`), "@if"},
	{regexp.MustCompile(`link-netns(id)? \S+`), "link-netns"},
	{regexp.MustCompile(`(bridge_id|designated_bridge|designated_root|root_id) \S+`), "$1"},
	{regexp.MustCompile(`(hello_timer|tcn_timer|topology_change_timer|gc_timer|hold_timer|message_age_timer|forward_delay_timer) +[\d.]+`), "$1"},
	{regexp.MustCompile(`(port_id|port_no|designated_port) \S+`), "$1"},
}

// normal takes out what varies and sorts the blocks that begin at a line's start, since
// interface numbers decide their order.
func normal(text string) string {
	for _, v := range varying {
		text = v.find.ReplaceAllString(text, v.with)
	}
	var blocks []string
	for line := range strings.Lines(text) {
		if len(blocks) > 0 && (line[0] == ' ' || line[0] == '\t') {
			blocks[len(blocks)-1] += line
			continue
		}
		blocks = append(blocks, line)
	}
	sort.Strings(blocks)
	return strings.Join(blocks, "")
}

// tree lists the files below dir with their contents, sorted.
func tree(dir string) []string {
	var found []string
	_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		entry := path
		if d.Type().IsRegular() && !strings.HasPrefix(path, "/run/netns") {
			text, _ := os.ReadFile(path)
			entry += "\n" + string(text)
		}
		found = append(found, entry)
		return nil
	})
	return found
}

// witness runs a program that knows nothing of cnmctl.
func witness(t fataler, name string, args ...string) string {
	t.Helper()
	var out, problem bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = &out, &problem
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, problem.String())
	}
	return out.String()
}

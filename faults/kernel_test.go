package faults

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// kernelText is all that the kernel holds of the network, in the words of iproute2 and
// nft, for the script's machine and every named namespace; and the files that belong to it.
func kernelText(dirs ...string) (string, error) {
	var b strings.Builder
	namespaces, err := names("/run/netns")
	if err != nil {
		return "", err
	}
	for _, ns := range append([]string{""}, namespaces...) {
		if err := writeNamespace(&b, ns); err != nil {
			return "", err
		}
	}
	for _, dir := range append(dirs, "/etc/netns", "/run/netns") {
		if err := writeFiles(&b, dir); err != nil {
			return "", err
		}
	}
	return b.String(), nil
}

// views are what a namespace is looked at through. One shell runs them all, since going
// into a namespace costs more than most of them.
var views = []string{
	"ip -o -d link show", "ip -o address show", "ip route show table all", "ip -6 route show table all",
	"ip rule show", "ip -6 rule show", "ip neighbor show nud permanent", "bridge -o -d link show", "nft -s list ruleset",
	// Some settings are only for writing, hence the ||.
	"grep -rs '' /proc/sys/net/ipv4 /proc/sys/net/ipv6 || test $? -le 2",
}

func writeNamespace(b *strings.Builder, ns string) error {
	title := "host"
	words := []string{"sh", "-ec", strings.Join(views, "; echo '=== next'; ")}
	if ns != "" {
		title = "namespace " + ns
		words = append([]string{"ip", "netns", "exec", ns}, words...)
	}
	out, err := exec.Command(words[0], words[1:]...).CombinedOutput()
	parts := strings.Split(string(out), "=== next\n")
	if err != nil || len(parts) != len(views) {
		return fmt.Errorf("looking at %s: %w: %s", title, err, out)
	}
	for i, view := range views {
		fmt.Fprintf(b, "== %s: %s\n%s", title, view, settled(ns, view, parts[i]))
	}
	return nil
}

// volatile is what differs between two looks at one kernel: indices, timers, what a
// bridge learned, and how far a link got with coming up.
var volatile = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`(?m)^\d+: `), ""},
	{regexp.MustCompile(`(?m)^([^ :@]+)@[^ :]+:`), "$1:"}, // bridge(8) looks the peer's index up in the wrong namespace
	{regexp.MustCompile(`link-netnsid \d+`), "link-netnsid"},
	{regexp.MustCompile(`_timer +[\d.]+`), "_timer"},
	{regexp.MustCompile(`fdb_n_learned \d+`), "fdb_n_learned"},
	{regexp.MustCompile(`port_id \w+ port_no \w+`), "port_id port_no"},
	{regexp.MustCompile(`designated_port \d+`), "designated_port"},
	{regexp.MustCompile(` (tentative|dadfailed|linkdown)\b`), ""},
	{regexp.MustCompile(` state (UP|UNKNOWN|LOWERLAYERDOWN) `), " state "},
	{regexp.MustCompile(` +\\ +`), ` \ `},
	{regexp.MustCompile(` +(\n|$)`), "$1"},
}

func settled(ns, view, text string) string {
	lines := strings.SplitAfter(text, "\n")
	switch {
	case strings.HasPrefix(view, "nft"):
		return text
	case strings.HasPrefix(view, "grep"):
		lines = slices.DeleteFunc(lines, func(line string) bool { return isOthers(ns, line) })
	default:
		for _, v := range volatile {
			text = v.pattern.ReplaceAllString(text, v.with)
		}
		lines = slices.DeleteFunc(strings.SplitAfter(text, "\n"), comesLate)
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

// comesLate reports a route to an interface's own link-local address, which the kernel
// adds when it has made sure that nobody else has it, a second or two later.
func comesLate(line string) bool {
	return strings.HasPrefix(line, "local fe80::") || strings.HasPrefix(line, "anycast fe80::")
}

// switched are the settings that cnmctl turns on for the host and leaves on, and what the
// kernel changes along with them.
var switched = []string{"/ip_forward", "/forwarding", "/mc_forwarding", "/accept_redirects"}

// isOthers reports that a setting is not the stack's.
func isOthers(ns, line string) bool {
	path, _, _ := strings.Cut(line, ":")
	isSwitch := func(name string) bool { return strings.HasSuffix(path, name) }
	return strings.HasSuffix(path, "/stable_secret") || ns == "" && slices.ContainsFunc(switched, isSwitch)
}

// writeFiles lists every file below dir with its mode and a digest.
func writeFiles(b *strings.Builder, dir string) error {
	fmt.Fprintf(b, "== %s\n", dir)
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil
		}
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		text := ""
		if d.Type().IsRegular() && dir != "/run/netns" {
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text = fmt.Sprintf(" %x", sha256.Sum256(content))[:16]
		}
		fmt.Fprintf(b, "%s %s%s\n", info.Mode(), path, text)
		return nil
	})
}

// names lists a directory, which need not be there.
func names(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	list := make([]string, len(entries))
	for i, e := range entries {
		list[i] = e.Name()
	}
	return list, nil
}

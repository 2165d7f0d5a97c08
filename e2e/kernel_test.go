package e2e

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
	"time"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/rogpeppe/go-internal/testscript"
)

func recordKernel(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 1, "record-kernel NAME")
	text, err := kernelText()
	ts.Check(err)
	remembered(ts).kernels[args[0]] = text
}

// sameKernel waits a little, because the kernel takes namespaces apart in the background.
func sameKernel(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, false, len(args) == 1 && remembered(ts).kernels[args[0]] != "", "same-kernel NAME, after record-kernel NAME")
	want := remembered(ts).kernels[args[0]]
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		got, err := kernelText()
		ts.Check(err)
		switch {
		case neg && got == want:
			ts.Fatalf("the kernel is as it was")
		case neg || got == want:
			return
		case time.Now().After(deadline):
			ts.Fatalf("the kernel is not as it was:\n%s", diff.Diff(args[0], []byte(want), "now", []byte(got)))
		}
	}
}

// kernelText is all that the kernel holds of the network, in the words of iproute2 and
// nft, for the script's machine and every named namespace; and the files that belong to it.
func kernelText() (string, error) {
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
	return b.String(), writeFiles(&b, "/etc")
}

func writeNamespace(b *strings.Builder, ns string) error {
	title := "host"
	if ns != "" {
		title = "namespace " + ns
	}
	for _, command := range []string{
		"ip -o -d link show", "ip -o address show", "ip route show table all", "ip -6 route show table all",
		"ip rule show", "ip -6 rule show", "ip neighbor show nud permanent", "bridge -o -d link show", "nft -s list ruleset",
	} {
		words := strings.Fields(command)
		if ns != "" {
			words = append([]string{"ip", "netns", "exec", ns}, words...)
		}
		out, err := exec.Command(words[0], words[1:]...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s: %w: %s", strings.Join(words, " "), err, out)
		}
		fmt.Fprintf(b, "== %s: %s\n%s", title, command, settled(command, string(out)))
	}
	return writeSysctls(b, ns, title)
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
	{regexp.MustCompile(`tso_max_size \d+`), "tso_max_size"}, // a bridge keeps that of its last port
	{regexp.MustCompile(`port_id \w+ port_no \w+`), "port_id port_no"},
	{regexp.MustCompile(`designated_port \d+`), "designated_port"},
	{regexp.MustCompile(` (tentative|dadfailed|linkdown)\b`), ""},
	{regexp.MustCompile(` state (UP|UNKNOWN|LOWERLAYERDOWN) `), " state "},
	{regexp.MustCompile(` +\\ +`), ` \ `},
	{regexp.MustCompile(` +(\n|$)`), "$1"},
}

func settled(command, text string) string {
	for _, v := range volatile {
		text = v.pattern.ReplaceAllString(text, v.with)
	}
	if strings.HasPrefix(command, "nft") {
		return text
	}
	lines := slices.DeleteFunc(strings.SplitAfter(text, "\n"), comesLate)
	slices.Sort(lines)
	return strings.Join(lines, "")
}

// comesLate reports a route to an interface's own link-local address, which the kernel
// adds when it has made sure that nobody else has it, a second or two later.
func comesLate(line string) bool {
	return strings.HasPrefix(line, "local fe80::") || strings.HasPrefix(line, "anycast fe80::")
}

// switched are the settings that cnmctl turns on for the machine and leaves on, and what
// the kernel changes along with them.
var switched = regexp.MustCompile(`/(ip_forward|forwarding|mc_forwarding|accept_redirects)$`)

// writeSysctls lists the settings below net/ipv4 and net/ipv6 in the namespace.
func writeSysctls(b *strings.Builder, ns, title string) error {
	words := []string{"grep", "-rs", "", "/proc/sys/net/ipv4", "/proc/sys/net/ipv6"}
	if ns != "" {
		words = append([]string{"ip", "netns", "exec", ns}, words...)
	}
	out, err := exec.Command(words[0], words[1:]...).Output()
	if code, err := exitCode(err); err != nil || code > 2 { // 2: some settings are only for writing
		return fmt.Errorf("reading /proc/sys/net of %s: exit code %d, %w", title, code, err)
	}
	lines := strings.Split(string(out), "\n")
	lines = slices.DeleteFunc(lines, func(line string) bool {
		path, _, _ := strings.Cut(line, ":")
		return switched.MatchString(path) || strings.HasSuffix(path, "stable_secret")
	})
	slices.Sort(lines)
	fmt.Fprintf(b, "== %s: /proc/sys/net\n%s\n", title, strings.Join(lines, "\n"))
	return nil
}

// writeFiles lists every file below dir with its mode and a digest.
func writeFiles(b *strings.Builder, dir string) error {
	fmt.Fprintf(b, "== %s\n", dir)
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		text := ""
		if d.Type().IsRegular() {
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

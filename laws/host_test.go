package laws

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/cnmctl/cnmctl/cli"
	"github.com/cnmctl/cnmctl/e2e/apart"
)

// fataler is what *testing.T and *rapid.T have in common.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// machine is the throwaway host, with a folder for its configuration.
type machine struct {
	fataler
	dir string
}

// write puts a configuration into the folder.
func (m *machine) write(hcl string) {
	m.Helper()
	if err := os.WriteFile(filepath.Join(m.dir, "main.hcl"), []byte(hcl), 0o644); err != nil {
		m.Fatalf("writing the configuration: %v", err)
	}
}

// parent is the machine's own interface, on which networks may be.
const parent = "wire"

// wipe makes the machine new again, whatever a failed run left. What cnmctl leaves behind
// on purpose may stay: the store, and the switches that have the machine route.
func (m *machine) wipe(keep bool) {
	m.Helper()
	for _, path := range glob("/run/netns/*") {
		_ = syscall.Unmount(path, syscall.MNT_DETACH)
	}
	// All links at once: each deletion waits until no processor looks at the link.
	const group = "7777"
	var doom strings.Builder
	for _, path := range glob("/sys/class/net/*") {
		if name := filepath.Base(path); name != "lo" {
			fmt.Fprintf(&doom, "link set dev %s group %s\n", name, group)
		}
	}
	if doom.Len() > 0 {
		doom.WriteString("link del group " + group + "\n")
	}
	// A bridge without ports tells nobody anything, and does not change by itself.
	doom.WriteString("link add name " + parent + " address 02:00:00:00:00:01 type bridge\nlink set dev " + parent + " addrgenmode none up\n")
	cmd := exec.Command("ip", "-force", "-batch", "-")
	cmd.Stdin = strings.NewReader(doom.String())
	_ = cmd.Run() // some go with their namespace at the same time
	if out, err := exec.Command("nft", "flush", "ruleset").CombinedOutput(); err != nil {
		m.Fatalf("flushing the ruleset: %v: %s", err, out)
	}
	_ = syscall.Unmount("/run/netns", syscall.MNT_DETACH)
	dirs := []string{"/run/netns", "/etc/netns"}
	if !keep {
		dirs = append(dirs, "/var/lib/cnmctl")
		for _, path := range []string{"/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding"} {
			if err := os.WriteFile(path, []byte("0"), 0o644); err != nil {
				m.Fatalf("wiping the machine: %v", err)
			}
		}
	}
	for _, dir := range dirs {
		if err := os.RemoveAll(dir); err != nil {
			m.Fatalf("wiping the machine: %v", err)
		}
	}
}

func glob(pattern string) []string {
	found, _ := filepath.Glob(pattern)
	return found
}

// try runs a command in this process and returns its exit code and output.
func (m *machine) try(env cli.Env, args ...string) (code int, stdout, stderr string) {
	m.Helper()
	here, err := os.Getwd() // -chdir is for the whole process
	if err != nil {
		m.Fatalf("finding the working directory: %v", err)
	}
	var out, problems bytes.Buffer
	env.Stdin, env.Stdout, env.Stderr, env.Getenv = strings.NewReader(""), &out, &problems, getenv
	code = cli.Main(append([]string{"cnmctl", "-chdir=" + m.dir}, args...), env)
	if err := os.Chdir(here); err != nil {
		m.Fatalf("going back to the working directory: %v", err)
	}
	return code, out.String(), problems.String()
}

// getenv lets nothing of the tester's environment in.
func getenv(name string) string {
	if name == "CNMCTL_IN_AUTOMATION" {
		return "1"
	}
	return ""
}

// must runs a command that has to end with the code.
func (m *machine) must(want int, args ...string) string {
	m.Helper()
	code, stdout, stderr := m.try(cli.Env{}, args...)
	if code != want {
		m.Fatalf("cnmctl %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), code, want, stdout, stderr)
	}
	return stdout
}

// script has a shell carry out the plan.
func (m *machine) script(flags ...string) {
	m.Helper()
	text := m.must(0, append([]string{"plan", "-as=script"}, flags...)...)
	cmd := exec.Command("sh")
	cmd.Stdin = strings.NewReader(text)
	out, err := cmd.CombinedOutput()
	if err != nil {
		m.Fatalf("running the script: %v\n%s\n%s", err, out, text)
	}
}

// patience is how long the kernel may take to come to rest: it takes namespaces apart in
// the background, and a bridge hears late of its ports.
const patience = time.Minute

// directory is a directory's line in a list of files. An empty one is nothing: scripts
// leave them where cnmctl, which marks those that it makes, can tell whose they are.
var directory = regexp.MustCompile(`(?m)^d.*\n`)

// look is the kernel and the files of this machine.
func (m *machine) look() string {
	m.Helper()
	kernel, err := apart.Kernel()
	files, more := apart.Files("/etc/netns")
	if err := errors.Join(err, more); err != nil {
		m.Fatalf("looking at the kernel: %v", err)
	}
	return withoutChance(kernel) + directory.ReplaceAllString(files, "")
}

// withoutChance leaves out carriers, and the kernel's own link-local addresses on bridges
// without a port: there is one if the bridge ever had a carrier.
func withoutChance(listing string) string {
	busy := map[string]bool{}
	for heading, line := range located(listing) {
		if _, rest, ok := strings.Cut(line, " master "); ok {
			bridge, _, _ := strings.Cut(rest, " ")
			busy[heading+bridge] = true
		}
	}
	var b strings.Builder
	heading := ""
	for line := range strings.Lines(listing) {
		if title, ok := strings.CutPrefix(line, "== "); ok {
			heading = strings.TrimSuffix(title, "\n")
		}
		if !strings.HasPrefix(line, "br-") {
			b.WriteString(carrier(line))
			continue
		}
		if m := addressLine.FindStringSubmatch(line); m == nil || busy[heading+m[1]] || !linkLocal(m[2]) {
			b.WriteString(carrier(line))
		}
	}
	return b.String()
}

// carrier takes out how far a link got with hearing of its other side: that takes the
// kernel up to a second when nobody is in a hurry (linkwatch), and says nothing of what
// was made.
func carrier(line string) string {
	if !strings.Contains(line, ": <") {
		return line
	}
	return heard.ReplaceAllString(line, "")
}

var heard = regexp.MustCompile(`NO-CARRIER,|,LOWER_UP| state( UP| DOWN| UNKNOWN| LOWERLAYERDOWN)?\b`)

// linkLocal reports that the address is one that the kernel chose.
func linkLocal(address string) bool {
	return kernels(prefix(address, true).Addr())
}

// listing is what look gives twice in a row.
func (m *machine) listing() string {
	m.Helper()
	last := m.look()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		now := m.look()
		if now == last {
			return now
		}
		last = now
	}
	m.Fatalf("the kernel does not come to rest:\n%s", difference(last, m.look()))
	return ""
}

// same waits until the listing is the wanted one.
func (m *machine) same(otherwise, want string) {
	m.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		got := m.look()
		if got == want {
			return
		}
		if time.Now().After(deadline) {
			m.Fatalf("%s:\n%s", otherwise, difference(want, got))
		}
	}
}

// difference shows the lines that only one of two listings has, under their headings.
func difference(want, got string) string {
	var b strings.Builder
	only(&b, "- ", want, got)
	only(&b, "+ ", got, want)
	return b.String()
}

// only writes the lines that the one has more often than the other, and of those that
// begin alike just the words that differ.
func only(b *strings.Builder, sign, one, other string) {
	have, alike := map[string]int{}, map[string]string{}
	for heading, line := range located(other) {
		have[heading+line]++
		name, _, _ := strings.Cut(line, " ")
		alike[heading+name] += " " + line
	}
	for heading, line := range located(one) {
		if have[heading+line]--; have[heading+line] >= 0 {
			continue
		}
		words := strings.Fields(line)
		known := strings.Fields(alike[heading+words[0]])
		fmt.Fprintf(b, "%s%s: %s", sign, heading, words[0])
		for _, w := range words[1:] {
			if len(line) < 200 || !slices.Contains(known, w) {
				b.WriteString(" " + w)
			}
		}
		b.WriteString("\n")
	}
}

// located yields the lines of a listing with the heading that each stands under.
func located(listing string) func(func(heading, line string) bool) {
	return func(yield func(heading, line string) bool) {
		heading := ""
		for line := range strings.Lines(listing) {
			line = strings.TrimRight(line, "\n")
			if title, ok := strings.CutPrefix(line, "== "); ok {
				heading = title
			} else if !yield(heading, line) {
				return
			}
		}
	}
}

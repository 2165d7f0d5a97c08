package apart

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// machine is the heading of what is in no named namespace.
const machine = "host"

// netnsDir is where `ip netns` keeps names for namespaces.
const netnsDir = "/run/netns"

// Kernel is all that the kernel holds of the network, for the machine and every named
// namespace, in the words of iproute2, nft and /proc/sys/net: a line for each thing, sorted
// under a heading for each place and witness. What differs between two looks at one kernel
// is left out, so that two machines can be compared. It waits for what the kernel has yet to
// do about carriers that it knows of already.
func Kernel() (string, error) {
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		text, busy, err := lookEverywhere()
		if err != nil || !busy || time.Now().After(deadline) {
			return text, err
		}
	}
}

func lookEverywhere() (text string, busy bool, err error) {
	entries, err := os.ReadDir(netnsDir)
	if err != nil && !os.IsNotExist(err) {
		return "", false, err
	}
	var b strings.Builder
	busy, err = look(&b, machine)
	if err != nil {
		return "", false, err
	}
	for _, e := range entries {
		err := inNamespace(netnsDir+"/"+e.Name(), func() error {
			more, err := look(&b, "namespace "+e.Name())
			busy = busy || more
			return err
		})
		if err != nil {
			return "", false, fmt.Errorf("looking into namespace %s: %w", e.Name(), err)
		}
	}
	return b.String(), busy, nil
}

// inNamespace calls fn on a thread that is in the namespace, as are the programs that fn
// starts. `ip netns exec` would cost a process more for each.
func inNamespace(path string, fn func() error) error {
	ns, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(ns)
	done := make(chan error, 1)
	go func() { done <- onThread(ns, fn) }()
	return <-done
}

// onThread calls fn on a thread that is in the namespace, and brings the thread back. A
// locked thread that is left behind ends with its goroutine, unless it is the first of the
// process: that one would stay, and keep the namespace alive when its name has gone.
func onThread(ns int, fn func() error) error {
	runtime.LockOSThread()
	home, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(home)
	if err := unix.Setns(ns, unix.CLONE_NEWNET); err != nil {
		return err
	}
	err = fn()
	if back := unix.Setns(home, unix.CLONE_NEWNET); back != nil {
		return errors.Join(err, back)
	}
	runtime.UnlockOSThread()
	return err
}

// witnesses are the programs that are asked, each with what it is to read, where somebody
// before has said something of the kind that it knows more of.
var witnesses = []struct{ command, input, about string }{
	{"ip -o -d -batch -", "link show\naddress show\nroute show table all\nrule show\nneighbor show nud permanent\n", ""},
	{"ip -6 -o -d -batch -", "rule show\n", ""},
	{"tc qdisc show", "", " qdisc tbf "},
	{"tc qdisc show", "", " qdisc netem "},
	{"bridge -j vlan show", "", " vlan_filtering 1 "},
	{"nft -s list ruleset", "", ""},
}

// underWay is a link that has a carrier, of which addrconf and the bridge that it is in have
// not heard: its own address and its routes are still to come. The kernel tells them in the
// background (linkwatch), and a busy one takes its time.
var underWay = regexp.MustCompile(`[<,]LOWER_UP[,>].* state (DOWN|LOWERLAYERDOWN) `)

// look asks all witnesses about the place that the thread is in, and reports whether the
// kernel has still to do something there.
func look(b *strings.Builder, place string) (busy bool, err error) {
	said := ""
	for _, w := range witnesses {
		if !strings.Contains(said, w.about) {
			continue
		}
		words := strings.Fields(w.command)
		cmd := exec.Command(words[0], words[1:]...)
		cmd.Stdin = strings.NewReader(w.input)
		out, err := cmd.CombinedOutput()
		if err != nil {
			return false, fmt.Errorf("%s: %w: %s", w.command, err, out)
		}
		busy = busy || underWay.Match(out)
		said += string(out)
		fmt.Fprintf(b, "== %s: %s\n%s", place, w.command, settled(words[0], string(out)))
	}
	settings, err := sysctls(place == machine)
	fmt.Fprintf(b, "== %s: /proc/sys/net\n%s", place, settings)
	return busy, err
}

// volatile is what differs between two looks at one kernel: indices, timers, what a
// bridge learned, and how far a link got with coming up.
var volatile = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`(?m)^\d+: `), ""},
	{regexp.MustCompile(`(?m)^([^ :@]+)@[^ :]+:`), "$1:"}, // an index, where the peer is in another namespace
	{regexp.MustCompile(`link-netnsid \d+`), "link-netnsid"},
	{regexp.MustCompile(`_timer +[\d.]+`), "_timer"},
	{regexp.MustCompile(`fdb_n_learned \d+`), "fdb_n_learned"},
	{regexp.MustCompile(` refcnt \d+`), ""},                  // as many as processors
	{regexp.MustCompile(`[\[,]\{"ifname"`), "\n{\"ifname\""}, // a line for each port
	{regexp.MustCompile(`(?m)\]\}\]$`), "]}"},
	{regexp.MustCompile(`tso_max_size \d+`), "tso_max_size"}, // a bridge keeps that of its last port
	{regexp.MustCompile(`port_id \w+ port_no \w+`), "port_id port_no"},
	{regexp.MustCompile(`designated_port \d+`), "designated_port"},
	{regexp.MustCompile(` (tentative|dadfailed|linkdown)\b`), ""},
	{regexp.MustCompile(` state (UP|UNKNOWN|LOWERLAYERDOWN|DOWN) `), " state "},
	{regexp.MustCompile(`NO-CARRIER,|,LOWER_UP`), ""}, // a bridge without ports is told of late
	{regexp.MustCompile(` +\\ +`), ` \ `},
	{regexp.MustCompile(` +(\n|$)`), "$1"},
}

func settled(program, text string) string {
	for _, v := range volatile {
		text = v.pattern.ReplaceAllString(text, v.with)
	}
	if program == "nft" {
		return text
	}
	lines := slices.DeleteFunc(strings.SplitAfter(text, "\n"), comesLate)
	slices.Sort(lines)
	return strings.Join(lines, "")
}

// late are the routes that follow from an IPv6 address: the kernel adds them in the background
// once it has made sure that nobody else has the address (addrconf_dad_work), which for one
// of its own choice takes a second or two.
var late = regexp.MustCompile(`^(local|anycast) \S*:\S* .*\bproto kernel\b`)

func comesLate(line string) bool { return late.MatchString(line) }

// switched reports a setting that cnmctl turns on for the machine and leaves on, or that
// the kernel changes along with one.
func switched(path string) bool {
	switch path[strings.LastIndexByte(path, '/')+1:] {
	case "ip_forward", "forwarding", "mc_forwarding", "accept_redirects":
		return true
	}
	return false
}

// sysctls lists the settings below net/ipv4 and net/ipv6, a line each. Of the machine's own
// those that are switched for good are left out.
func sysctls(own bool) (string, error) {
	var b strings.Builder
	for _, dir := range []string{"/proc/sys/net/ipv4", "/proc/sys/net/ipv6"} {
		if err := settings(&b, dir, own); err != nil {
			return "", fmt.Errorf("reading %s: %w", dir, err)
		}
	}
	return b.String(), nil
}

// settings lists those below the directory. An interface may go meanwhile.
func settings(b *strings.Builder, dir string, own bool) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		path := dir + "/" + e.Name()
		switch {
		case e.IsDir():
			err = errors.Join(err, settings(b, path, own))
		case !own || !switched(path):
			if value, ok := setting(path); ok {
				fmt.Fprintf(b, "%s:%s\n", path, value)
			}
		}
	}
	return err
}

// setting reads a file below /proc/sys, if it can be read: some are only for writing, or
// secret. There are a thousand in every namespace: os.ReadFile takes five calls for each, and
// the kernel fills as much memory with zeros as the reader has room for (proc_sys_call_handler).
func setting(path string) (string, bool) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", false
	}
	defer unix.Close(fd)
	var short [64]byte
	buf := short[:]
	n, err := unix.Read(fd, buf)
	if err == nil && n == len(buf) { // there is more, which only a first reading gives
		buf = make([]byte, 1<<16)
		n, err = unix.Pread(fd, buf, 0)
	}
	if err != nil {
		return "", false
	}
	return strings.TrimSpace(string(buf[:n])), true
}

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
		s := sight{}
		err := s.everywhere()
		if err != nil || !s.busy || time.Now().After(deadline) {
			return s.String(), err
		}
	}
}

// sight is what is seen of a machine.
type sight struct {
	strings.Builder
	// want is what should be seen; "" for whatever there is.
	want string
	// busy: the kernel has still to do something.
	busy bool
}

// differs reports that there is no use in looking on.
func (s *sight) differs() bool { return s.want != "" && !strings.HasPrefix(s.want, s.String()) }

// everywhere looks at the kernel, in every place.
func (s *sight) everywhere() error {
	entries, err := os.ReadDir(netnsDir)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	if err := s.look(machine); err != nil {
		return err
	}
	for _, e := range entries {
		if s.differs() {
			return nil
		}
		if err := inNamespace(netnsDir+"/"+e.Name(), func() error { return s.look("namespace " + e.Name()) }); err != nil {
			return fmt.Errorf("looking into namespace %s: %w", e.Name(), err)
		}
	}
	return nil
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
// background (linkwatch), and a busy one takes its time. Or links came or went in the middle
// of a list, as those do that are in a namespace that is taken apart.
var underWay = regexp.MustCompile(`[<,]LOWER_UP[,>].* state (DOWN|LOWERLAYERDOWN) |Dump was interrupted`)

// look asks all witnesses about the place that the thread is in.
func (s *sight) look(place string) error {
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
			return fmt.Errorf("%s: %w: %s", w.command, err, out)
		}
		s.busy = s.busy || underWay.Match(out)
		said += string(out)
		fmt.Fprintf(s, "== %s: %s\n%s", place, w.command, settled(words[0], string(out)))
		if s.differs() {
			return nil
		}
	}
	settings, err := sysctls(place == machine)
	fmt.Fprintf(s, "== %s: /proc/sys/net\n%s", place, settings)
	return err
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

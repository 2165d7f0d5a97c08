package kerneltest

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const threadNetns = "/proc/thread-self/ns/net"

// Host is a fresh network namespace, with empty /run/netns and /etc/netns, that a test
// takes for the machine it runs on.
type Host struct {
	t      testing.TB
	before string
	home   int // the namespace that the test's thread comes back to
	fd     int
}

// NewHost moves the test into a fresh host until it ends, and then fails it if the host
// does not look as it did at first. It skips the test where there is no root.
func NewHost(t testing.TB) *Host {
	t.Helper()
	if why := Missing(); why != "" {
		t.Skip(why)
	}
	if os.Getenv(insideVar) == "" {
		t.Fatal("TestMain has to call kerneltest.Main")
	}
	h := &Host{t: t}
	sweep(t)
	h.home = h.enter()
	h.fd = open(t)
	if err := loUp(); err != nil {
		t.Fatal("bringing lo up:", err)
	}
	h.before = h.Listing()
	t.Cleanup(h.leave)
	return h
}

// enter locks the test's thread and gives it a namespace.
func (h *Host) enter() (home int) {
	runtime.LockOSThread()
	home = open(h.t)
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		h.t.Fatal("unsharing the network namespace:", err)
	}
	return home
}

func open(t testing.TB) int {
	fd, err := unix.Open(threadNetns, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal("opening the thread's network namespace:", err)
	}
	return fd
}

// leave looks for what was left behind, and brings the thread back.
func (h *Host) leave() {
	if !h.t.Failed() && !h.t.Skipped() {
		after := h.Listing()
		// The kernel takes namespaces apart in the background.
		for end := time.Now().Add(time.Minute); after != h.before && time.Now().Before(end); after = h.Listing() {
			time.Sleep(10 * time.Millisecond)
		}
		if after != h.before {
			h.t.Errorf("something was left behind.\nBefore:\n%s\nAfter:\n%s", h.before, after)
		}
	}
	sweep(h.t)
	unix.Close(h.fd)
	if err := unix.Setns(h.home, unix.CLONE_NEWNET); err != nil {
		h.t.Error("coming back from the host:", err)
		return // the locked thread ends with the goroutine
	}
	unix.Close(h.home)
	runtime.UnlockOSThread()
}

// Sub runs fn as a subtest in the same host.
func (h *Host) Sub(name string, fn func(t *testing.T)) bool {
	return h.t.(*testing.T).Run(name, func(t *testing.T) {
		runtime.LockOSThread()
		home := open(t)
		if err := unix.Setns(h.fd, unix.CLONE_NEWNET); err != nil {
			t.Fatal("entering the host:", err)
		}
		defer func() {
			if unix.Setns(home, unix.CLONE_NEWNET) == nil {
				runtime.UnlockOSThread()
			}
			unix.Close(home)
		}()
		fn(t)
	})
}

// Try runs a program in the host, for witnesses: ip, bridge, nft, ping.
func (h *Host) Try(name string, args ...string) (output string, err error) {
	out, err := exec.Command(name, args...).CombinedOutput()
	return string(out), err
}

// Run is Try for what must succeed.
func (h *Host) Run(name string, args ...string) string {
	h.t.Helper()
	out, err := h.Try(name, args...)
	if err != nil {
		h.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

// Sh runs a line of shell in the host.
func (h *Host) Sh(script string) string {
	h.t.Helper()
	return h.Run("sh", "-ec", script)
}

// Listing is the host as its own tools show it: links, addresses, routes, rules,
// neighbors, namespaces, rulesets and files.
func (h *Host) Listing() string {
	h.t.Helper()
	var b strings.Builder
	for _, args := range [][]string{
		{"ip", "-d", "link"}, {"ip", "address"},
		{"ip", "route", "show", "table", "all"}, {"ip", "-6", "route", "show", "table", "all"},
		{"ip", "rule"}, {"ip", "-6", "rule"}, {"ip", "neighbor", "show", "nud", "permanent"},
		{"ip", "netns"}, {"nft", "list", "ruleset"},
	} {
		b.WriteString("$ " + strings.Join(args, " ") + "\n" + h.Run(args[0], args[1:]...))
	}
	for _, dir := range dirs {
		b.WriteString("$ find " + dir + "\n")
		_ = filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
			if err == nil {
				b.WriteString(path + "\n")
			}
			return nil
		})
	}
	return b.String()
}

// dirs are the directories outside of the network namespace that a host has.
var dirs = []string{"/run/netns", "/etc/netns"}

// sweep empties the directories, whatever an earlier test left in them.
func sweep(t testing.TB) {
	for _, dir := range dirs {
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			_ = unix.Unmount(filepath.Join(dir, e.Name()), unix.MNT_DETACH)
		}
		for unix.Unmount(dir, unix.MNT_DETACH) == nil {
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal("emptying", dir+":", err)
		}
	}
}

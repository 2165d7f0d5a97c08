package kernel

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/cnmctl/cnmctl/state"
	"golang.org/x/sys/unix"
)

const fileHead = "# cnm:shop\n"

func file(ns, name, text string) state.File {
	return state.File{Place: state.Netns(ns), Name: name, Content: fileHead + text, Mark: owner("sandbox." + ns)}
}

func inodeOf(t *testing.T, path string) uint64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Ino
}

func TestFiles(t *testing.T) {
	b := newBench(t)
	x, y := space("x"), space("y")
	b.apply(create(x, y)...)
	same, other := file("x", "hosts", "127.0.0.1 localhost\n"), file("y", "hosts", "127.0.0.1 localhost\n")
	resolv := file("x", "resolv.conf", "nameserver 192.0.2.1\n")
	for range 2 {
		b.apply(create(same, other, resolv)...)
		b.same(same, other, resolv)
	}
	if inodeOf(t, "/etc/netns/x/hosts") != inodeOf(t, "/etc/netns/y/hosts") {
		t.Error("files with one content are two inodes")
	}
	longer := file("x", "hosts", "127.0.0.1 localhost\n192.0.2.7 db\n")
	b.apply(update(same, longer))
	b.same(longer, other) // what shares the inode is left alone
	joined := file("y", "hosts", "127.0.0.1 localhost\n192.0.2.7 db\n")
	again := file("x", "hosts", "both\n")
	also := file("y", "hosts", "both\n")
	b.apply(update(other, joined))
	b.apply(update(longer, again), update(joined, also))
	b.same(again, also)
	b.shows("stat -c %a-%U /etc/netns/x/hosts", "644-root")

	for range 2 {
		b.apply(remove(again, also, resolv)...)
		b.gone(again, also, resolv)
	}
	if _, err := os.Stat("/etc/netns"); !os.IsNotExist(err) {
		t.Errorf("the directory is still there: %v", err)
	}
	b.apply(remove(x, y)...)
}

func TestForeignFiles(t *testing.T) {
	b := newBench(t)
	b.Sh("mkdir -p /etc/netns/x/sub; echo hello >/etc/netns/x/hosts; echo '# cnm:blog' >/etc/netns/x/hostname; ln -s /etc/hosts /etc/netns/x/resolv.conf; : >/etc/netns/file")
	b.apply(create(space("x"))...)
	live := b.live()
	for name, what := range map[string]string{
		"hosts": "a file that cnmctl did not write", "hostname": "a file of stack blog",
		"resolv.conf": "a file that cnmctl did not write", "sub": "a file that cnmctl did not write",
	} {
		if f, _ := live[file("x", name, "").Key()].(state.Foreign); f.What != what {
			t.Errorf("%s is %+v", name, live[file("x", name, "").Key()])
		}
	}
	for _, op := range []state.Op{
		create(file("x", "hosts", "mine\n"))[0],
		update(file("x", "hosts", ""), file("x", "hosts", "mine\n")),
	} {
		if err := b.try(op); err == nil {
			t.Errorf("%s of somebody's file", op.Action)
		}
	}
	b.apply(remove(file("x", "hosts", "mine\n"))...)
	b.shows("cat /etc/netns/x/hosts", "hello")
	b.apply(remove(space("x"))...)
	b.shows("ls /etc/netns/x", "hosts", "sub")
	b.Sh("rm -r /etc/netns")
}

// What a killed run left half-way shows, goes with what it belongs to, and is never
// written into: it may be another name of a file in use.
func TestFilesHalfWay(t *testing.T) {
	b := newBench(t)
	x, y := space("x"), space("y")
	b.apply(create(x, y)...)
	a := file("x", "hosts", "a\n")
	b.apply(create(a)...)
	b.Sh("ln /etc/netns/x/hosts /etc/netns/x/.hosts.cnm")
	next := file("x", "hosts", "b\n")
	b.apply(update(a, next))
	b.same(next)
	if out := b.Sh("ls -A /etc/netns/x"); out != "hosts\n" {
		t.Errorf("the directory holds %q", out)
	}

	// Killed after the directory was made.
	if _, err := makeOwnDir("/etc/netns/y", stack); err != nil {
		t.Fatal(err)
	}
	b.Sh("echo half >/etc/netns/y/.hosts.cnm")
	empty, ok := b.live()[file("y", "hosts", "").Key()].(state.File)
	if !ok || empty.Content != "" {
		t.Errorf("it shows as %+v", empty)
	}
	b.apply(remove(empty)...)
	b.gone(empty)
	b.Sh("cp /etc/netns/x/hosts /etc/netns/x/.resolv.conf.cnm")
	b.apply(remove(next)...)
	b.apply(remove(x, y)...)
	if _, err := os.Stat("/etc/netns"); !os.IsNotExist(err) {
		t.Errorf("the directory is still there: %v", err)
	}
}

// A run may die when it has made a directory and not marked it yet.
func TestDirectoryHalfMade(t *testing.T) {
	b := newBench(t)
	x, f := space("x"), file("x", "hosts", "a\n")
	for _, dir := range []string{"/etc/netns", "/etc/netns/x"} {
		if err := unix.Mkdir(dir, inPassage); err != nil {
			t.Fatal(err)
		}
	}
	b.apply(create(x)...)
	b.apply(create(f)...)
	b.same(f)
	if out := b.Sh("stat -c %a /etc/netns /etc/netns/x"); out != "755\n755\n" {
		t.Errorf("the directories have the modes %q", out)
	}
	b.apply(remove(f)...)
	b.apply(remove(x)...)
	if _, err := os.Stat("/etc/netns"); !os.IsNotExist(err) {
		t.Errorf("the directory is still there: %v", err)
	}
}

// Files of ours whose namespace is gone are ours still.
func TestOrphanedFile(t *testing.T) {
	b := newBench(t)
	x, f := space("x"), file("x", "hosts", strings.Repeat("long\n", 20000))
	b.apply(create(x)...)
	b.apply(create(f)...)
	b.apply(remove(x)...)
	orphan, ok := b.live()[f.Key()].(state.File)
	if !ok || orphan.Mark != (state.Owner{Stack: stack}) || orphan.Content != f.Content {
		t.Errorf("it shows as %+v", b.live()[f.Key()])
	}
	b.apply(remove(orphan)...)
	b.gone(f)
}

// A file that is forgotten stays, as anybody's.
func TestForgottenFile(t *testing.T) {
	b := newBench(t)
	x, f := space("x"), file("x", "hosts", "a\n")
	b.apply(create(x)...)
	b.apply(create(f)...)
	kept := f
	kept.Content, kept.Mark = "a\n", state.Owner{}
	b.apply(update(f, kept))
	if _, foreign := b.live()[f.Key()].(state.Foreign); !foreign {
		t.Errorf("it is %+v", b.live()[f.Key()])
	}
	b.apply(remove(x)...)
	b.Sh("rm -r /etc/netns")
}

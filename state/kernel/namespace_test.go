package kernel

import (
	"os"
	"strings"
	"testing"

	"github.com/cnmctl/cnmctl/state"
)

func TestNamespaceLife(t *testing.T) {
	b := newBench(t)
	a, c := space("a"), space("c")
	b.apply(create(a, c)...)
	b.same(a, c)
	b.apply(create(a)...) // twice is once
	b.same(a, c)
	b.shows("ip netns", "a\n", "c\n")
	b.shows("ip -n a -d link show lo", "UP", "alias cnm:shop:sandbox.a")

	moved := a
	moved.Mark = owner("sandbox.b")
	b.apply(update(a, moved))
	b.same(moved, c)

	b.apply(remove(moved, c)...)
	b.gone(a, c)
	b.apply(remove(moved, c)...) // absence is success
	if _, err := os.Stat("/run/netns"); !os.IsNotExist(err) {
		t.Errorf("the directory that we made is still there: %v", err)
	}
}

func TestNamespaceForgotten(t *testing.T) {
	b := newBench(t)
	a := space("a")
	b.apply(create(a)...)
	forgotten := a
	forgotten.Mark = state.Owner{}
	b.apply(update(a, forgotten))
	if f, ok := b.live()[a.Key()].(state.Foreign); !ok {
		t.Errorf("a forgotten namespace is %+v", f)
	}
	b.shows("ip -n a -d link show lo", "group default")
	b.Sh("ip netns del a; umount /run/netns; rmdir /run/netns")
}

func TestNamespaceInAForeignDirectory(t *testing.T) {
	b := newBench(t)
	b.Sh("ip netns add theirs; touch /run/netns/dead; mkdir /run/netns/dir")
	a := space("a")
	b.apply(create(a)...)
	live := b.live()
	for name, what := range map[string]string{
		"theirs": "a network namespace that cnmctl did not make",
		"dead":   "a file that is not a network namespace",
		"dir":    "a file that is not a network namespace",
	} {
		if f, ok := live[state.NamespaceKey(name)].(state.Foreign); !ok || f.What != what {
			t.Errorf("%s is %+v", name, live[state.NamespaceKey(name)])
		}
	}
	for _, name := range []string{"theirs", "dead"} {
		if err := b.try(create(space(name))...); err == nil || !strings.Contains(err.Error(), "the name is taken by a") {
			t.Errorf("creating %s: %v", name, err)
		}
	}
	if err := b.try(remove(space("dead"))...); err == nil || !strings.Contains(err.Error(), "did not make") {
		t.Errorf("deleting somebody's file: %v", err)
	}
	b.apply(remove(a)...)
	b.shows("ip netns", "theirs")
	b.Sh("ip netns del theirs; rm /run/netns/dead; rmdir /run/netns/dir; umount /run/netns; rmdir /run/netns")
}

func TestNamespaceOfAnotherStack(t *testing.T) {
	b := newBench(t)
	other := b.open("blog")
	ns := state.Namespace{Name: "a", Mark: state.Owner{Stack: "blog", Address: "sandbox.x"}}
	if err := other.Apply(t.Context(), create(ns), func(int, error) {}); err != nil {
		t.Fatal(err)
	}
	f, _ := b.live()[ns.Key()].(state.Foreign)
	if f.What != "a network namespace of stack blog (sandbox.x)" {
		t.Errorf("it is %+v", f)
	}
	if err := b.try(remove(space("a"))...); err == nil {
		t.Error("the namespace of another stack was deleted")
	}
	if err := other.Apply(t.Context(), remove(ns), func(int, error) {}); err != nil {
		t.Fatal(err)
	}
}

// A run that is killed between making the file and mounting the namespace on it leaves a
// file with our mark: the next run completes it, or removes it.
func TestUnmountedNamespace(t *testing.T) {
	b := newBench(t)
	first := space("first")
	b.apply(create(first)...)
	for _, name := range []string{"a", "c"} {
		if err := b.k.makeMountpoint("/run/netns/"+name, space(name).Mark); err != nil {
			t.Fatal(err)
		}
	}
	live := b.live()
	left, ok := live[state.NamespaceKey("a")].(state.Namespace)
	if !ok || state.Compare(space("a"), left).Same() {
		t.Fatalf("one that is not mounted shows as %+v", live[state.NamespaceKey("a")])
	}
	b.apply(update(left, space("a")))
	b.same(space("a"))
	b.apply(remove(live[state.NamespaceKey("c")])...)
	b.gone(space("c"))
	b.apply(remove(space("a"), first)...)
}

// A namespace that somebody else put under the name since it was read is not ours to delete.
func TestNamespaceReplacedMeanwhile(t *testing.T) {
	b := newBench(t)
	a := space("a")
	b.apply(create(a)...)
	b.Sh("ip netns del a; ip netns add a")
	if err := b.try(remove(a)...); err == nil || !strings.Contains(err.Error(), "plan again") {
		t.Errorf("deleting it: %v", err)
	}
	b.Sh("ip netns del a; umount /run/netns; rmdir /run/netns")
}

// More namespaces than file descriptors: sockets are let go and opened again.
func TestFewFileDescriptors(t *testing.T) {
	b := newBench(t)
	b.k.maxOpen = 4
	var spaces, addresses []state.Object
	for _, name := range strings.Split("abcdefghijklmnop", "") {
		spaces = append(spaces, space(name))
		addresses = append(addresses, state.IPAddress{Place: state.Netns(name), Link: "lo", Prefix: pfx("192.0.2.1/32"), Mark: owner("sandbox." + name)})
	}
	b.apply(create(spaces...)...)
	b.apply(create(addresses...)...)
	b.same(append(spaces, addresses...)...)
	b.same(append(spaces, addresses...)...)
	if len(b.k.places) > 5 {
		t.Errorf("%d places are open", len(b.k.places))
	}
	b.apply(remove(addresses...)...)
	b.gone(addresses...)
	b.apply(remove(spaces...)...)
}

// Threads that visited namespaces come back.
func TestThreadsComeHome(t *testing.T) {
	b := newBench(t)
	home := func() (ids []string) {
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			t.Fatal(err)
		}
		for _, task := range tasks {
			id, err := os.Readlink("/proc/self/task/" + task.Name() + "/ns/net")
			if err == nil {
				ids = append(ids, id)
			}
		}
		return ids
	}
	seen := map[string]bool{}
	for _, id := range home() {
		seen[id] = true
	}
	a := space("a")
	b.apply(create(a)...)
	b.live()
	b.apply(remove(a)...)
	for _, id := range home() {
		if !seen[id] {
			t.Errorf("a thread is in %s, where none was", id)
		}
	}
}

func TestForwards(t *testing.T) {
	b := newBench(t)
	for value, want := range map[string]bool{"1": true, "0": false} {
		b.Sh("sysctl -qw net.ipv4.ip_forward=" + value)
		if on, err := b.k.places[state.Host].conn.forwards(); err != nil || on != want {
			t.Errorf("ip_forward=%s: forwards %t, %v", value, on, err)
		}
	}
}

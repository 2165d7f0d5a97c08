package kernel

import (
	"slices"
	"strings"
	"testing"

	"github.com/cnmctl/cnmctl/state"
)

// has is what a link in a namespace has, as iproute2 shows it, without what a moment
// changes.
func has(b *bench, ns string) string {
	text := ""
	for _, what := range []string{"-o address", "route show table all", "-6 route show table all", "neighbor show nud permanent", "-d -o link"} {
		text += b.Sh("ip -n " + ns + " " + what)
	}
	var lines []string
	for line := range strings.Lines(text) {
		if !strings.Contains(line, "proto kernel") || strings.Contains(line, "inet") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

// end deletes all that is there.
func (b *bench) end() {
	b.t.Helper()
	live := b.live()
	var spaces, rest []state.Object
	for _, k := range live.Keys() {
		switch o := live[k].(type) {
		case state.Namespace:
			spaces = append(spaces, o)
		case state.Link, state.File:
			rest = append(rest, o)
		}
	}
	b.apply(remove(rest...)...)
	b.apply(remove(spaces...)...)
}

// TestRenameLink: a link gets another name and keeps all that is on it, on kernels that
// rename what is up and on those that do not.
func TestRenameLink(t *testing.T) {
	for _, way := range []string{"up", "by way of down"} {
		t.Run(way, func(t *testing.T) {
			b := newBench(t)
			x, p := space("x"), pair(state.Host, "v0", state.Netns("x"), "eth0", 1)
			b.apply(create(x)...)
			b.apply(create(p)...)
			for _, command := range []string{
				"address add 10.1.0.2/24 dev eth0",
				"address add fd00:1::2/64 dev eth0 nodad",
				"route add 10.9.0.0/16 via 10.1.0.1 dev eth0 src 10.1.0.2",
				"route add default via 10.1.0.1 dev eth0 metric 5",
				"route add 10.8.0.0/16 dev eth0 table 100",
				"-6 route add default via fd00:1::1 dev eth0",
				"-6 route add fd00:9::/64 via fd00:1::9 dev eth0 metric 7",
				"neighbor add 10.1.0.77 lladdr 02:00:00:00:00:77 dev eth0 nud permanent",
				"neighbor add fd00:1::77 lladdr 02:00:00:00:00:77 dev eth0 nud permanent",
			} {
				b.Sh("ip -n x " + command)
			}
			b.Sh("ip netns exec x sysctl -qw net.ipv4.conf.eth0.rp_filter=2")
			b.live()
			before := has(b, "x")
			inner := otherEnd(p)
			renamed := inner
			renamed.Name = "net0"
			if way == "up" {
				b.apply(update(inner, renamed))
				b.apply(update(inner, renamed)) // twice is once
			} else {
				open, err := b.k.at(inner.Place)
				if err != nil {
					t.Fatal(err)
				}
				index, err := open.lookup(t.Context(), "eth0")
				if err != nil {
					t.Fatal(err)
				}
				if err := open.conn.renameDown(index, "net0"); err != nil {
					t.Fatal(err)
				}
			}
			if after := strings.ReplaceAll(has(b, "x"), "net0", "eth0"); sorted(after) != sorted(before) {
				t.Errorf("before:\n%s\nafter:\n%s", before, after)
			}
			b.shows("ip netns exec x sysctl net.ipv4.conf.net0.rp_filter", "= 2")
			b.same(renamed)
			b.gone(inner)
			b.end()
		})
	}
}

// sorted sorts the lines, without what passes: whether an address is being looked for.
func sorted(text string) string {
	text = strings.ReplaceAll(text, " tentative", "")
	return strings.Join(slices.Sorted(strings.Lines(text)), "")
}

// TestMoveNamespace: a namespace gets another name with all that is in it and its files,
// also when a run before was cut short in between.
func TestMoveNamespace(t *testing.T) {
	x, y := space("x"), space("y")
	for name, prepare := range map[string]string{
		"from the beginning": ":",
		"with a file":        "touch /run/netns/y; setfattr -n trusted.cnm -v cnm:shop:sandbox.x /run/netns/y || rm /run/netns/y",
		"with both names":    "touch /run/netns/y; mount --bind /run/netns/x /run/netns/y",
		"with files moved":   "touch /run/netns/y; mount --bind /run/netns/x /run/netns/y; mv /etc/netns/x /etc/netns/y",
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			p := pair(state.Host, "v0", state.Netns("x"), "eth0", 1)
			b.apply(create(x)...)
			b.apply(create(p, file("x", "hosts", "127.0.0.1 localhost\n"))...)
			b.Sh(prepare)
			live := b.live()
			if strings.HasPrefix(name, "with both") || strings.HasPrefix(name, "with files") {
				alias := live[state.NamespaceKey("y")].(state.Namespace)
				if alias.AliasOf != "x" {
					t.Errorf("y is %+v, not another name of x", alias)
				}
			}
			moved := x
			moved.Name = "y"
			for range 2 {
				b.apply(update(x, moved))
				there := otherEnd(p)
				there.Place = state.Netns("y")
				b.same(moved, there)
				b.gone(x)
				b.shows("cat /etc/netns/y/hosts", "localhost")
				b.shows("ls /run/netns /etc/netns", "y")
			}
			b.end()
		})
	}
	t.Run("onto another one", func(t *testing.T) {
		b := newBench(t)
		b.apply(create(x, y)...)
		moved := x
		moved.Name = "y"
		if err := b.try(update(x, moved)); err == nil {
			t.Error("a namespace took the name of another one")
		}
		b.same(x, y)
		b.end()
	})
	t.Run("an alias goes", func(t *testing.T) {
		b := newBench(t)
		p := pair(state.Host, "v0", state.Netns("x"), "eth0", 1)
		b.apply(create(x)...)
		b.apply(create(p)...)
		b.Sh("touch /run/netns/y; mount --bind /run/netns/x /run/netns/y")
		b.apply(remove(b.live()[state.NamespaceKey("y")])...)
		b.same(x, p, otherEnd(p))
		b.gone(y)
		b.end()
	})
}

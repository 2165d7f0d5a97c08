package kernel

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/cnmctl/cnmctl/state"
)

// pair is a veth pair between two places.
func pair(a state.Place, nameA string, b state.Place, nameB string, n int) state.Link {
	return state.Link{
		Place: a, Name: nameA, Mark: owner("endpoint.x"), Type: state.Veth, MTU: 1400, MAC: mac(n << 8), Up: true,
		Peer: state.End{Place: b, Name: nameB},
	}
}

func TestPairsInAllPlaces(t *testing.T) {
	b := newBench(t)
	x, y := space("x"), space("y")
	b.apply(create(x, y)...)
	nx, ny := state.Netns("x"), state.Netns("y")
	pairs := []state.Object{
		pair(state.Host, "v0", nx, "eth0", 1),
		pair(nx, "eth1", ny, "eth1", 2),
		pair(ny, "eth2", state.Host, "v1", 3),
		pair(state.Host, "v2", state.Host, "v3", 4),
		pair(nx, "a", nx, "b", 5),
	}
	var all []state.Object
	for _, p := range pairs {
		all = append(all, p, otherEnd(p.(state.Link)))
	}
	for range 2 {
		b.apply(create(pairs...)...)
		b.same(all...)
	}
	b.apply(remove(pairs...)...)
	b.gone(all...)
	b.apply(remove(pairs...)...)
	b.apply(remove(x, y)...)
	b.apply(remove(pairs...)...) // in namespaces that are gone
}

func TestLinkUpdates(t *testing.T) {
	b := newBench(t)
	x, br0, br1 := space("x"), bridge("br0"), bridge("br1")
	br1.MAC = mac(2)
	p := port("br0", "x", 1)
	b.apply(create(x, br0, br1)...)
	b.apply(create(p)...)

	change := func(what string, edit func(*state.Link), command string, words ...string) {
		t.Helper()
		after := p
		edit(&after)
		b.apply(update(p, after))
		b.same(after)
		b.shows(command, words...)
		p = after
		if t.Failed() {
			t.Fatalf("after changing %s", what)
		}
	}
	const show = "ip -d link show veth1"
	change("MTU", func(l *state.Link) { l.MTU = 1450 }, show, "mtu 1450")
	change("MAC", func(l *state.Link) { l.MAC = mac(77) }, show, mac(77).String())
	change("hairpin", func(l *state.Link) { l.Hairpin = true }, show, "hairpin on")
	change("isolated", func(l *state.Link) { l.Isolated = true }, show, "isolated on", "hairpin on")
	change("master", func(l *state.Link) { l.Master = "br1" }, show, "master br1", "isolated on", "hairpin on")
	change("no hairpin", func(l *state.Link) { l.Hairpin = false }, show, "hairpin off", "isolated on")
	change("IPv6", func(l *state.Link) { l.NoIPv6 = false }, "cat /proc/sys/net/ipv6/conf/veth1/disable_ipv6", "0")
	change("no IPv6", func(l *state.Link) { l.NoIPv6 = true }, "cat /proc/sys/net/ipv6/conf/veth1/disable_ipv6", "1")
	change("down", func(l *state.Link) { l.Up = false }, show, "state DOWN")
	change("up", func(l *state.Link) { l.Up = true }, show, "state UP")
	change("mark", func(l *state.Link) { l.Mark = owner("endpoint.y") }, show, "alias cnm:shop:endpoint.y")
	change("no master", func(l *state.Link) { l.Master, l.Isolated = "", false }, show)
	change("a master again", func(l *state.Link) { l.Master = "br0" }, show, "master br0", "isolated off")

	wide := br0
	wide.MTU, wide.MAC = 1300, mac(99)
	b.apply(update(br0, wide))
	b.same(wide)

	forgotten := p
	forgotten.Mark = state.Owner{}
	b.apply(update(p, forgotten))
	if f, ok := b.live()[p.Key()].(state.Foreign); !ok || f.Type != state.Veth {
		t.Errorf("a forgotten link is %+v", b.live()[p.Key()])
	}
	b.shows(show, "group default")
	if strings.Contains(b.Sh(show), "alias") {
		t.Error("the alias of a forgotten link is still there")
	}
	drop := remove(x)
	drop[0].Along = []state.Object{p}
	b.apply(drop...)
	b.apply(remove(br0, br1)...)
}

// Changing the MTU of every link on the way must not lose a packet.
func TestMTUChangeKeepsTraffic(t *testing.T) {
	b := newBench(t)
	x, br := space("x"), bridge("br0")
	p := port("br0", "x", 1)
	inner := otherEnd(p)
	a := state.IPAddress{Place: state.Host, Link: "br0", Prefix: pfx("10.1.0.1/24"), Mark: br.Mark}
	c := state.IPAddress{Place: state.Netns("x"), Link: "eth0", Prefix: pfx("10.1.0.2/24"), Mark: p.Mark}
	b.apply(create(x, br)...)
	b.apply(create(p, a)...)
	b.apply(create(c)...)
	b.Sh("ping -c1 -W2 10.1.0.2")

	ping := exec.Command("ping", "-c30", "-i0.02", "-W1", "10.1.0.2")
	out := make(chan string)
	go func(wait func() ([]byte, error)) {
		text, _ := wait()
		out <- string(text)
	}(b.inHost(ping))
	for i := range 10 {
		mtu := 1300 + 10*i
		edit := func(l *state.Link) state.Op {
			before := *l
			l.MTU = mtu
			return update(before, *l)
		}
		b.apply(edit(&br), edit(&p), edit(&inner))
		b.same(br, p, inner)
		time.Sleep(40 * time.Millisecond)
	}
	if text := <-out; !strings.Contains(text, " 0% packet loss") {
		t.Error(text)
	}
	drop := remove(x)
	drop[0].Along = []state.Object{p}
	b.apply(drop...)
	b.apply(remove(br)...)
}

// inHost starts a program from the test's own thread, and returns how to wait for it.
func (b *bench) inHost(cmd *exec.Cmd) func() ([]byte, error) {
	var text strings.Builder
	cmd.Stdout, cmd.Stderr = &text, &text
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	return func() ([]byte, error) {
		err := cmd.Wait()
		return []byte(text.String()), err
	}
}

// A run that is killed between making a link and marking it leaves our group and no alias.
func TestHalfMade(t *testing.T) {
	b := newBench(t)
	x := space("x")
	b.apply(create(x)...)
	for _, group := range []uint32{state.LinkGroup(stack), state.PendingGroup(stack), state.DoomedGroup(stack)} {
		b.Sh(fmt.Sprintf("ip link add veth1 group %d type veth peer name eth0 group %[1]d netns x", group))
		b.Sh(fmt.Sprintf("ip link add br0 group %d type bridge", group))
		live := b.live()
		p, br := port("br0", "x", 1), bridge("br0")
		inner := otherEnd(p)
		var ops []state.Op
		for _, o := range []state.Link{br, p, inner} {
			half, ok := live[o.Key()].(state.Link)
			if !ok || !half.HalfMade || state.Compare(o, half).Replace {
				t.Fatalf("%s shows as %+v", o.Key(), live[o.Key()])
			}
			ops = append(ops, update(half, o))
		}
		b.apply(ops[0])
		b.apply(ops[1:]...)
		b.same(br, p, inner)
		b.apply(remove(p)...)
		b.apply(remove(br)...)
		b.gone(p, inner, br)
	}
	b.apply(remove(x)...)
}

// Links that an earlier run has doomed, and did not come to delete, do not go with others.
func TestLeftInTheDoomedGroup(t *testing.T) {
	b := newBench(t)
	links := []state.Object{bridge("br0"), bridge("br1"), bridge("br2")}
	b.apply(create(links...)...)
	b.Sh(fmt.Sprintf("ip link set br0 group %d", state.DoomedGroup(stack)))
	if l := b.live()[links[0].Key()].(state.Link); !l.HalfMade {
		t.Errorf("it shows as %+v", l)
	}
	b.apply(remove(links[1:]...)...)
	b.gone(links[1:]...)
	b.same(links[0])
	b.apply(remove(links[0])...)
}

// What is not ours is seen, and never touched.
func TestForeignLinks(t *testing.T) {
	b := newBench(t)
	x := space("x")
	b.apply(create(x)...)
	b.Sh("ip link add br0 type bridge; ip link add v0 type veth peer name eth7 netns x")
	b.Sh(fmt.Sprintf("ip link add br9 group %d type bridge", state.LinkGroup("blog")))
	b.Sh(fmt.Sprintf("ip link add br8 group %d type bridge; ip link set br8 alias cnm:blog:network.n", state.LinkGroup("blog")))
	live := b.live()
	for k, what := range map[state.Key]string{
		state.LinkKey(state.Host, "lo"):         "a physical link that cnmctl did not make",
		state.LinkKey(state.Host, "br0"):        "a bridge link that cnmctl did not make",
		state.LinkKey(state.Host, "br9"):        "a bridge link that cnmctl did not make",
		state.LinkKey(state.Host, "br8"):        "a bridge link of stack blog (network.n)",
		state.LinkKey(state.Netns("x"), "eth7"): "a veth link that cnmctl did not make",
	} {
		if f, ok := live[k].(state.Foreign); !ok || f.What != what {
			t.Errorf("%s is %+v", k, live[k])
		}
	}
	if _, ok := live[state.LinkKey(state.Netns("x"), "lo")]; ok {
		t.Error("lo of a namespace of ours is listed")
	}
	err := b.try(create(bridge("br0"))...)
	if err == nil || err.Error() != "creating link br0 on the host: the name is taken by a bridge link that cnmctl did not make: rename one of the two, or remove it" {
		t.Errorf("creating what is there: %v", err)
	}
	b.Sh("ip link del br0; ip link del br8; ip link del br9; ip link del v0")
	b.apply(remove(x)...)
}

// Of a wave, what was begun is brought to its end; the rest is not begun.
func TestFailingLink(t *testing.T) {
	b := newBench(t)
	x := space("x")
	b.apply(create(x)...)
	b.Sh("ip -n x link add eth7 type bridge")
	good := pair(state.Host, "v0", state.Netns("x"), "eth0", 1)
	bad := pair(state.Host, "v1", state.Netns("x"), "eth7", 2)
	late := state.IPAddress{Place: state.Netns("x"), Link: "lo", Prefix: pfx("192.0.2.1/32"), Mark: x.Mark}
	tried := map[int]error{}
	err := b.k.Apply(t.Context(), create(good, bad, late), func(i int, err error) { tried[i] = err })
	if err == nil || len(tried) != 2 || tried[0] != nil || tried[1] == nil {
		t.Errorf("%v; %v", err, tried)
	}
	b.same(good, otherEnd(good))
	b.gone(bad, late)
	b.apply(remove(good)...)
	b.apply(remove(x)...)
}

// A process keeps the namespace alive after its name is gone; the links go all the same.
func TestSettleWhileNamespaceIsHeld(t *testing.T) {
	b := newBench(t)
	x, br := space("x"), bridge("br0")
	p := port("br0", "x", 1)
	b.apply(create(x, br)...)
	b.apply(create(p)...)
	sleep := exec.Command("ip", "netns", "exec", "x", "sleep", "60")
	if err := sleep.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond)
	drop := remove(x)
	drop[0].Along = []state.Object{p}
	b.apply(drop...)
	b.gone(p, x)
	_ = sleep.Process.Kill()
	_ = sleep.Wait()
	b.apply(remove(br)...)
}

// A link's name is free again only when the kernel has deleted its namespace.
func TestNameOfADyingLink(t *testing.T) {
	b := newBench(t)
	br := bridge("br0")
	b.apply(create(br)...)
	p := port("br0", "x", 1)
	for range 5 {
		b.apply(create(space("x"))...)
		b.apply(create(p)...)
		b.same(p, otherEnd(p))
		drop := remove(space("x"))
		drop[0].Along = []state.Object{p}
		b.apply(drop...)
	}
	b.apply(remove(br)...)
	b.gone(p)
}

// A port that comes up is in its bridge with its flags.
func TestPortFlags(t *testing.T) {
	b := newBench(t)
	x, br := space("x"), bridge("br0")
	b.apply(create(x, br)...)
	p := port("br0", "x", 1)
	p.Hairpin, p.Isolated = true, true
	b.apply(create(p)...)
	b.same(p)
	b.shows("bridge -d link show dev veth1", "hairpin on", "isolated on", "state forwarding")
	drop := remove(x)
	drop[0].Along = []state.Object{p}
	b.apply(drop...)
	b.apply(remove(br)...)
}

// TestLinkLocalFollowsMAC: the way to a MAC must not show in a link's link-local address.
func TestLinkLocalFollowsMAC(t *testing.T) {
	b := newBench(t)
	before := pair(state.Host, "v0", state.Host, "v1", 1)
	after := before
	after.MAC = mac(77)
	b.apply(create(before, otherEnd(before))...)
	const show = "ip -6 -o address show dev v0"
	for range 100 { // it comes with the carrier
		if strings.Contains(b.Sh(show), "fe80::") {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	for range 2 {
		b.apply(update(before, after))
		b.shows(show, after.MAC.LinkLocal().String())
		if has := b.Sh(show); strings.Contains(has, before.MAC.LinkLocal().String()) {
			t.Errorf("from MAC %s to %s, v0 has\n%s", before.MAC, after.MAC, has)
		}
		before, after = after, before
	}
	b.apply(remove(before)...)
}

// TestBridgeKeepsMTU: a bridge has the MTU of its ports, and without any 1500, unless it
// was told one.
func TestBridgeKeepsMTU(t *testing.T) {
	b := newBench(t)
	br := bridge("br0")
	br.MTU = 1400
	x, p := space("x"), port("br0", "x", 1)
	p.MTU = 1300
	b.apply(create(x, br)...)
	b.apply(create(p)...)
	b.same(br)
	b.apply(remove(p)...)
	b.same(br)
	b.apply(remove(x, br)...)
}

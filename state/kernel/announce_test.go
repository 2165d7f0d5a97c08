package kernel

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cnmctl/cnmctl/state"
)

// Whoever knew somebody else under an address learns of its new holder at once: when the
// address comes, when its link gets another MAC, and when it is behind a tunnel now.
func TestAnnouncements(t *testing.T) {
	b := newBench(t)
	o := newOverlay("ov", 256)
	o.make(b)
	watcher, holder := space("w"), space("h")
	ports := []state.Link{port("br0", "w", 1), port("br0", "h", 2)}
	b.apply(create(watcher, holder)...)
	for i := range ports {
		ports[i].Place = o.br.Place
		b.apply(create(ports[i])...)
	}
	address := func(ns, prefix string) state.IPAddress {
		return state.IPAddress{Place: state.Netns(ns), Link: "eth0", Prefix: pfx(prefix), Mark: owner("endpoint." + ns)}
	}
	b.apply(create(address("w", "10.1.0.2/24"), address("w", "fd00::2/64"))...)
	forget := func() {
		for _, ip := range []string{"10.1.0.9", "fd00::9"} {
			b.Sh("ip -n w neigh replace " + ip + " lladdr 02:00:00:00:00:66 dev eth0 nud stale")
		}
	}
	learns := func(what string, mac state.MAC) {
		t.Helper()
		// The link-local addresses are not ready yet, so only neighbors that came unasked are known.
		out := b.Sh("for i in $(seq 50); do ip -n w neigh | grep -c '" + mac.String() + "' | grep -q 2 && break; sleep 0.02; done; ip -n w neigh")
		for _, ip := range []string{"10.1.0.9", "fd00::9"} {
			if !strings.Contains(out, fmt.Sprintf("%s dev eth0 lladdr %s", ip, mac)) {
				t.Errorf("%s, and nobody knows:\n%s", what, out)
			}
		}
	}
	inner := otherEnd(ports[1])
	forget()
	b.apply(create(address("h", "10.1.0.9/24"), address("h", "fd00::9/64"))...)
	learns("the addresses came", inner.MAC)

	forget()
	changed := inner
	changed.MAC = mac(77)
	b.apply(update(inner, changed))
	learns("the MAC changed", changed.MAC)

	forget()
	b.apply(remove(address("h", "10.1.0.9/24"), address("h", "fd00::9/64"))...)
	var away []state.Object
	for _, ip4or6 := range []string{"10.1.0.9", "fd00::9"} {
		away = append(away, state.Neighbor{Place: o.br.Place, Link: "br0", IP: ip(ip4or6), MAC: mac(88), Mark: o.ns.Mark})
	}
	b.apply(create(away...)...)
	learns("it is on another host", mac(88))

	drop := remove(watcher, holder)
	drop[0].Along, drop[1].Along = []state.Object{ports[0]}, []state.Object{ports[1]}
	b.apply(drop...)
	o.drop(b)
}

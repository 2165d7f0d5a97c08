package kernel

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cnmctl/cnmctl/state"
)

// hears expects that the watcher tells of what a command changes.
func (b *bench) hears(w *Watcher, command string) {
	b.t.Helper()
	calm(w)
	b.Sh(command)
	select {
	case <-w.Changes():
	case <-time.After(time.Minute):
		b.t.Errorf("did not hear of %s", command)
	}
}

// ignores expects that the watcher does not tell of what a command changes, in which %d is
// the number of the try. What happened before may be told late: a carrier after a second, a
// deleted namespace when the kernel gets to it. So it is enough if one of many tries is not
// heard of, which never is where all are.
func (b *bench) ignores(w *Watcher, prepare, command string) {
	b.t.Helper()
	numbered := func(text string, try int) string { return strings.ReplaceAll(text, "%d", strconv.Itoa(try)) }
	for try := range 30 {
		b.Sh(numbered(prepare, try))
		calm(w)
		b.Sh(numbered(command, try))
		select {
		case <-w.Changes():
		case <-time.After(200 * time.Millisecond):
			return
		}
	}
	b.t.Errorf("heard of %s, which is none of our business", command)
}

// calm lets what was before pass by.
func calm(w *Watcher) {
	for {
		select {
		case <-w.Changes():
		case <-time.After(150 * time.Millisecond):
			return
		}
	}
}

func TestWatch(t *testing.T) {
	b := newBench(t)
	w, err := Watch(Config{Stack: stack})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	b.apply(create(state.Namespace{Name: "shop-web", Mark: owner("sandbox.shop-web")})...)
	b.k.forget(state.Netns("shop-web")) // or it would outlive its deletion
	b.Sh("ip netns add other")
	if err := w.Follow([]string{"shop-web", "not-there"}); err != nil {
		t.Fatal(err)
	}

	for _, command := range []string{
		"ip link add br9 type bridge",
		"ip address add 10.9.0.1/24 dev br9",
		"ip link set br9 addrgenmode none up",
		"ip route add 10.10.0.0/24 via 10.9.0.2",
		"ip neigh add 10.9.0.3 lladdr 02:00:00:00:00:03 nud permanent dev br9",
		"nft add table inet nine",
		"nft delete table inet nine",
		"ip -n shop-web link set lo down",
		"ip -n shop-web address add 10.9.1.1/32 dev lo",
	} {
		b.hears(w, command)
	}
	b.ignores(w, "", "ip neigh add 10.9.0.1%d lladdr 02:00:00:00:00:04 nud reachable dev br9")
	b.ignores(w, "", "ip -n other address add 10.9.1.%d/32 dev lo")
	b.hears(w, "ip netns delete shop-web")
	b.ignores(w, "ip netns add other%d", "ip netns delete other%d")
	b.hears(w, "ip netns delete other; ip link delete br9; umount /run/netns; rmdir /run/netns")
}

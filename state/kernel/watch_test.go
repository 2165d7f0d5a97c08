package kernel

import (
	"testing"
	"time"

	"github.com/cnmctl/cnmctl/state"
)

// hears expects that the watcher tells of what a command changes, or that it does not.
func (b *bench) hears(w *Watcher, want bool, command string) {
	b.t.Helper()
	for quiet := false; !quiet; { // let what was before pass by
		select {
		case <-w.Changes():
		case <-time.After(150 * time.Millisecond):
			quiet = true
		}
	}
	b.Sh(command)
	limit := time.Minute
	if !want {
		limit = 200 * time.Millisecond
	}
	select {
	case <-w.Changes():
		if !want {
			b.t.Errorf("heard of %s, which is none of our business", command)
		}
	case <-time.After(limit):
		if want {
			b.t.Errorf("did not hear of %s", command)
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
	for _, name := range []string{"shop-web", "other"} {
		b.apply(create(state.Namespace{Name: name, Mark: owner("sandbox." + name)})...)
		b.k.forget(state.Netns(name)) // or it would outlive its deletion
	}
	if err := w.Follow([]string{"shop-web", "not-there"}); err != nil {
		t.Fatal(err)
	}

	for _, c := range []struct {
		command string
		want    bool
	}{
		{"ip link add br9 type bridge", true},
		{"ip address add 10.9.0.1/24 dev br9", true},
		{"ip link set br9 addrgenmode none up", true},
		{"ip route add 10.10.0.0/24 via 10.9.0.2", true},
		{"ip neigh add 10.9.0.3 lladdr 02:00:00:00:00:03 nud permanent dev br9", true},
		{"ip neigh add 10.9.0.4 lladdr 02:00:00:00:00:04 nud reachable dev br9", false},
		{"nft add table inet nine", true},
		{"nft delete table inet nine", true},
		{"ip -n shop-web link set lo down", true},
		{"ip -n shop-web address add 10.9.1.1/32 dev lo", true},
		{"ip -n other address add 10.9.1.1/32 dev lo", false},
		{"ip netns delete shop-web", true},
		{"ip netns delete other", false},
		{"ip link delete br9; umount /run/netns; rmdir /run/netns", true},
	} {
		b.hears(w, c.want, c.command)
	}
}

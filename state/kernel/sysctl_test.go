package kernel

import (
	"strings"
	"testing"

	"github.com/cnmctl/cnmctl/state"
)

func TestSysctls(t *testing.T) {
	b := newBench(t)
	b.cable()
	x := state.Netns("x")
	sysctl := func(path, value, link string) state.Object {
		return state.Sysctl{Place: x, Path: path, Value: value, Link: link, Mark: owner("endpoint.x")}
	}
	settings := []state.Object{
		sysctl("net/ipv4/ip_forward", "1", ""),
		sysctl("net/ipv4/ping_group_range", "5 7", ""),
		sysctl("net/ipv4/conf/eth0/rp_filter", "2", "eth0"),
		sysctl("net/ipv6/conf/eth0/accept_ra", "0", "eth0"),
		sysctl("net/ipv4/neigh/eth0/retrans_time_ms", "500", "eth0"),
	}
	before := b.Sh("ip netns exec x sh -c 'cd /proc/sys/net; cat ipv4/ip_forward ipv4/ping_group_range ipv4/conf/eth0/rp_filter ipv6/conf/eth0/accept_ra ipv4/neigh/eth0/retrans_time_ms'")
	for range 2 {
		b.apply(create(settings...)...)
		b.same(settings...)
	}
	changed := sysctl("net/ipv4/conf/eth0/rp_filter", "1", "eth0")
	b.apply(update(settings[2], changed))
	b.same(changed)
	for range 2 {
		b.apply(remove(settings...)...)
	}
	after := b.Sh("ip netns exec x sh -c 'cd /proc/sys/net; cat ipv4/ip_forward ipv4/ping_group_range ipv4/conf/eth0/rp_filter ipv6/conf/eth0/accept_ra ipv4/neigh/eth0/retrans_time_ms'")
	if before != after {
		t.Errorf("deleted settings are\n%sand were\n%s", after, before)
	}
	err := b.try(create(sysctl("net/ipv4/conf/eth0/no_such", "1", "eth0"))...)
	if err == nil || !strings.Contains(err.Error(), "creating sysctl net/ipv4/conf/eth0/no_such in namespace x: ") {
		t.Errorf("a setting that there is not: %v", err)
	}
	err = b.try(create(sysctl("net/ipv4/ip_forward", "many", ""))...)
	if err == nil || !strings.Contains(err.Error(), "invalid argument") {
		t.Errorf("a value that it may not have: %v", err)
	}
	if w := b.live(state.World{}); w[settings[0].Key()] != nil {
		t.Error("a setting is in the snapshot that nobody asked for")
	}
}

// Switches of the host are turned on, never off.
func TestKeptSysctl(t *testing.T) {
	b := newBench(t)
	path := "/proc/sys/net/ipv4/ip_forward"
	forward := state.Sysctl{Place: state.Host, Path: "net/ipv4/ip_forward", Value: "1", Mark: owner("network.n"), Keep: true}
	b.apply(create(forward)...)
	b.same(forward)
	off := forward
	off.Value = "0"
	b.apply(update(forward, off))
	b.shows("cat "+path, "1")
	b.apply(remove(forward)...)
	b.shows("cat "+path, "1")

	// A limit is raised, and one that is higher is good enough; it is never lowered.
	limit := state.Sysctl{Place: state.Host, Path: "net/ipv4/tcp_max_syn_backlog", Value: "4096", Mark: owner("network.n"), Keep: true}
	b.Sh("sysctl -qw net.ipv4.tcp_max_syn_backlog=512")
	if live := b.live(state.World{limit.Key(): limit})[limit.Key()]; state.Compare(limit, live).Same() {
		t.Errorf("a limit of 512 is as good as %+v", limit)
	}
	b.apply(create(limit)...)
	b.same(limit)
	b.Sh("sysctl -qw net.ipv4.tcp_max_syn_backlog=9999")
	b.same(limit)
	b.apply(create(limit)...)
	b.apply(remove(limit)...)
	b.shows("sysctl -n net.ipv4.tcp_max_syn_backlog", "9999")

	// The neighbor table's are the whole machine's, and not to be seen in other namespaces.
	table := limit
	table.Path, table.Optional = "net/ipv4/neigh/default/gc_thresh3", true
	b.same(table)
	b.apply(create(table)...)
}

// Settings of what is gone, or was never ours, are nobody's.
func TestSysctlsOfNothing(t *testing.T) {
	b := newBench(t)
	b.Sh("ip netns add theirs; touch /run/netns/dead")
	for _, ns := range []string{"none", "theirs", "dead"} {
		s := state.Sysctl{Place: state.Netns(ns), Path: "net/ipv4/ip_forward", Value: "0"}
		if w := b.live(state.World{s.Key(): s}); w[s.Key()] != nil {
			t.Errorf("%s is %+v", s.Key(), w[s.Key()])
		}
	}
	b.apply(remove(state.Sysctl{Place: state.Netns("none"), Path: "net/ipv4/ip_forward", Value: "0"})...)
	b.Sh("ip netns del theirs; rm /run/netns/dead; umount /run/netns; rmdir /run/netns")
}

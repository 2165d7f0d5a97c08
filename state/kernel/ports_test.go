package kernel

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cnmctl/cnmctl/state"
	"github.com/cnmctl/cnmctl/state/kernel/kerneltest"
)

// manyPorts is a table that publishes n ports.
func manyPorts(n int) state.Ruleset {
	r := state.Ruleset{Place: state.Host, Table: "cnm_shop", Mark: state.Owner{Stack: "shop"}}
	set := state.Set{Name: "ports4", Key: state.ProtoPort, Data: state.AddrPort4}
	for i := range n {
		set.Elements = append(set.Elements, state.Element{
			Key: fmt.Sprintf("tcp . %d", 20000+i), Data: fmt.Sprintf("10.1.%d.%d . 80", i/250, 2+i%250), Owner: "endpoint.web",
		})
	}
	r.Sets = []state.Set{set}
	r.Chains = []state.Chain{{
		Name: "prerouting", Hook: &state.Hook{Type: "nat", Hook: "prerouting", Priority: -100, Policy: state.Accept},
		Rules: []state.FilterRule{{Matches: []state.Match{state.LocalDestination()}, Do: state.DNATByPort("ports4", false)}},
	}}
	return r
}

// withPort is the table with one element changed.
func withPort(r state.Ruleset, i int, data string) state.Ruleset {
	set := r.Sets[0]
	set.Elements = slices.Clone(set.Elements)
	set.Elements[i].Data = data
	r.Sets = []state.Set{set}
	return r
}

// TestChangeOfOnePort: of a thousand published ports one is changed, in one transaction that
// says no more than that; and when the table is not what it was, it is made anew.
func TestChangeOfOnePort(t *testing.T) {
	kerneltest.NewHost(t)
	defer nft(t, "", "flush", "ruleset")
	old := manyPorts(1000)
	apply(t, old)
	sameTable(t, "a thousand", old, read(t, "shop"))
	now := withPort(old, 500, "10.9.9.9 . 81")
	c, err := openFilter(newBuffers(), &ruleMemo{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	_, _ = c.tableHead("cnm_shop")
	before := c.seen.last
	start := time.Now()
	if err := applyOp(state.Op{Action: state.Update, Key: now.Key(), Before: old, After: now}); err != nil {
		t.Fatal(err)
	}
	t.Logf("one of a thousand ports changed in %s", time.Since(start))
	_, _ = c.tableHead("cnm_shop")
	if after := c.seen.last; after != before+1 {
		t.Errorf("%d transactions in place of one", after-before)
	}
	sameTable(t, "one changed", now, read(t, "shop"))
	gone, come, ok := now.OnlyElements(old)
	if !ok || len(gone) != 1 || len(come) != 1 || len(gone[0].Elements) != 1 || len(come[0].Elements) != 1 {
		t.Errorf("more than one element changes: %v %v %t", gone, come, ok)
	}
	nft(t, "", "delete", "element", "inet", "cnm_shop", "ports4", "{ tcp . 20500 }")
	if err := applyOp(state.Op{Action: state.Update, Key: old.Key(), Before: now, After: old}); err != nil {
		t.Fatal(err)
	}
	sameTable(t, "made anew", old, read(t, "shop"))
}

// TestPortHolders: who listens and who publishes is found, on the addresses where they do.
func TestPortHolders(t *testing.T) {
	b := newBench(t)
	tcp, err := net.Listen("tcp4", "127.0.0.1:7001")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	both, err := net.Listen("tcp", ":7002")
	if err != nil {
		t.Fatal(err)
	}
	defer both.Close()
	udp, err := net.ListenPacket("udp6", "[::1]:7003")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	other := manyPorts(1)
	other.Table, other.Mark = state.TableName("other"), state.Owner{Stack: "other"}
	apply(t, other)
	own := manyPorts(2)
	own.Table, own.Mark = state.TableName(stack), state.Owner{Stack: stack}
	apply(t, own)
	defer nft(t, "", "flush", "ruleset")
	holders, err := b.k.PortHolders(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, h := range holders {
		who, _, _ := strings.Cut(h.Who, " (")
		if strings.Contains(h.Who, "(process ") {
			who = "a process"
		}
		got = append(got, fmt.Sprintf("%s %s %d %s", h.Protocol, h.Address, h.Port, who))
	}
	slices.Sort(got)
	want := []string{
		"tcp 0.0.0.0 20000 endpoint.web of stack other", "tcp 127.0.0.1 7001 a process",
		"tcp invalid IP 7002 a process", "udp ::1 7003 a process",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestStaleFlows: only connections by a changed port are stale, and of new ports only those
// that the host itself heard.
func TestStaleFlows(t *testing.T) {
	any4, ip := netip.Addr{}, netip.MustParseAddr
	s := &staleFlows{
		gone: map[hostPort]netip.AddrPort{{false, 6, any4, 8080}: netip.MustParseAddrPort("10.1.0.2:80"), {false, 132, any4, 9000}: netip.MustParseAddrPort("10.1.0.2:90"),
			{false, 6, any4, 80}: netip.MustParseAddrPort("10.1.0.2:80")},
		come:  map[hostPort]bool{{false, 17, any4, 53}: true, {false, 17, ip("192.0.2.1"), 54}: true},
		local: map[netip.Addr]bool{ip("192.0.2.1"): true, ip("192.0.2.2"): true},
	}
	for _, c := range []struct {
		what       string
		proto      uint8
		to, server string
		stale      bool
	}{
		{"by the port", 6, "192.0.2.1:8080", "10.1.0.2:80", true},
		{"to where it leads now", 6, "192.0.2.1:8080", "10.1.0.3:80", false},
		{"by another port", 6, "192.0.2.1:8081", "10.1.0.2:80", false},
		{"by its own number", 6, "192.0.2.1:80", "10.1.0.2:80", true},
		{"not by the port but straight there", 6, "10.1.0.2:80", "10.1.0.2:80", false},
		{"by another protocol", 17, "192.0.2.1:8080", "10.1.0.2:80", false},
		{"to the host, before", 17, "192.0.2.1:53", "192.0.2.1:53", true},
		{"through the host, elsewhere", 17, "198.51.100.1:53", "198.51.100.1:53", false},
		{"to one address", 17, "192.0.2.1:54", "192.0.2.1:54", true},
		{"to another address", 17, "192.0.2.2:54", "192.0.2.2:54", false},
		{"an association", 132, "192.0.2.1:9000", "10.1.0.2:90", true},
	} {
		if got := s.match(flow{protocol: c.proto, to: netip.MustParseAddrPort(c.to), server: netip.MustParseAddrPort(c.server)}); got != c.stale {
			t.Errorf("%s: stale %t, want %t", c.what, got, c.stale)
		}
	}
}

// BenchmarkThousandPorts: all of them made, one of them changed, all of them read.
func BenchmarkThousandPorts(b *testing.B) {
	kerneltest.NewHost(b)
	defer nft(b, "", "flush", "ruleset")
	all := manyPorts(1000)
	one := withPort(all, 500, "10.9.9.9 . 81")
	b.Run("make", func(b *testing.B) {
		for b.Loop() {
			apply(b, all)
		}
	})
	b.Run("change one", func(b *testing.B) {
		apply(b, all)
		from, to := all, one
		for b.Loop() {
			if err := applyOp(state.Op{Action: state.Update, Key: to.Key(), Before: from, After: to}); err != nil {
				b.Fatal(err)
			}
			from, to = to, from
		}
	})
	b.Run("read", func(b *testing.B) {
		for b.Loop() {
			read(b, "shop")
		}
	})
}

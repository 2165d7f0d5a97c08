package planner

import (
	"strings"
	"testing"

	"github.com/cnmctl/cnmctl/state"
)

// A script forgets the connections of ports that lead elsewhere, and of no others.
func TestScriptForgetsConnections(t *testing.T) {
	table := func(four, at, six string) state.Ruleset {
		set := func(name string, data state.Types, key, to string) state.Set {
			s := state.Set{Name: name, Data: data}
			if to != "" {
				s.Elements = []state.Element{{Key: key, Data: to}}
			}
			return s
		}
		return state.Ruleset{Place: state.Host, Table: "cnm_shop", Sets: []state.Set{
			set("ports4", state.AddrPort4, "tcp . 8080", four),
			set("ports_at4", state.AddrPort4, "192.0.2.1 . udp . 53", at),
			set("ports6", state.AddrPort6, "sctp . 9000", six),
			{Name: "published4", Elements: []state.Element{{Key: "10.1.0.2 . tcp . 80"}}},
		}}
	}
	whole := table("10.1.0.2 . 80", "10.1.0.3 . 53", "fd00::2 . 90")
	const (
		tcp  = "conntrack -D -p tcp --orig-port-dst 8080 --reply-src 10.1.0.2 --reply-port-src 80 2>/dev/null || :\n"
		udp  = "conntrack -D -d 192.0.2.1 -p udp --orig-port-dst 53 --reply-src 10.1.0.3 --reply-port-src 53 2>/dev/null || :\n"
		sctp = "conntrack -D -f ipv6 -p sctp --orig-port-dst 9000 --reply-src fd00::2 --reply-port-src 90 2>/dev/null || :\n"
	)
	for name, c := range map[string]struct {
		before, after state.Object
		want          string
	}{
		"new":     {nil, whole, ""},
		"same":    {whole, whole, ""},
		"moved":   {whole, table("10.1.0.2 . 80", "10.1.0.4 . 53", "fd00::2 . 90"), udp},
		"gone":    {whole, table("10.1.0.2 . 80", "10.1.0.3 . 53", ""), sctp},
		"deleted": {whole, nil, tcp + sctp + udp},
	} {
		op := state.Op{Action: state.Update, Key: whole.Key(), Before: c.before, After: c.after}
		switch {
		case c.before == nil:
			op.Action = state.Create
		case c.after == nil:
			op.Action = state.Delete
		}
		var b strings.Builder
		if err := Script(&b, &Plan{Stack: "shop", Ops: []state.Op{op}, Waves: []int{1}}); err != nil {
			t.Fatal(err)
		}
		got := ""
		for line := range strings.Lines(b.String()) {
			if strings.HasPrefix(line, "conntrack") {
				got += line
			}
		}
		if got != c.want {
			t.Errorf("%s:\n%swant\n%s", name, got, c.want)
		}
	}
}

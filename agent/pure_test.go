package agent_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cnmctl/cnmctl/agent"
	"github.com/cnmctl/cnmctl/drivers/registry"
	"github.com/cnmctl/cnmctl/state"
)

func addr(text string) netip.Addr { return netip.MustParseAddr(text) }

func TestPauseGrowsToALimit(t *testing.T) {
	most := func(d time.Duration) time.Duration { return d }
	least := func(time.Duration) time.Duration { return 0 }
	for _, c := range []struct {
		failures    int
		least, most time.Duration
	}{{1, 125 * time.Millisecond, 250 * time.Millisecond}, {2, 250 * time.Millisecond, 500 * time.Millisecond}, {1000, 15 * time.Second, 30 * time.Second}} {
		if l, m := agent.Pause(c.failures, least), agent.Pause(c.failures, most); l != c.least || m != c.most {
			t.Errorf("after %d failures %s to %s, want %s to %s", c.failures, l, m, c.least, c.most)
		}
	}
}

func TestLookRefusesALostStore(t *testing.T) {
	host := agent.Host{Stack: "shop", Name: "b", Drivers: registry.All()}
	ns := state.Namespace{Name: "shop-db", Mark: box("db", "b").Mark}
	hosts := state.World{}
	hosts.Add(state.HostRecord{Mark: state.Owner{Stack: "shop", Address: "host.b"}, Name: "b"})
	others := state.Namespace{Name: "lab-db", Mark: state.Owner{Stack: "lab", Address: "sandbox.db"}}
	for name, c := range map[string]struct {
		records agent.Records
		live    state.Object
		lost    bool
		refused string
	}{
		"emptied":                   {agent.Records{}, ns, true, "holds nothing"},
		"emptied but for hosts":     {agent.Records{World: hosts}, ns, true, "holds nothing"},
		"destroyed":                 {agent.Records{World: hosts, Reported: true}, ns, false, ""},
		"nothing here":              {agent.Records{}, others, false, ""},
		"coming back":               {agent.Records{World: hosts, Alive: true, Partial: true}, ns, false, "are being written"},
		"coming back, nothing here": {agent.Records{World: hosts, Alive: true, Partial: true}, others, false, ""},
		"changing":                  {agent.Records{World: hosts, Alive: true, Partial: true, Reported: true}, ns, false, ""},
	} {
		_, err := host.Look(context.Background(), c.records, newMachine(c.live), nil)
		var lost *agent.LostError
		if errors.As(err, &lost) != c.lost || (err == nil) != (c.refused == "") || err != nil && !strings.Contains(err.Error(), c.refused) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMeasured(t *testing.T) {
	b := state.HostRecord{Mark: state.Owner{Stack: "shop", Address: "host.b"}, Name: "b", VTEP: addr("10.99.0.11")}
	found, written, moved := b, b, b
	found.MTU, written.MTU, moved.VTEP = 1400, 9000, addr("10.99.0.12")
	for name, c := range map[string]struct {
		have state.Object
		says bool
	}{"not said": {b, true}, "said": {written, false}, "another end": {moved, false}, "gone": {box("db", "b"), false}} {
		hosts := state.World{}
		hosts.Add(c.have)
		op := agent.Measured(hosts, found)
		if (op != nil) != c.says || c.says && op.After != found {
			t.Errorf("%s: %+v", name, op)
		}
	}
}

func TestCaught(t *testing.T) {
	world := state.World{}
	world.Add(box("web", "a"), box("db", "b"), box("free", ""))
	full := agent.Host{}.GoalOf(nil, world, state.News{Revision: state.Revision{Serial: 3, Index: 30}})
	gone := agent.Host{}.GoalOf(nil, nil, state.News{})
	status := func(index uint64, text string) []state.Status {
		return []state.Status{{Host: "b", Revision: state.Revision{Index: index}, Error: text}}
	}
	for name, c := range map[string]struct {
		goal *agent.Goal
		said []state.Status
		want bool
	}{
		"unheard of":        {full, nil, false},
		"behind":            {full, status(29, ""), false},
		"there":             {full, status(30, ""), true},
		"further":           {full, status(31, ""), true},
		"failed":            {full, status(30, "no"), false},
		"gone and silent":   {gone, nil, true},
		"gone and still up": {gone, status(30, ""), false},
	} {
		if got := c.goal.Caught("b", c.said); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	said := []state.Status{{Host: "old"}, {Host: "b"}}
	if got, want := full.Hosts(said), []string{"a", "b", "old"}; !slices.Equal(got, want) {
		t.Errorf("concerned are %v, want %v", got, want)
	}
}

func TestRegistration(t *testing.T) {
	host := func(name, vtep string, registered bool) state.HostRecord {
		return state.HostRecord{Mark: state.Owner{Stack: "shop", Address: state.Address("host." + name)}, Name: name, VTEP: addr(vtep), MTU: 1500, Registered: registered}
	}
	want := host("b", "10.0.0.2", true)
	for name, c := range map[string]struct {
		there  []state.Object
		action state.Action
		err    string
	}{
		"new":                {nil, state.Create, ""},
		"as it is":           {[]state.Object{want}, "", ""},
		"moved":              {[]state.Object{host("b", "10.0.0.9", true)}, state.Update, ""},
		"declared alike":     {[]state.Object{host("b", "10.0.0.2", false)}, "", ""},
		"declared otherwise": {[]state.Object{host("b", "10.0.0.9", false)}, "", "the configuration says"},
		"another one's":      {[]state.Object{host("c", "10.0.0.2", true)}, "", "host c has its tunnel end"},
	} {
		w := state.World{}
		w.Add(c.there...)
		op, err := agent.Registration(w, want)
		switch {
		case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)), c.err == "" && err != nil:
			t.Errorf("%s: error %v", name, err)
		case c.action == "" && op != nil, c.action != "" && (op == nil || op.Action != c.action || op.After != want):
			t.Errorf("%s: %+v", name, op)
		}
	}
}

func TestMetricsAreWhatPrometheusReads(t *testing.T) {
	var b strings.Builder
	if _, err := new(agent.Metrics).WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"# TYPE cnmctl_converged_revision gauge\ncnmctl_converged_revision 0\n", "cnmctl_drift_repaired_total 0\n",
		"cnmctl_pass_duration_seconds_bucket{le=\"0.005\"} 0\n", "cnmctl_pass_duration_seconds_bucket{le=\"+Inf\"} 0\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

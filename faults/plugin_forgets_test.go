package faults

import (
	"slices"
	"strings"
	"testing"

	"github.com/cnmctl/cnmctl/e2e/apart"
)

// TestPluginForgets: an IPAM plugin that says that it forgets (RequiresRequestReplay) is told
// what it gave before it is asked for anything, in each run, and may call its pools otherwise
// afterwards.
func TestPluginForgets(t *testing.T) {
	t.Parallel()
	apart.Test(t, func(t *testing.T) {
		o, all := plugIn(t), pluggedStages(t, plugged)
		o.replays = true
		before := machine(t)
		must(t, 0, all[0].run...)
		given := o.addresses()
		const gateway, printer, web = "address 10.66.0.1", "address 10.66.0.9", "address 10.66.0.2"
		if want := []string{gateway, web, printer}; !slices.Equal(given, want) {
			t.Fatalf("it gave %q, want %q", given, want)
		}
		for _, s := range all[1:] {
			o.ipam.Forget()
			o.do(-1, nil)
			must(t, 2, s.plan...) // who only looks tells nothing
			if calls := o.seen(); len(calls) > 0 {
				t.Errorf("a plan made the calls %q", calls)
			}
			must(t, 0, s.run...)
			calls := slices.DeleteFunc(o.seen(), func(call string) bool { return !strings.HasPrefix(call, "count IpamDriver.Re") })
			want := []string{"RequestPool", "RequestAddress", "RequestAddress", "RequestAddress"} // gateway, printer, endpoint
			for i, call := range want {
				if i >= len(calls) || calls[i] != "count IpamDriver."+call {
					t.Fatalf("the calls of %s begin with %q, want %q", s.name, calls, want)
				}
			}
			must(t, 0, s.plan...)
		}
		o.holdsNothing(t)
		isLike(t, before)
	})
}

// addresses are those that the IPAM plugin has given.
func (o *outlet) addresses() []string {
	held := slices.DeleteFunc(o.ipam.Left(), func(what string) bool { return !strings.HasPrefix(what, "address ") })
	slices.Sort(held)
	return held
}

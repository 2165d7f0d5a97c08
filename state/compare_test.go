package state

import (
	"net/netip"
	"testing"
)

// TestTakenBack: what a configuration no longer asks for differs from what was made when it
// did, or the way to a configuration would show in the kernel.
func TestTakenBack(t *testing.T) {
	route := NewRoute(Route{Place: Host, Dst: netip.MustParsePrefix("10.9.0.0/16"), Dev: "eth0"})
	sourced := route
	sourced.Src = netip.MustParseAddr("10.1.0.2")
	plain := Link{Place: Host, Name: "br", Type: Bridge, MTU: EthernetMTU, Up: true}
	small := plain
	small.MTU = 1400
	for name, it := range map[string]struct {
		want, live Object
		old, new   string
	}{
		"src": {route, sourced, `"10.1.0.2"`, `""`},
		"mtu": {plain, small, "1400", "1500"},
	} {
		delta := Compare(it.want, it.live)
		if len(delta.Fields) != 1 || delta.Fields[0] != (Field{Name: name, Old: it.old, New: it.new}) || delta.Replace {
			t.Errorf("%s: %+v, want %s -> %s in place", name, delta, it.old, it.new)
		}
	}
}

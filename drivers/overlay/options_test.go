package overlay

import (
	"net/netip"
	"testing"

	"github.com/cnmctl/cnmctl/drivers"
	"github.com/cnmctl/cnmctl/state"
)

// TestMTU: packets of the greatest size fit into the underlay, and none that is four bytes
// greater.
func TestMTU(t *testing.T) {
	for _, c := range []struct {
		under     int
		vtep      string
		encrypted bool
		want      int
	}{
		{1500, "10.99.0.10", false, 1450}, {1500, "2001:db8::10", false, 1430}, {0, "10.99.0.10", true, 1416},
		{1500, "10.99.0.10", true, 1416}, {1500, "2001:db8::10", true, 1396},
		{1501, "10.99.0.10", true, 1416}, {1503, "10.99.0.10", true, 1416}, {1504, "10.99.0.10", true, 1420}, {9000, "10.99.0.10", true, 8916},
	} {
		n := network{View: drivers.View{Hosts: []state.HostRecord{{Name: "a", VTEP: netip.MustParseAddr(c.vtep), MTU: c.under}}}, options: options{Encrypted: c.encrypted}}
		if got := n.mtu(); got != c.want {
			t.Errorf("%+v: the MTU is %d", c, got)
		}
		if !c.encrypted || c.under == 0 {
			continue
		}
		// IP header, ESP, and in it UDP, VXLAN and Ethernet headers, the packet, padding and
		// its length, next header; then the tag.
		ip := 20
		if n.Hosts[0].VTEP.Is6() {
			ip = 40
		}
		size := func(mtu int) int { return ip + 8 + 8 + (8+8+14+mtu+2+3)/4*4 + 16 }
		if size(c.want) > c.under || size(c.want+4) <= c.under {
			t.Errorf("%+v: packets have %d bytes", c, size(c.want))
		}
	}
}

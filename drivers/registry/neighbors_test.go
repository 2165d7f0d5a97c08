package registry_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cnmctl/cnmctl/drivers/registry"
	"github.com/cnmctl/cnmctl/state"
)

// Limits of the neighbor table are raised for many endpoints on one host, for the families
// that they have.
func TestNeighborLimits(t *testing.T) {
	bothWide := []string{"10.1.0.0/16", "fd00:1::/64"}
	for _, c := range []struct {
		here, away int
		subnets    []string
		want       string
	}{
		{here: 128, subnets: bothWide},
		{here: 129, subnets: bothWide[:1], want: "ipv4: 8192 49152 65536"},
		{here: 129, subnets: bothWide, want: "ipv4: 8192 49152 65536, ipv6: 8192 49152 65536"},
		{here: 1, away: 300, subnets: bothWide[1:], want: "ipv6: 8192 49152 65536"},
		{away: 300, subnets: bothWide[1:]},
		{here: 5000, subnets: bothWide[:1], want: "ipv4: 16384 98304 131072"},
	} {
		r := records().Cluster("10.99.0.10", "10.99.0.11").Network("mesh", "overlay", c.subnets)
		for i := range c.here + c.away {
			host := "a"
			if i >= c.here {
				host = "b"
			}
			name := fmt.Sprintf("s%d", i)
			r.Sandbox(name, on(host)).Attach("mesh", name, func(e *state.Endpoint) {
				e.MAC, e.HostInterface = state.MAC{2, 0, 0, 0, byte(i >> 8), byte(i)}, "veth"+name
			})
		}
		w, err := r.World(registry.All())
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, family := range []string{"ipv4", "ipv6"} {
			var limits []string
			for i := 1; i <= 3; i++ {
				if s, ok := w[state.SysctlKey(state.Host, fmt.Sprintf("net/%s/neigh/default/gc_thresh%d", family, i))].(state.Sysctl); ok {
					limits = append(limits, s.Value)
				}
			}
			if len(limits) > 0 {
				got = append(got, family+": "+strings.Join(limits, " "))
			}
		}
		if text := strings.Join(got, ", "); text != c.want {
			t.Errorf("%d endpoints here and %d elsewhere in %v: %q, want %q", c.here, c.away, c.subnets, text, c.want)
		}
	}
}

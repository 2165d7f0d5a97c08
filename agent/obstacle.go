package agent

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/cnmctl/cnmctl/state"
)

// inTheWay refuses an address that would be new on the host itself and whose subnet another
// address of the host is in: two routes would lead there. Who planned the network did so on
// another host, and could not know.
func inTheWay(want, live state.World, others map[netip.Addr]string) error {
	if len(others) == 0 {
		return nil
	}
	for _, k := range want.Keys() {
		a, is := want[k].(state.IPAddress)
		if !is || a.Place != state.Host || a.Prefix.IsSingleIP() || a.Prefix.Addr().IsLinkLocalUnicast() || live[k] != nil {
			continue
		}
		for _, ip := range slices.SortedFunc(maps.Keys(others), netip.Addr.Compare) {
			if others[ip] == a.Link || !a.Prefix.Contains(ip) {
				continue
			}
			return fmt.Errorf("giving %s the address %s: this host has %s on %s already, in the same subnet, and could not tell which of the two to send packets to. "+
				"Nothing was changed. Give the network another subnet (for the bridge of overlay networks, by their option gateway_subnet), or take that address off %s",
				a.Mark.Address, a.Prefix, ip, others[ip], others[ip])
		}
	}
	return nil
}

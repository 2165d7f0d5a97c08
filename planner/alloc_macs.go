package planner

import (
	"fmt"
	"net/netip"

	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/hcl/v2"
)

// onNetwork is a MAC on a network: it must be unique there, and only there.
type onNetwork struct {
	network state.Address
	mac     state.MAC
}

// allocateMACs gives endpoints the MAC that they ask for, or one made of
// their address. A made one is never taken from what is held: it follows the address.
func (w *wiring) allocateMACs() hcl.Diagnostics {
	var diags hcl.Diagnostics
	taken := make(map[onNetwork]*spec.Endpoint, len(w.linked))
	for _, e := range w.linked {
		if e.MAC.IsZero() {
			continue
		}
		at := onNetwork{e.Network, e.MAC}
		if other := taken[at]; other != nil {
			diags = append(diags, macInUse(e, other))
		}
		taken[at] = e
	}
	for _, e := range w.linked {
		if !e.MAC.IsZero() || w.of(e).ParentMAC || w.of(e).Plugin {
			continue
		}
		e.MAC = w.freeMAC(e, taken)
		taken[onNetwork{e.Network, e.MAC}] = e
	}
	return diags
}

func macInUse(e, other *spec.Endpoint) *hcl.Diagnostic {
	return failure(e.At("mac"), "MAC already in use", fmt.Sprintf(
		"%s asks for the MAC %s, which %s (%s) has on %s: a bridge would send the frames of one to the other. Choose another, or leave mac out.",
		e.Mark.Address, e.MAC, other.Mark.Address, line(other.At("mac")), e.Network))
}

// freeMAC is the first MAC by the rule that nobody on the network has asked for.
func (w *wiring) freeMAC(e *spec.Endpoint, taken map[onNetwork]*spec.Endpoint) state.MAC {
	if e.IPv4.IsValid() && ownAddresses(w.network[e.Network]) {
		if mac := macOf(e.IPv4.Addr()); taken[onNetwork{e.Network, mac}] == nil {
			return mac
		}
	}
	text := string(e.Mark.Address)
	if e.IPv6.IsValid() && ownAddresses(w.network[e.Network]) {
		text = e.IPv6.Addr().String()
	}
	for attempt := 0; ; attempt++ {
		sum := hash(w.stack, state.Address(text), attempt)
		mac := state.MAC{0x02, 0x42, sum[0], sum[1], sum[2], sum[3]}
		if taken[onNetwork{e.Network, mac}] == nil {
			return mac
		}
	}
}

// macOf is libnetwork's rule: 02:42, then the four bytes of the IPv4 address.
func macOf(ip netip.Addr) state.MAC {
	b := ip.As4()
	return state.MAC{0x02, 0x42, b[0], b[1], b[2], b[3]}
}

package planner

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

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
		if !e.MAC.IsZero() {
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
	if e.IPv4.IsValid() {
		if mac := macOf(e.IPv4.Addr()); taken[onNetwork{e.Network, mac}] == nil {
			return mac
		}
	}
	text := string(e.Mark.Address)
	if e.IPv6.IsValid() {
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

// allocateInterfaces names the interfaces inside of sandboxes.
func (w *wiring) allocateInterfaces() hcl.Diagnostics {
	var diags hcl.Diagnostics
	for _, s := range w.sandboxes {
		diags = append(diags, w.nameInterfaces(s)...)
	}
	return diags
}

// nameInterfaces names the interfaces of one sandbox: as written, as held, or the prefix
// of the network and the lowest free number.
func (w *wiring) nameInterfaces(s *spec.Sandbox) hcl.Diagnostics {
	var diags hcl.Diagnostics
	onHost := s.Netns == ""
	taken := map[string]*spec.Endpoint{}
	free := func(name string) bool {
		return name != "lo" && taken[name] == nil && (!onHost || w.onHost.free(name))
	}
	take := func(e *spec.Endpoint) {
		taken[e.Interface] = e
		if onHost {
			w.onHost.take(e.Interface, e.Mark.Address)
		}
	}
	var unnamed []*spec.Endpoint
	for _, e := range w.inside[s.Mark.Address] {
		if !w.of(e).Links {
			continue
		}
		if e.Interface == "" {
			unnamed = append(unnamed, e)
			continue
		}
		if other := taken[e.Interface]; other != nil {
			diags = append(diags, failure(e.At("interface"), "Interface name already in use", fmt.Sprintf(
				"%s and %s (%s) both name their interface in %s %q. Give one of them another name, or leave interface out.",
				e.Mark.Address, other.Mark.Address, line(other.At("interface")), s.Mark.Address, e.Interface)))
		}
		take(e)
	}
	for _, e := range unnamed {
		for _, held := range w.held.Endpoints[e.Mark.Address].Interfaces {
			if e.Interface == "" && free(held) && numbered(held, w.prefix(e)) {
				e.Interface = held
				take(e)
			}
		}
	}
	next := map[string]int{}
	for _, e := range unnamed {
		if e.Interface != "" {
			continue
		}
		prefix := w.prefix(e)
		for !free(prefix + strconv.Itoa(next[prefix])) {
			next[prefix]++
		}
		e.Interface = prefix + strconv.Itoa(next[prefix])
		take(e)
		if len(e.Interface) > maxLinkName {
			diags = append(diags, failure(w.network[e.Network].At("interface_prefix"), "Interface name too long", fmt.Sprintf(
				"The interface of %s in %s would be called %q, which has %d bytes; the kernel allows %d. Shorten the prefix or name the interface.",
				e.Mark.Address, s.Mark.Address, e.Interface, len(e.Interface), maxLinkName)))
		}
	}
	return diags
}

// prefix begins the name of the endpoint's interface.
func (w *wiring) prefix(e *spec.Endpoint) string {
	if n := w.network[e.Network]; n != nil && n.Prefix != "" {
		return n.Prefix
	}
	return "eth"
}

// numbered reports that name is the prefix and a number: a name that was made by today's
// prefix, or might have been. Another prefix means that the user wants other names.
func numbered(name, prefix string) bool {
	number, ok := strings.CutPrefix(name, prefix)
	n, err := strconv.ParseUint(number, 10, 31)
	return ok && err == nil && strconv.FormatUint(n, 10) == number
}

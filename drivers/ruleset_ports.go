package drivers

import (
	"net/netip"

	"github.com/cnmctl/cnmctl/state"
)

// The rules for published ports are the same however many there are: all that differs is
// in sets and maps. A packet's way is decided once for each connection.

// The addresses that mean the machine itself (RFC 1122, section 3.2.1.3; RFC 4291, section 2.5.3).
var (
	loopback4 = netip.MustParsePrefix("127.0.0.0/8")
	loopback6 = netip.MustParsePrefix("::1/128")
)

// translatePorts sends what comes to a published port to its endpoint; own is for what the
// host itself sends.
//
// What comes from outside to 127.0.0.1 is not translated. The kernel would drop it only
// when it routes it, which is after the translation: a port that is published for the host
// alone could be reached by everybody on its links.
//
// What the host sends to ::1 is not translated either: it can never get out (IPv6 has no
// route_localnet), and "localhost" shall fail there at once, so that programs go on with
// 127.0.0.1, rather than wait.
func translatePorts(own bool) []state.FilterRule {
	matches4, matches6 := []state.Match{state.LocalDestination()}, []state.Match{state.LocalDestination()}
	if own {
		matches6 = append(matches6, state.ToAddr(loopback6).Negated())
	} else {
		matches4 = append(matches4, state.ToAddr(loopback4).Negated())
	}
	return []state.FilterRule{
		{Matches: matches4, Do: state.DNATBy(state.AddrPortKey4, PortsAt4, false)},
		{Matches: matches4, Do: state.DNATBy(state.PortKey, Ports4, false)},
		{Matches: matches6, Do: state.DNATBy(state.AddrPortKey6, PortsAt6, true)},
		{Matches: matches6, Do: state.DNATBy(state.PortKey, Ports6, true)},
	}
}

// letThrough accepts what goes to a published port, whatever the network that it goes to
// says of strangers. That it was translated keeps out who has a route to the endpoint and
// comes by itself.
func letThrough() []state.FilterRule {
	accept := state.Statement{Verb: state.Accept}
	return []state.FilterRule{
		{Matches: []state.Match{state.Translated(), state.InSet(state.AddrPortKey4, Published4)}, Do: accept},
		{Matches: []state.Match{state.Translated(), state.InSet(state.AddrPortKey6, Published6)}, Do: accept},
		{Matches: []state.Match{state.InSet(state.AddrPortKey4, Opened4)}, Do: accept},
		{Matches: []state.Match{state.InSet(state.AddrPortKey6, Opened6)}, Do: accept},
	}
}

// noLoopback drops what an endpoint sends to or from the host's loopback addresses. For
// programs of the host to reach a published port by 127.0.0.1, the kernel has to route such
// addresses on the network's interface (route_localnet), and would let endpoints talk to
// whatever listens on the host for itself alone (CVE-2020-8558). No honest packet on the
// wire has such an address: answers to the host are translated back only after this hook.
func noLoopback() []state.FilterRule {
	drop := state.Statement{Verb: state.Drop}
	from := state.InSet(state.IifName, Loopback)
	return []state.FilterRule{
		{Matches: []state.Match{from, state.ToAddr(loopback4)}, Do: drop},
		{Matches: []state.Match{from, state.FromAddr(loopback4)}, Do: drop},
	}
}

package state

import (
	"net/netip"
	"strconv"
	"strings"
)

// PublishedPort is the port of the host that an element of a set leads to an endpoint, and
// whether it is one.
func PublishedPort(s Set, e Element) (p Port, leads bool) {
	if s.Data != AddrPort4 && s.Data != AddrPort6 {
		return Port{}, false
	}
	key := strings.Split(e.Key, concatSep)
	if len(key) == 3 {
		p.Address, _ = netip.ParseAddr(key[0])
		key = key[1:]
	}
	_, inside, _ := strings.Cut(e.Data, concatSep)
	if len(key) != 2 {
		return Port{}, false
	}
	p.Protocol, p.Host, p.Container, p.Count = key[0], portNumber(key[1]), portNumber(inside), 1
	return p, p.Host != 0 && p.Container != 0
}

func portNumber(text string) uint16 {
	n, _ := strconv.ParseUint(text, 10, 16)
	return uint16(n)
}

package planner

import (
	"slices"
	"strings"

	"github.com/cnmctl/cnmctl/state"
)

// forget has the kernel forget the connections of published ports that lead elsewhere now, or
// nowhere, as apply does (conntrack(8) does it, where there is one). Those that the host itself
// has answered on a port that is published now are left: to tell them from others takes
// what a line of text does not know.
func (s *script) forget(op state.Op) {
	now, old := portMaps(op.After), portMaps(op.Before)
	var stale []publishedKey
	for p, to := range old {
		if now[p] != to {
			stale = append(stale, p)
		}
	}
	if len(stale) == 0 {
		return
	}
	slices.SortFunc(stale, func(a, b publishedKey) int { return strings.Compare(a.set+a.key, b.set+b.key) })
	s.line("# Connections to ports that lead elsewhere now are forgotten. Without conntrack(8), they go on until they end.")
	for _, p := range stale {
		s.line("%s 2>/dev/null || :", inside(op.Key.Place, p.conntrack(old[p])))
	}
}

// publishedKey is an element of a map of published ports: "tcp . 8080", or "192.0.2.1 . tcp . 8080".
type publishedKey struct {
	set, key string
	ipv6     bool
}

// portMaps are the ports that a table leads somewhere ("10.1.0.2 . 80").
func portMaps(o state.Object) map[publishedKey]string {
	ports := map[publishedKey]string{}
	r, _ := o.(state.Ruleset)
	for _, set := range r.Sets {
		if set.Data != state.AddrPort4 && set.Data != state.AddrPort6 {
			continue
		}
		for _, e := range set.Elements {
			ports[publishedKey{set.Name, e.Key, set.Data == state.AddrPort6}] = e.Data
		}
	}
	return ports
}

// conntrack is the command for the connections that were led to a place.
func (p publishedKey) conntrack(to string) string {
	key := strings.Split(p.key, " . ")
	command := "conntrack -D"
	if p.ipv6 {
		command += " -f ipv6"
	}
	if len(key) == 3 {
		command += " -d " + key[0]
		key = key[1:]
	}
	address, port, _ := strings.Cut(to, " . ")
	return command + " -p " + key[0] + " --orig-port-dst " + key[len(key)-1] + " --reply-src " + address + " --reply-port-src " + port
}

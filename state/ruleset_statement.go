package state

import "net/netip"

// Verb is what a rule does.
type Verb string

// The verbs. Accept, Drop, Return, Jump and Goto are verdicts, which verdict maps hold.
const (
	Accept     Verb = "accept"
	Drop       Verb = "drop"
	Return     Verb = "return"
	Jump       Verb = "jump"
	Goto       Verb = "goto"
	VerdictMap Verb = "vmap"
	Masquerade Verb = "masquerade"
	SNAT       Verb = "snat"
	DNAT       Verb = "dnat"
	SetMark    Verb = "meta mark set"
)

// Statement is what a rule does with a packet that it matches.
type Statement struct {
	Verb Verb
	// Chain is where Jump and Goto go.
	Chain string `json:",omitempty"`
	// Addr and Port are what SNAT and DNAT write; Port 0 leaves the port.
	Addr netip.Addr `json:",omitzero"`
	Port uint16     `json:",omitempty"`
	// Map is where VerdictMap and DNAT look up what to do, by Key, which
	// may be several fields joined by " . ". What a DNAT does not find it leaves alone.
	Map string   `json:",omitempty"`
	Key Selector `json:",omitempty"`
	// IPv6 is the family of a DNAT that looks up its address.
	IPv6 bool `json:",omitempty"`
	// Mark is what SetMark writes.
	Mark uint32 `json:",omitempty"`
}

// JumpTo goes to a chain and comes back after it.
func JumpTo(chain string) Statement { return Statement{Verb: Jump, Chain: chain} }

// LookUp does what the verdict map called name says of the field.
func LookUp(f Selector, name string) Statement { return Statement{Verb: VerdictMap, Key: f, Map: name} }

// SNATTo makes addr the source.
func SNATTo(addr netip.Addr) Statement { return Statement{Verb: SNAT, Addr: addr} }

// DNATTo makes addr, and port unless it is 0, the destination.
func DNATTo(addr netip.Addr, port uint16) Statement {
	return Statement{Verb: DNAT, Addr: addr, Port: port}
}

// DNATByPort looks up address and port in a map by transport protocol and port.
func DNATByPort(name string, ipv6 bool) Statement {
	return DNATBy(PortKey, name, ipv6)
}

// DNATBy looks up address and port in a map by a key.
func DNATBy(key Selector, name string, ipv6 bool) Statement {
	return Statement{Verb: DNAT, Map: name, Key: key, IPv6: ipv6}
}

// MarkWith gives the packet a mark.
func MarkWith(mark uint32) Statement { return Statement{Verb: SetMark, Mark: mark} }

// String is the statement as nft prints it.
func (s Statement) String() string {
	switch s.Verb {
	case Jump, Goto:
		return string(s.Verb) + " " + s.Chain
	case SetMark:
		return string(s.Verb) + " " + MarkIs(s.Mark).Value
	case VerdictMap:
		return string(s.Key) + " vmap @" + s.Map
	case SNAT, DNAT:
		return string(s.Verb) + " " + s.family() + " to " + s.target()
	}
	return string(s.Verb)
}

func (s Statement) family() string {
	if s.IPv6 || s.Addr.Is6() {
		return "ip6"
	}
	return "ip"
}

func (s Statement) target() string {
	switch {
	case s.Map != "":
		return string(s.Key) + " map @" + s.Map
	case s.Port == 0:
		return s.Addr.String()
	}
	return netip.AddrPortFrom(s.Addr, s.Port).String()
}

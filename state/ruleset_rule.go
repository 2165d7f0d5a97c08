package state

import (
	"bytes"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// FilterRule is one rule of a Chain: what it matches, what it does, for whom.
type FilterRule struct {
	Matches []Match `json:",omitempty"`
	Do      Statement
	// Owner is the block that asks for the rule (RuleOwner): the rule's comment.
	Owner string `json:",omitempty"`
	// Opaque is a live rule that cnmctl did not write, as the kernel describes it: it
	// equals no wanted rule, and a rollback can put it back.
	Opaque *OpaqueRule `json:",omitempty"`
}

// OpaqueRule is a rule as netlink attributes: NFTA_RULE_EXPRESSIONS, NFTA_RULE_USERDATA.
type OpaqueRule struct{ Exprs, Userdata []byte }

// Equal reports that both rules say the same.
func (r FilterRule) Equal(o FilterRule) bool {
	return r.Do == o.Do && r.Owner == o.Owner && slices.Equal(r.Matches, o.Matches) && r.Opaque.equal(o.Opaque)
}

func (r *OpaqueRule) equal(o *OpaqueRule) bool {
	if r == nil || o == nil {
		return r == o
	}
	return bytes.Equal(r.Exprs, o.Exprs) && bytes.Equal(r.Userdata, o.Userdata)
}

// String is the rule as nft prints it.
func (r FilterRule) String() string {
	if r.Opaque != nil {
		return "# (a rule that cnmctl did not write)"
	}
	words := make([]string, 0, len(r.Matches)+2)
	for _, m := range r.Matches {
		words = append(words, m.String())
	}
	words = append(words, r.Do.String())
	if r.Owner != "" {
		words = append(words, "comment "+nftQuote(r.Owner))
	}
	return strings.Join(words, " ")
}

// Selector is something of a packet that a rule looks at, in nft's words.
type Selector string

// The fields that rules of ours look at.
const (
	IifName    Selector = "iifname"
	OifName    Selector = "oifname"
	SdifName   Selector = "meta sdifname" // the link in a VRF, whose IifName is the VRF by then
	SaddrIPv4  Selector = "ip saddr"
	DaddrIPv4  Selector = "ip daddr"
	SaddrIPv6  Selector = "ip6 saddr"
	DaddrIPv6  Selector = "ip6 daddr"
	Family     Selector = "meta nfproto" // "ipv4", "ipv6"
	L4Proto    Selector = "meta l4proto" // "tcp", "udp", "sctp", "icmp", "ipv6-icmp"
	PacketMark Selector = "meta mark"
	TCPDport   Selector = "tcp dport"
	UDPDport   Selector = "udp dport"
	SCTPDport  Selector = "sctp dport"
	TCPSport   Selector = "tcp sport"
	Dport      Selector = "th dport"     // only in keys, after L4Proto
	Sport      Selector = "th sport"     // likewise
	CTState    Selector = "ct state"     // any of "invalid", "established", "related", "new", "untracked"
	CTStatus   Selector = "ct status"    // "dnat", "snat"
	Direction  Selector = "ct direction" // "original", "reply"
	DaddrType  Selector = "fib daddr type"
	// VNI is the network identifier of a VXLAN packet: 24 bits behind the header of UDP and
	// four bytes of flags (RFC 7348, section 5).
	VNI Selector = "@th,96,24"
	// FromIPsec is the number (reqid) of the state that a packet was decrypted with; it
	// matches no packet that was not.
	FromIPsec Selector = "ipsec in reqid"
	// RouteIPsec tells whether a packet that leaves will be encrypted.
	RouteIPsec Selector = "rt ipsec" // "exists", "missing"
)

// Match is one condition of a rule. Make it with the functions below: they write values
// as nft does, which is how they are compared.
type Match struct {
	Selector Selector
	Not      bool `json:",omitempty"`
	// Value in nft's words without quotes; "@name" for a set.
	Value string
}

// FromLink and ToLink match the interface that a packet came in by or goes out by.
func FromLink(name string) Match { return Match{Selector: IifName, Value: name} }

// ToLink is FromLink for the interface that the packet goes out by.
func ToLink(name string) Match { return Match{Selector: OifName, Value: name} }

// FromAddr and ToAddr match a source or destination inside a prefix.
func FromAddr(p netip.Prefix) Match { return addrMatch(p, SaddrIPv4, SaddrIPv6) }

// ToAddr is FromAddr for the destination.
func ToAddr(p netip.Prefix) Match { return addrMatch(p, DaddrIPv4, DaddrIPv6) }

// FamilyIs matches a packet's family. A prefix of length 0 says no more than that.
func FamilyIs(ipv6 bool) Match {
	if ipv6 {
		return Match{Selector: Family, Value: "ipv6"}
	}
	return Match{Selector: Family, Value: "ipv4"}
}

func addrMatch(p netip.Prefix, v4, v6 Selector) Match {
	p = p.Masked()
	if p.Bits() == 0 {
		return FamilyIs(p.Addr().Is6())
	}
	m := Match{Selector: v4, Value: p.String()}
	if p.Addr().Is6() {
		m.Selector = v6
	}
	if p.IsSingleIP() {
		m.Value = p.Addr().String()
	}
	return m
}

// InSet matches a field against the set called name.
func InSet(f Selector, name string) Match { return Match{Selector: f, Value: "@" + name} }

// Established matches packets of connections that were let through before.
func Established() Match { return Match{Selector: CTState, Value: "established,related"} }

// Unjudged matches packets that follow from others: errors about a connection, the
// connections that one opens, and what nobody tracks, neighbor discovery above all.
func Unjudged() Match { return Match{Selector: CTState, Value: "related,untracked"} }

// Answers matches the packets of a connection that go to who began it.
func Answers() Match { return Match{Selector: Direction, Value: "reply"} }

// Translated matches packets whose destination a rule of the prerouting or output chain
// has changed: published ports.
func Translated() Match { return Match{Selector: CTStatus, Value: "dnat"} }

// LocalDestination matches packets to any of the namespace's own addresses.
func LocalDestination() Match { return Match{Selector: DaddrType, Value: "local"} }

// ToPort matches a destination port of a transport protocol: "tcp", "udp" or "sctp".
func ToPort(proto string, port uint16) Match {
	return Match{Selector: Selector(proto + " dport"), Value: strconv.Itoa(int(port))}
}

// FromPortBelow matches TCP from source ports below one.
func FromPortBelow(port uint16) Match {
	return Match{Selector: TCPSport, Value: "< " + strconv.Itoa(int(port))}
}

// MarkIs matches the packet's mark.
func MarkIs(mark uint32) Match {
	hex := strconv.FormatUint(uint64(mark), 16)
	return Match{Selector: PacketMark, Value: "0x" + strings.Repeat("0", 8-len(hex)) + hex}
}

// VNIIs matches VXLAN packets of a network identifier, among those to its UDP port.
func VNIIs(vni uint32) Match {
	return Match{Selector: VNI, Value: "0x" + strconv.FormatUint(uint64(vni), 16)}
}

// DecryptedWith matches packets that a state of the number (reqid) has decrypted.
func DecryptedWith(reqid uint32) Match {
	return Match{Selector: FromIPsec, Value: strconv.FormatUint(uint64(reqid), 10)}
}

// InClear matches packets that leave without being encrypted.
func InClear() Match { return Match{Selector: RouteIPsec, Value: "missing"} }

// Whole matches all packets: whoever asks for a connection's state has them put together
// before (IPv6 does that to fragments only when they have passed the rules).
func Whole() Match {
	return Match{Selector: CTState, Value: "invalid,established,related,new,untracked"}
}

// HeaderKey is what a packet of the family is looked up by: the fields joined. It implies
// the family if one of them is an address.
func HeaderKey(fields ...Selector) Selector {
	texts := make([]string, len(fields))
	for i, f := range fields {
		texts[i] = string(f)
	}
	return Selector(strings.Join(texts, concatSep))
}

// Fields takes a key apart.
func (f Selector) Fields() []Selector {
	var fields []Selector
	for part := range strings.SplitSeq(string(f), concatSep) {
		fields = append(fields, Selector(part))
	}
	return fields
}

// The keys that packets are looked up by in sets and maps of ours.
var (
	// PortKey is a port, AddrPortKey4 and AddrPortKey6 a port of an address.
	PortKey      = HeaderKey(L4Proto, Dport)
	AddrPortKey4 = HeaderKey(DaddrIPv4, L4Proto, Dport)
	AddrPortKey6 = HeaderKey(DaddrIPv6, L4Proto, Dport)
	// PairKey4 and PairKey6 are a packet's source and destination, FlowKey4 and FlowKey6
	// what it is sent by, too.
	PairKey4 = HeaderKey(SaddrIPv4, DaddrIPv4)
	PairKey6 = HeaderKey(SaddrIPv6, DaddrIPv6)
	FlowKey4 = HeaderKey(SaddrIPv4, DaddrIPv4, L4Proto, Dport)
	FlowKey6 = HeaderKey(SaddrIPv6, DaddrIPv6, L4Proto, Dport)
	// The same of the packet that it answers.
	AnsweredPairKey4 = HeaderKey(DaddrIPv4, SaddrIPv4)
	AnsweredPairKey6 = HeaderKey(DaddrIPv6, SaddrIPv6)
	AnsweredFlowKey4 = HeaderKey(DaddrIPv4, SaddrIPv4, L4Proto, Sport)
	AnsweredFlowKey6 = HeaderKey(DaddrIPv6, SaddrIPv6, L4Proto, Sport)
)

// Keys are all keys of several fields.
func Keys() []Selector {
	return []Selector{
		PortKey, AddrPortKey4, AddrPortKey6, PairKey4, PairKey6, FlowKey4, FlowKey6,
		AnsweredPairKey4, AnsweredPairKey6, AnsweredFlowKey4, AnsweredFlowKey6,
	}
}

// Negated is the opposite of m. Bit fields (ct state, ct status) have none.
func (m Match) Negated() Match { m.Not = !m.Not; return m }

// Set is the name of the set that m looks up, and whether it does.
func (m Match) Set() (name string, ok bool) { return strings.CutPrefix(m.Value, "@") }

// String is the match as nft prints it.
func (m Match) String() string {
	value := m.Value
	if _, set := m.Set(); !set && (m.Selector == IifName || m.Selector == OifName || m.Selector == SdifName) {
		value = nftQuote(value)
	}
	if m.Not {
		value = "!= " + value
	}
	return string(m.Selector) + " " + value
}

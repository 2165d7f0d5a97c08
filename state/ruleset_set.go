package state

import (
	"bytes"
	"slices"
	"strings"
)

// Types are the types of a set's keys or a map's values in nft's words, one or several
// joined: "ifname", "inet_proto . inet_service".
type Types string

// The types that sets of ours use.
const (
	TypeIfName  Types = "ifname"
	TypeIPv4    Types = "ipv4_addr"
	TypeIPv6    Types = "ipv6_addr"
	TypeProto   Types = "inet_proto"
	TypePort    Types = "inet_service"
	TypeVerdict Types = "verdict"
	// ProtoPort is a published port, AddrPort4 and AddrPort6 where it leads.
	ProtoPort Types = TypeProto + concatSep + TypePort
	AddrPort4 Types = TypeIPv4 + concatSep + TypePort
	AddrPort6 Types = TypeIPv6 + concatSep + TypePort
	// AddrProtoPort4 and AddrProtoPort6 are a port of an address.
	AddrProtoPort4 Types = TypeIPv4 + concatSep + ProtoPort
	AddrProtoPort6 Types = TypeIPv6 + concatSep + ProtoPort
	// Pair4 and Pair6 are source and destination, Flow4 and Flow6 what they talk by, too.
	Pair4 Types = TypeIPv4 + concatSep + TypeIPv4
	Pair6 Types = TypeIPv6 + concatSep + TypeIPv6
	Flow4 Types = Pair4 + concatSep + ProtoPort
	Flow6 Types = Pair6 + concatSep + ProtoPort
)

// Split takes types apart.
func (t Types) Split() []Types {
	var parts []Types
	for part := range strings.SplitSeq(string(t), concatSep) {
		parts = append(parts, Types(part))
	}
	return parts
}

const concatSep = " . "

// Set is a named set, map or verdict map: one lookup in place of a rule for each element.
type Set struct {
	Name string
	Key  Types
	// Data is what a map leads to; "" makes it a set, TypeVerdict a verdict map.
	Data  Types  `json:",omitempty"`
	Owner string `json:",omitempty"`
	// Interval: the parts of its keys are ranges. No two elements overlap.
	Interval bool `json:",omitempty"`
	// Elements in order of key.
	Elements []Element
	// Opaque is a live set that cnmctl did not write and cannot read, as the kernel
	// describes it, so that a rollback can put it back.
	Opaque *OpaqueSet `json:",omitempty"`
}

// Element is one element of a Set.
type Element struct {
	// Key in nft's words without quotes: "br-front", "tcp . 80", "10.1.0.0/24 . 0-255".
	Key string
	// Data is a map's value: "10.1.0.2 . 80"; Do is a verdict map's.
	Data  string    `json:",omitempty"`
	Do    Statement `json:",omitzero"`
	Owner string    `json:",omitempty"`
}

// OpaqueSet is a set as netlink attributes.
type OpaqueSet struct {
	// Attrs are those of NFT_MSG_NEWSET.
	Attrs []byte
	// Elements are the lists of NFT_MSG_NEWSETELEM.
	Elements [][]byte
}

// Equal reports that both sets say the same.
func (s Set) Equal(o Set) bool {
	return s.Name == o.Name && s.Key == o.Key && s.Data == o.Data && s.Owner == o.Owner && s.Interval == o.Interval &&
		slices.Equal(s.Elements, o.Elements) && s.Opaque.equal(o.Opaque)
}

func (s *OpaqueSet) equal(o *OpaqueSet) bool {
	if s == nil || o == nil {
		return s == o
	}
	return bytes.Equal(s.Attrs, o.Attrs) && slices.EqualFunc(s.Elements, o.Elements, bytes.Equal)
}

// Word is what nft calls the set: "set" or "map".
func (s Set) Word() string {
	if s.Data == "" {
		return "set"
	}
	return "map"
}

// types is the set's types: ifname : verdict.
func (s Set) types() string {
	if s.Opaque != nil {
		return "# a set that cnmctl did not write"
	}
	if s.Data == "" {
		return "type " + string(s.Key)
	}
	return "type " + string(s.Key) + " : " + string(s.Data)
}

// String is the set as nft prints it within its table.
func (s Set) String() string {
	var b strings.Builder
	b.WriteString("\t" + s.Word() + " " + s.Name + " {\n\t\t" + s.types() + "\n")
	if s.Interval {
		b.WriteString("\t\tflags interval\n")
	}
	if s.Owner != "" {
		b.WriteString("\t\tcomment " + nftQuote(s.Owner) + "\n")
	}
	for i, e := range s.Elements {
		lead, end := "\t\t\t     ", ","
		if i == 0 {
			lead = "\t\telements = { "
		}
		if i == len(s.Elements)-1 {
			end = " }"
		}
		b.WriteString(lead + s.element(e) + end + "\n")
	}
	b.WriteString("\t}\n")
	return b.String()
}

// element is one element as nft prints it: "br-front" comment "network.front" : jump to-br-front.
func (s Set) element(e Element) string {
	text := values(s.Key, e.Key)
	if e.Owner != "" {
		text += " comment " + nftQuote(e.Owner)
	}
	switch {
	case s.Data == TypeVerdict:
		text += " : " + e.Do.String()
	case s.Data != "":
		text += " : " + values(s.Data, e.Data)
	}
	return text
}

// values quotes what nft quotes: names of interfaces.
func values(t Types, text string) string {
	types, parts := t.Split(), strings.Split(text, concatSep)
	for i := range parts {
		if i < len(types) && types[i] == TypeIfName {
			parts[i] = nftQuote(parts[i])
		}
	}
	return strings.Join(parts, concatSep)
}

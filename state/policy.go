package state

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Policy is the record of a policy: which flows may be, and which may not. It says by
// addresses whom it is about, so that every host can judge by it without knowing the
// blocks that are meant.
type Policy struct {
	Mark Owner
	// Rules in the order of the block. The order means nothing: denying beats allowing.
	Rules     []FlowRule        `json:",omitempty"`
	Labels    map[string]string `json:",omitempty"`
	Protected bool              `json:",omitempty"`
	// Hidden are as in Network.
	Hidden []string `json:",omitempty"`
}

// FlowRule allows or denies flows. A flow is all packets of a connection, those of the
// answer too; who begins it is From.
type FlowRule struct {
	Deny bool   `json:",omitempty"`
	From []Peer `json:",omitempty"`
	To   []Peer `json:",omitempty"`
	// Protocol is "tcp", "udp", "sctp" or "icmp", which for IPv6 is that of IPv6; "" is any.
	Protocol string `json:",omitempty"`
	// Ports are destination ports; none: all.
	Ports []PortRange `json:",omitempty"`
}

// Peer is one side of a flow: a block, or a range of addresses.
type Peer struct {
	// Block is a network or an endpoint, "" for a range as the configuration gives it.
	Block Address `json:",omitempty"`
	// Prefixes are the addresses that are meant.
	Prefixes []netip.Prefix `json:",omitempty"`
}

// Key is the block's address.
func (p Policy) Key() Key { return RecordKey(KindPolicy, p.Mark.Address) }

// Owner is the block itself.
func (p Policy) Owner() Owner { return p.Mark }

// Needs is nothing: what a policy speaks of need not be there.
func (p Policy) Needs() []Key { return nil }

// Inside is nothing.
func (p Policy) Inside() []Key { return nil }

// Attrs has one for each rule, and one for the addresses that the names in it stand for.
func (p Policy) Attrs() []Attr {
	var attrs []Attr
	count := map[string]int{}
	for _, r := range p.Rules {
		name := r.Word()
		name, count[name] = name+"["+strconv.Itoa(count[name])+"]", count[name]+1
		attrs = append(attrs, Attr{Name: name, Value: r.String()},
			Attr{Name: name + ".addresses", Value: r.addresses(), Quiet: true})
	}
	return hide(append(attrs, mapAttr("labels", p.Labels).quiet(), boolAttr("prevent_destroy", p.Protected).quiet()), p.Hidden)
}

// Word is what the rule's block is called: "allow" or "deny".
func (r FlowRule) Word() string {
	if r.Deny {
		return "deny"
	}
	return "allow"
}

// String is the rule in words: network.web, 10.0.0.0/8 -> endpoint.db tcp/5432.
func (r FlowRule) String() string {
	return peersText(r.From, Peer.String) + " -> " + peersText(r.To, Peer.String) + " " + r.Service()
}

// Service is what the rule says of protocol and ports: "tcp/80,8000-8009", "icmp", "any".
func (r FlowRule) Service() string {
	if r.Protocol == "" {
		return "any"
	}
	ports := make([]string, len(r.Ports))
	for i, p := range r.Ports {
		ports[i] = p.String()
	}
	if len(ports) == 0 {
		return r.Protocol
	}
	return r.Protocol + "/" + strings.Join(ports, ",")
}

func (r FlowRule) addresses() string {
	return peersText(r.From, Peer.addresses) + " -> " + peersText(r.To, Peer.addresses)
}

func peersText(peers []Peer, text func(Peer) string) string {
	texts := make([]string, len(peers))
	for i, p := range peers {
		texts[i] = text(p)
	}
	return strings.Join(texts, ", ")
}

// String is the block's address, or the range.
func (p Peer) String() string {
	if p.Block != "" {
		return string(p.Block)
	}
	return p.addresses()
}

func (p Peer) addresses() string {
	texts := make([]string, len(p.Prefixes))
	for i, prefix := range p.Prefixes {
		texts[i] = prefix.String()
		if prefix.IsSingleIP() {
			texts[i] = prefix.Addr().String()
		}
	}
	return strings.Join(texts, ", ")
}

// Same reports that both peers are called the same.
func (p Peer) Same(o Peer) bool {
	return p.Block == o.Block && (p.Block != "" || slices.Equal(p.Prefixes, o.Prefixes))
}

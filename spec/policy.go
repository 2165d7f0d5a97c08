package spec

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// Policy is a policy block. The prefixes of blocks in it are those that the blocks have
// when everything is chosen.
type Policy struct {
	state.Policy
	Decl
	// Sources are where the rules' peers were written, rule by rule.
	Sources []PeerRanges
}

// PeerRanges are the ranges of the peers of a rule.
type PeerRanges struct{ From, To hcl.Range }

func policySchema() BlockSchema {
	return BlockSchema{Labels: []string{"name"}, Schema: Schema{
		Name: "policy",
		Doc: "Which flows may be and which may not, between networks, endpoints and ranges of addresses. A flow is a connection with all its packets, those that answer too; who begins it is where it is from. " +
			"What a rule denies is denied. What one allows gets in, also into a network that is isolated. What is the target of any `allow` is closed for everybody else. Everything else is as the networks say. " +
			"The order of rules and policies means nothing.",
		Attrs:  append([]AttrSchema{labelsAttr()}, repeated()...),
		Blocks: []BlockSchema{flowSchema("allow", "Flows that get in. Their targets are closed for all others."), flowSchema("deny", "Flows that do not get in, whatever else allows them."), lifecycleSchema()},
	}}
}

func flowSchema(name, doc string) BlockSchema {
	const peers = "a list of networks, endpoints and ranges of addresses, as in `[network.web, endpoint.app[\"a\"], \"10.0.0.0/8\"]`. A block with `for_each` or `count` stands for all its instances."
	return BlockSchema{Schema: Schema{
		Name: name,
		Doc:  doc,
		Attrs: []AttrSchema{
			attr("from", cty.DynamicPseudoType, "Who begins the flow: "+peers).required(),
			attr("to", cty.DynamicPseudoType, "Who it is to: "+peers).required(),
			attr("protocol", cty.String, "`tcp`, `udp`, `sctp`, `icmp` (of IPv4 and of IPv6) or `any`.").or(cty.StringVal("any")).checked(oneOf("tcp", "udp", "sctp", "icmp", "any")),
			attr("ports", cty.List(cty.String), "Ports of the target, each a number or a range: `[5432, \"8000-8100\"]`. Default: all.").checked(onStrings(checkPorts)),
		},
	}}
}

// checkPorts allows a port or a range of them, all of them too.
func checkPorts(s string) error {
	if s == "1-65535" {
		return nil
	}
	return checkPortRange(s)
}

// fillPolicy makes the record of a policy.
func (i *instance) fillPolicy(rd *reading, v *values) {
	p := &Policy{
		Policy: state.Policy{Mark: i.owner(), Labels: v.textMap("labels"), Protected: i.protected(rd)},
		Decl:   i.decl(rd, v),
	}
	for _, part := range v.parts {
		rule, where := rd.flowRule(part)
		p.Rules, p.Sources = append(p.Rules, rule), append(p.Sources, where)
	}
	if len(p.Rules) == 0 && !rd.failed {
		rd.fail(fault(i.header.Ptr(), "Policy without rules", "%s neither allows nor denies anything. Write an allow or a deny block in it.", i.addr))
	}
	i.policy = p
}

// policyValue is what the policy's own conditions see of it.
func (i *instance) policyValue() cty.Value {
	return cty.ObjectVal(map[string]cty.Value{
		"address": cty.StringVal(string(i.addr)),
		"labels":  mapValue(i.policy.Labels),
	})
}

// flowRule reads an allow or deny block.
func (rd *reading) flowRule(p *partValues) (state.FlowRule, PeerRanges) {
	rule := state.FlowRule{Deny: p.schema.Name == "deny", Protocol: p.text("protocol")}
	if rule.Protocol == "any" {
		rule.Protocol = ""
	}
	where := PeerRanges{From: p.header, To: p.header}
	if a := p.body.attrs["from"]; a != nil {
		where.From, rule.From = a.expr.Range(), rd.peers(a, p.attrs["from"])
	}
	if a := p.body.attrs["to"]; a != nil {
		where.To, rule.To = a.expr.Range(), rd.peers(a, p.attrs["to"])
	}
	for _, text := range p.texts("ports") {
		if text == "1-65535" {
			rule.Ports = append(rule.Ports, state.PortRange{First: 1, Last: 65535})
			continue
		}
		ports, _ := parsePortRange(text) // checked when it was read
		rule.Ports = append(rule.Ports, ports)
	}
	if a := p.body.attrs["ports"]; len(rule.Ports) > 0 && (rule.Protocol == "" || rule.Protocol == "icmp") && !p.bad {
		what := "Protocol \"icmp\" has no ports."
		if rule.Protocol == "" {
			what = "Which ports are meant depends on the protocol, which is not said."
		}
		rd.reject(a, "Ports without a protocol that has them", "%s Add protocol = \"tcp\" (or udp, or sctp), or leave ports out.", what)
	}
	return rule, where
}

// peers reads a list of networks, endpoints and ranges of addresses.
func (rd *reading) peers(a *argument, v cty.Value) []state.Peer {
	if v == cty.NilVal || v.IsNull() {
		return nil // reported where it was read
	}
	var out []state.Peer
	seen := map[string]bool{}
	add := func(p state.Peer) {
		if key := p.String(); !seen[key] {
			seen[key] = true
			out = append(out, p)
		}
	}
	before := rd.failed
	rd.failed = false
	rd.eachPeer(a, v, add)
	bad := rd.failed
	rd.failed = bad || before
	if len(out) == 0 && !bad {
		rd.reject(a, "Empty list", "%q is empty, so the rule is about nothing. Name a network, an endpoint or a range of addresses, or take the block out.", a.schema.Name)
	}
	return out
}

// eachPeer finds the peers in a value: text, a block, or a collection of them.
func (rd *reading) eachPeer(a *argument, v cty.Value, add func(state.Peer)) {
	v, _ = v.Unmark()
	if address, ok := addressOf(v); ok {
		rd.blockPeer(a, address, add)
		return
	}
	switch t := v.Type(); {
	case v.IsNull():
		rd.reject(a, "Not a peer", "There is null in %q. Take it out, as in [for x in … : x if x != null].", a.schema.Name)
	case t == cty.String:
		p, err := parsePeer(v.AsString())
		if err != nil {
			rd.reject(a, "Invalid "+a.schema.Name, "%s%s", sentence(err), rd.peerHint(v))
			return
		}
		add(state.Peer{Prefixes: []netip.Prefix{p}})
	case t.IsObjectType() || t.IsMapType() || t.IsTupleType() || t.IsCollectionType():
		for it := v.ElementIterator(); it.Next(); {
			_, e := it.Element()
			rd.eachPeer(a, e, add)
		}
	default:
		rd.reject(a, "Not a peer", "%q names networks, endpoints and ranges of addresses, but there is %s in it.", a.schema.Name, describe(v))
	}
}

// blockPeer is the peer that a reference to a block means.
func (rd *reading) blockPeer(a *argument, address state.Address, add func(state.Peer)) {
	target := rd.networks[address]
	if target == nil {
		target = rd.endpointAt(address)
	}
	switch {
	case target == nil && rd.sandboxes[address] != nil:
		rd.reject(a, "Not a peer", "%q names networks, endpoints and ranges of addresses, but %s is a sandbox. Name its endpoint in the network that is meant.", a.schema.Name, address)
	case target == nil:
		rd.reject(a, "Not a peer", "%q names networks, endpoints and ranges of addresses, but %s is none of them.", a.schema.Name, address)
	case target.failed || target.doubt:
		rd.failed = true // reported where it was read
	default:
		add(state.Peer{Block: address})
	}
}

// endpointAt is the endpoint with an address, nil when there is none.
func (r *run) endpointAt(a state.Address) *instance {
	if r.endpoints == nil {
		r.endpoints = map[state.Address]*instance{}
		for _, i := range r.instances("endpoint") {
			r.endpoints[i.addr] = i
		}
	}
	return r.endpoints[a]
}

// parsePeer reads a range of addresses, or a single one.
func parsePeer(s string) (netip.Prefix, error) {
	if !strings.Contains(s, "/") {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" || a.Is4In6() {
			return netip.Prefix{}, fmt.Errorf("%q is neither a range of addresses, as in \"10.0.0.0/8\", nor a single one, as in \"192.0.2.7\"", s)
		}
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	if err := checkCIDR(s); err != nil {
		return netip.Prefix{}, err
	}
	return netip.ParsePrefix(s)
}

// peerHint says which block was probably meant by a text.
func (rd *reading) peerHint(v cty.Value) string {
	if hint := rd.referenceHint("network", v); hint != "" {
		return hint
	}
	for _, i := range rd.instances("endpoint") {
		if string(i.addr) == v.AsString() || i.object.name == v.AsString() {
			return fmt.Sprintf(" Write it without quotes: %s.", i.addr)
		}
	}
	return ""
}

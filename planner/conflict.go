package planner

import (
	"fmt"

	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/hcl/v2"
)

// conflict finds out whether something that is not ours stands in the way of the node, or
// something that was to be there is not.
func (d *diff) conflict(n *node) *hcl.Diagnostic {
	if n.want == nil {
		return nil
	}
	foreign, taken := n.live.(state.Foreign)
	if adopted, ok := n.want.(state.Adopted); ok {
		return d.adoption(n, adopted, foreign, taken)
	}
	if !taken {
		return d.sameTable(n)
	}
	if lends(n.want, foreign) {
		return nil
	}
	return &hcl.Diagnostic{
		Severity: hcl.DiagError,
		Summary:  "Name taken by something that is not this stack's",
		Detail: fmt.Sprintf("%s is wanted by %s, but the name is taken by %s. cnmctl neither changes nor deletes what it did not make: %s.",
			sentence(n.key), asker(n.want.Owner()), foreign.What, wayOut(n.want, foreign)),
		Subject: d.opts.at(n.owner()),
	}
}

// lends reports that what is there does as well: the VLAN sub-interface of nobody in
// particular, which is made only where it is missing.
func lends(want state.Object, foreign state.Foreign) bool {
	l, ok := want.(state.Link)
	return ok && l.Type == state.VLAN && foreign.Stack == "" && foreign.Type != state.OtherName
}

// wayOut says what a user can do about a name that is taken.
func wayOut(want state.Object, foreign state.Foreign) string {
	switch o := want.(type) {
	case state.Namespace:
		return fmt.Sprintf("remove it (ip netns del %s), or give the sandbox another name", o.Name)
	case state.Link:
		if foreign.Type == state.OtherName {
			return fmt.Sprintf("take that name away (ip link property del dev %s altname %[1]s), or choose another", o.Name)
		}
		switch o.Type {
		case state.Bridge:
			return "remove or rename it, give the network another device, or build on it with adopt = true"
		case state.VRF:
			return "remove it, or give the VRF another name"
		case state.VLAN:
			return fmt.Sprintf("the other stack would take it away with its last endpoint; to share it, make it yourself (ip link add link %s name %s type vlan id %d) while neither stack has it",
				o.On.Lower.Name, o.Name, o.On.VLAN)
		}
		return "remove or rename it, or choose another interface name"
	case state.IPAddress:
		if o.Loan && o.Prefix.Addr().Is4() && o.Link != "lo" {
			return "remove it, leave it to whoever put it there with inhibit_ipv4 = true, or choose another gateway"
		}
		return "remove it, or choose another address"
	case state.Route:
		if _, inNetns := o.Place.Netns(); inNetns && o.Dst.Bits() == 0 && o.Mark.Address != "" {
			return "leave gateway_priority out and it stays the way out, or remove it"
		}
		return "remove it, or give the route another metric or table"
	case state.Claim:
		return "give the network other VNIs (vnis), or leave them out to have free ones chosen"
	case state.File:
		return "move the file away, or give the sandbox another name"
	}
	return "remove it, or choose another name"
}

// adoption checks that a link to build on is there, is of the right type, and is not ours.
func (d *diff) adoption(n *node, want state.Adopted, foreign state.Foreign, taken bool) *hcl.Diagnostic {
	if n.key.Kind == state.KindNamespace {
		if taken && foreign.Barred == "" {
			return nil
		}
		return d.spaceFailure(want.Asker, n)
	}
	var detail string
	switch {
	case taken && foreign.Type == state.OtherName:
		detail = fmt.Sprintf("%s is named by %s, but that is %s. Name the link as it is called first of all.", sentence(n.key), asker(want.Asker), foreign.What)
	case taken && want.Type == "":
		return nil
	case taken && foreign.Type == want.Type && foreign.Down:
		return &hcl.Diagnostic{
			Severity: hcl.DiagWarning,
			Summary:  "Adopted link is down",
			Detail: fmt.Sprintf("%s, which %s %s, is down, so nothing gets through. cnmctl never changes what it did not make: bring it up (ip link set dev %s up).",
				sentence(n.key), asker(want.Asker), buildsOn(want.Type), n.key.Name),
			Subject: d.opts.at(want.Asker.Address),
		}
	case taken && foreign.Type == want.Type:
		return nil
	case n.live == nil && want.Type == "":
		detail = fmt.Sprintf("%s is named by %s, but there is none. Create it first, or name one that exists.", sentence(n.key), asker(want.Asker))
	case want.Type == state.VRF:
		detail = vrfMissing(n, want.Asker, foreign, taken)
	case taken:
		detail = fmt.Sprintf("%s is to be adopted by %s as a %s, but there is %s. Name a %s that exists.",
			sentence(n.key), asker(want.Asker), want.Type, foreign.What, want.Type)
	case n.live == nil:
		detail = fmt.Sprintf("%s is to be adopted by %s, but there is none. Create it first (ip link add %s type %s), or drop adopt = true and cnmctl makes it.",
			sentence(n.key), asker(want.Asker), n.key.Name, want.Type)
	default:
		detail = fmt.Sprintf("%s is to be adopted by %s, but cnmctl made it itself, for %s. Drop adopt = true, or name another device.",
			sentence(n.key), asker(want.Asker), asker(n.live.Owner()))
	}
	return &hcl.Diagnostic{
		Severity: hcl.DiagError,
		Summary:  "Nothing to adopt",
		Detail:   detail,
		Subject:  d.opts.at(want.Asker.Address),
	}
}

// buildsOn is what a network does with a link of somebody else's.
func buildsOn(t state.LinkType) string {
	if t == state.VRF {
		return "is in"
	}
	return "adopts"
}

// vrfMissing says why a network cannot be in a VRF of somebody else's.
func vrfMissing(n *node, who state.Owner, foreign state.Foreign, taken bool) string {
	is := fmt.Sprintf("%s is to be in the VRF %s, which somebody else makes where vrf_table is not written, but ", asker(who), n.key.Name)
	switch {
	case taken:
		return is + fmt.Sprintf("there is %s. Name a VRF that exists.", foreign.What)
	case n.live == nil:
		return is + fmt.Sprintf("there is none. Create it first (ip link add %s type vrf table NUMBER), or write vrf_table and cnmctl makes it.", n.key.Name)
	}
	return is + fmt.Sprintf("cnmctl made it itself, for %s. Write its vrf_table again, or name another VRF.", asker(n.live.Owner()))
}

// sameTable refuses a VRF whose routing table another one has that is not ours: they would not be apart.
func (d *diff) sameTable(n *node) *hcl.Diagnostic {
	want, ok := n.want.(state.Link)
	has, _ := n.live.(state.Link)
	if !ok || want.Type != state.VRF || has.Table == want.Table || d.opts.back {
		return nil
	}
	for _, other := range d.all {
		there, foreign := other.live.(state.Foreign)
		if !foreign || there.Table != want.Table || other.key.Place != want.Place {
			continue
		}
		return &hcl.Diagnostic{
			Severity: hcl.DiagError,
			Summary:  "Routing table of another VRF",
			Detail: fmt.Sprintf("The VRF %s of %s is to have the routing table %d, which %s in %s has, %s: they would not be apart. Give it another table, or put what is to be together into %[4]s.",
				want.Name, asker(want.Mark), want.Table, other.key.Name, want.Place, there.What),
			Subject: d.opts.at(n.owner()),
		}
	}
	return nil
}

// asker is an owner in a sentence.
func asker(o state.Owner) string {
	if o.Address == "" {
		return "stack " + o.Stack
	}
	return string(o.Address)
}

// sentence is the key as the beginning of a sentence.
func sentence(k state.Key) string { return capital(k.String()) }

// capital is text with an upper-case first letter.
func capital(text string) string {
	if text == "" || text[0] < 'a' || text[0] > 'z' {
		return text
	}
	return string(text[0]-'a'+'A') + text[1:]
}

// unknownReplacements finds blocks to replace that nobody knows.
func (d *diff) unknownReplacements() hcl.Diagnostics {
	if len(d.opts.Replace) == 0 {
		return nil
	}
	return unknown("-replace", d.opts.Replace, d.addresses())
}

// addresses are all blocks that own something, live or wanted.
func (d *diff) addresses() map[state.Address]bool {
	known := map[state.Address]bool{}
	for _, n := range d.all {
		for _, o := range []state.Object{n.live, n.want} {
			if o != nil && o.Owner().Address != "" {
				known[o.Owner().Address] = true
			}
		}
	}
	return known
}

// protected finds blocks that would be destroyed although their lifecycle forbids it.
func (d *diff) protected(p *Plan) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for _, r := range p.Resources {
		if r.Action != DeleteResource && r.Action != ReplaceResource || !d.isProtected(r) {
			continue
		}
		why := "be destroyed"
		if r.Action == ReplaceResource {
			why = "have to be replaced"
		}
		if r.Reason != "" {
			why += " (" + r.Reason + ")"
		}
		diags = append(diags, &hcl.Diagnostic{
			Severity: hcl.DiagError,
			Summary:  "Instance cannot be destroyed",
			Detail: fmt.Sprintf("%s has lifecycle { prevent_destroy = true }, but it would %s. To go on, set prevent_destroy = false and apply that first, or leave the block out of the plan with -exclude.",
				r.Address, why),
			Subject: d.opts.at(r.Address),
		})
	}
	return diags
}

// isProtected looks at the live record and the wanted one: deleting the block together
// with its protection does not defeat it.
func (d *diff) isProtected(r Resource) bool {
	for _, a := range []state.Address{r.Address, r.From} {
		for _, kind := range []state.Kind{state.KindNetwork, state.KindSandbox, state.KindEndpoint, state.KindPolicy} {
			if n := d.nodes[state.RecordKey(kind, a)]; n != nil && (guarded(n.live) || guarded(n.want)) {
				return true
			}
		}
	}
	return false
}

func guarded(o state.Object) bool {
	switch o := o.(type) {
	case state.Network:
		return o.Protected
	case state.Sandbox:
		return o.Protected
	case state.Endpoint:
		return o.Protected
	case state.Policy:
		return o.Protected
	}
	return false
}

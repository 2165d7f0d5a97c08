package planner

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/hcl/v2"
)

// Rename is the world as it would be had its blocks always had their new names. What is
// allocated and compared by address is looked up in it; the plan itself is made from the
// world as it is, so that marks and records are rewritten.
func Rename(w state.World, moves []spec.Move) state.World {
	moved := movedTo(w, moves)
	if len(moved) == 0 {
		return w
	}
	renamed := make(state.World, len(w))
	for _, o := range w {
		renamed.Add(renameObject(o, moved))
	}
	return renamed
}

// movedTo finds for each block of the world that a move covers what it is called now. A
// move of a block moves its instances, a move of a module what is in it.
func movedTo(w state.World, moves []spec.Move) map[state.Address]state.Address {
	moved := map[state.Address]state.Address{}
	if len(moves) == 0 {
		return moved
	}
	seen := map[state.Address]bool{}
	for _, o := range w {
		a := o.Owner().Address
		if seen[a] {
			continue
		}
		seen[a] = true
		to := a
		for _, m := range moves { // chains: a was moved to b, and b to c
			to = moveAddress(to, m)
		}
		if to != a {
			moved[a] = to
		}
	}
	return moved
}

// moveAddress is a after the move, or a itself when the move does not cover it.
func moveAddress(a state.Address, m spec.Move) state.Address {
	if !covers(m.From, a) {
		return a
	}
	if rest, ok := strings.CutPrefix(string(a), string(m.From)); ok {
		return m.To + state.Address(rest)
	}
	return a
}

// renameObject is the object with its marks, and all addresses in it, rewritten.
func renameObject(o state.Object, moved map[state.Address]state.Address) state.Object {
	owner := o.Owner()
	if to, ok := moved[owner.Address]; ok {
		owner.Address = to
	}
	to := func(a state.Address) state.Address {
		if t, ok := moved[a]; ok {
			return t
		}
		return a
	}
	switch o := o.(type) {
	case state.Endpoint:
		o.Network, o.Sandbox = to(o.Network), to(o.Sandbox)
		return withOwner(o, owner)
	case state.Sandbox:
		o.Shares = to(o.Shares)
		return withOwner(o, owner)
	case state.Policy:
		o.Rules = slices.Clone(o.Rules)
		for i := range o.Rules {
			o.Rules[i].From, o.Rules[i].To = movedPeers(o.Rules[i].From, to), movedPeers(o.Rules[i].To, to)
		}
		return withOwner(o, owner)
	case state.Claim:
		o.Network = to(o.Network)
		return withOwner(o, owner)
	}
	return withOwner(o, owner)
}

// movedPeers are the peers by their new names.
func movedPeers(peers []state.Peer, to func(state.Address) state.Address) []state.Peer {
	peers = slices.Clone(peers)
	for i := range peers {
		peers[i].Block = to(peers[i].Block)
	}
	return peers
}

// withOwner is the object with another owner.
func withOwner(o state.Object, owner state.Owner) state.Object {
	if owned, ok := o.(state.Owned); ok {
		return owned.WithOwner(owner)
	}
	return o // a ruleset is the stack's, stand-ins are nobody's
}

// current is the block's address after all moves.
func (d *diff) current(a state.Address) state.Address {
	if to, ok := d.moved[a]; ok {
		return to
	}
	return a
}

// within reports whether one of the addresses covers a block.
func within(addresses []state.Address) func(state.Address) bool {
	known := map[state.Address]bool{}
	return func(a state.Address) bool {
		if len(addresses) == 0 || a == "" {
			return false
		}
		in, ok := known[a]
		if !ok {
			for _, t := range addresses {
				in = in || covers(t, a)
			}
			known[a] = in
		}
		return in
	}
}

// forgottenBlocks reports whether a block was taken out with destroy = false.
func (d *diff) forgottenBlocks() func(state.Address) bool {
	var addresses []state.Address
	for _, r := range d.opts.Removals {
		if !r.Destroy {
			addresses = append(addresses, r.From)
		}
	}
	return within(addresses)
}

// unguarded finds encrypted networks that are to be let go of. Their rules, states and policies
// are the stack's and would go, and the tunnels that stay would send in clear.
func (d *diff) unguarded() hcl.Diagnostics {
	var diags hcl.Diagnostics
	for _, n := range d.all {
		r, ok := n.live.(state.Network)
		if !ok || n.want != nil || !r.Encrypted() || !d.forgot(r.Mark.Address) {
			continue
		}
		diags = append(diags, &hcl.Diagnostic{
			Severity: hcl.DiagError,
			Summary:  "Encrypted network cannot be let go of",
			Detail: fmt.Sprintf("What encrypts %s, and drops what is not encrypted, goes with the stack, so the tunnels that stay would send in clear. "+
				"Destroy the network, or apply it without encrypted first.", r.Mark.Address),
			Subject: d.removalOf(r.Mark.Address),
		})
	}
	return diags
}

// removalOf is where the block that lets go of the address is written; nil for none.
func (d *diff) removalOf(a state.Address) *hcl.Range {
	for _, r := range d.opts.Removals {
		if !r.Destroy && r.Range.Filename != "" && spec.Covers(r.From, a) {
			return &r.Range
		}
	}
	return nil
}

// forget takes our mark from the object and leaves it. What has no mark of its own (an
// address on a link of ours) stops being ours with the link that it is on.
func (d *diff) forget(n *node) {
	n.forgotten = true
	var after state.Object
	switch o := n.live.(type) {
	case state.Namespace, state.Link:
		after = withOwner(o, state.Owner{})
	case state.IPAddress:
		if !o.Loan {
			return
		}
		after = withOwner(o, state.Owner{})
	case state.Route:
		if !o.Loan {
			return
		}
		after = withOwner(o, state.Owner{})
	case state.File:
		o.Content = unmarked(o.Content, o.Mark.Stack)
		after = withOwner(o, state.Owner{})
	default:
		return
	}
	n.delta = state.Delta{Fields: []state.Field{{Name: ownerField, Old: ownerValue(n.live), New: ""}}}
	n.update(after)
}

// ownerValue is the mark as the plan shows it.
func ownerValue(o state.Object) string {
	for _, a := range o.Attrs() {
		if a.Name == ownerField {
			return a.Value
		}
	}
	return `"` + o.Owner().Mark() + `"`
}

// unmarked is a file's content without the comment that says whose it is.
func unmarked(content, stack string) string {
	first, rest, _ := strings.Cut(content, "\n")
	if strings.Contains(first, state.StackMark(stack)) {
		return rest
	}
	return content
}

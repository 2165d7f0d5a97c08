package planner

import (
	"strings"

	"github.com/cnmctl/cnmctl/state"
)

// What a plan says of objects that somebody else has changed.
const (
	changedOutside = "changed outside of cnmctl"
	deletedOutside = "deleted outside of cnmctl"
	addedOutside   = "added outside of cnmctl"
)

// What a plan says instead where the records are those of several hosts: most likely they
// were changed from another one, and this one follows.
const (
	changedHere = "not up to date on this host"
	missingHere = "missing on this host"
	leftHere    = "left on this host"
)

// isDrift reports that the reason for an op is that somebody else was there.
func isDrift(reason string) bool {
	return reason == changedOutside || reason == deletedOutside || reason == addedOutside
}

// asRequested is why a block is made anew that -replace names.
const asRequested = "as requested"

// explain gives the changes their reasons, where the fields that differ do not say it all.
func (d *diff) explain() {
	if d.fresh {
		return
	}
	for _, n := range d.changes {
		if n.reason == "" {
			n.reason = d.why(n)
		}
	}
}

func (d *diff) why(n *node) string {
	l, isLink := n.live.(state.Link)
	switch {
	case isLink && l.HalfMade:
		return "its creation was cut short"
	case n.dead && n.taker != n && n.made:
		return "because " + n.taker.key.String() + " " + fate(n.taker)
	case n.forgotten:
		return "removed with destroy = false"
	case n.dead && n.made && n.delta.Replace:
		return ""
	case n.dead && n.made && d.remade(n):
		return asRequested
	case n.dead && n.made:
		return "made together with what is replaced"
	case n.updated && n.live.Owner().Address != n.owner() && len(n.delta.Fields) == 1 && n.delta.Fields[0].Name == ownerField:
		return "moved from " + string(n.live.Owner().Address)
	}
	return d.drift(n)
}

// fate is what becomes of a node that takes others along.
func fate(n *node) string {
	if n.made {
		return "is replaced"
	}
	return "is deleted"
}

// drift says what somebody else did to a kernel object whose block has not changed.
func (d *diff) drift(n *node) string {
	if n.key.Place.Asked() {
		if e, ok := n.live.(state.PluginEndpoint); ok && e.Stage == state.Lost {
			return deletedOutside // its interface, that is
		}
		return ""
	}
	if n.key.Place == state.Store || !d.settledFor(n) {
		return ""
	}
	switch {
	case d.cluster() && (n.updated || n.was != nil):
		return changedHere
	case d.cluster() && n.made:
		return missingHere
	case d.cluster():
		return leftHere
	case n.updated, n.was != nil:
		return changedOutside
	case n.made:
		return deletedOutside
	default:
		return addedOutside
	}
}

// cluster reports that the records are those of several hosts.
func (d *diff) cluster() bool { return d.records().hosts > 1 }

// settledFor reports that no change of the configuration can be the cause of the node's
// change, so somebody else must be. Files and rulesets speak of many blocks.
func (d *diff) settledFor(n *node) bool {
	if n.key.Kind == state.KindFile || n.key.Kind == state.KindRuleset || n.owner() == "" {
		return d.unchangedRecords()
	}
	return d.settled(n.owner()) && (n.key.Kind != state.KindRoute || d.settledBeside(n.owner()))
}

// settledBeside reports that the endpoint's sandbox and what else is on it are settled:
// which endpoint is the way out depends on all of them.
func (d *diff) settledBeside(endpoint state.Address) bool {
	for _, a := range d.records().near[endpoint] {
		if kind, _ := labelsOf(a); kind == "sandbox" && !d.settled(a) {
			return false
		}
	}
	return true
}

// unchangedRecords reports that there are records and none changes.
func (d *diff) unchangedRecords() bool {
	r := d.records()
	return len(r.near) > 0 && len(r.changed) == 0
}

// settled reports that the block's record and those that have a say in its objects are
// live and as wanted.
func (d *diff) settled(a state.Address) bool {
	r := d.records()
	if _, known := r.near[a]; !known {
		return false
	}
	if len(r.changed) == 0 {
		return true
	}
	kind, _ := labelsOf(a)
	reach := 1
	if kind == "sandbox" { // its routes come from its endpoints, theirs from networks
		reach = 2
	}
	return !r.changedNear(a, reach)
}

// related are the records of both worlds: who speaks of whom, and which ones change.
type related struct {
	near    map[state.Address][]state.Address
	changed map[state.Address]bool
	hosts   int
}

// records indexes the records, once.
func (d *diff) records() *related {
	if d.related != nil {
		return d.related
	}
	r := &related{near: map[state.Address][]state.Address{}, changed: map[state.Address]bool{}}
	for _, n := range d.all {
		switch n.key.Kind {
		case state.KindNetwork, state.KindSandbox, state.KindEndpoint, state.KindHost, state.KindPolicy:
			r.note(n)
		}
	}
	d.related = r
	return r
}

func (r *related) note(n *node) {
	if n.key.Kind == state.KindHost {
		r.hosts++
	}
	a := n.owner()
	if _, ok := r.near[a]; !ok {
		r.near[a] = nil
	}
	if n.changed() {
		r.changed[a] = true
	}
	for _, o := range []state.Object{n.live, n.want} {
		if e, ok := o.(state.Endpoint); ok {
			for _, b := range []state.Address{e.Network, e.Sandbox} {
				r.near[a] = append(r.near[a], b)
				r.near[b] = append(r.near[b], a)
			}
		}
	}
}

// changedNear reports that the block or one within reach of it changes.
func (r *related) changedNear(a state.Address, reach int) bool {
	if r.changed[a] {
		return true
	}
	if reach == 0 {
		return false
	}
	for _, b := range r.near[a] {
		if r.changedNear(b, reach-1) {
			return true
		}
	}
	return false
}

// whyGone is why nobody wants the block any more. Who follows records knows of no configuration.
func (d *diff) whyGone(a state.Address) string {
	if d.opts.Destroy || d.opts.Decls == nil {
		return ""
	}
	if a == "" {
		return "because no block needs it any longer"
	}
	b, key := blockOf(a)
	wanted := d.wantedBlocks()
	for _, m := range modulesOf(a) {
		if !wanted[m] {
			return "because " + string(m) + " is not in configuration"
		}
	}
	switch {
	case key == "" || !wanted[b]:
		return "because " + string(a) + " is not in configuration"
	case wanted[b+"[]"] && strings.HasPrefix(key, `["`):
		return "because key " + key + " is not in for_each"
	case wanted[b+"[]"]:
		return "because index " + key + " is out of range for count"
	}
	return "because " + string(b) + " does not use for_each or count"
}

// wantedBlocks are the wanted blocks without their keys, the modules around them, and
// "block[]" for each block that has instances with keys. Built once.
func (d *diff) wantedBlocks() map[state.Address]bool {
	if d.wanted != nil {
		return d.wanted
	}
	d.wanted = map[state.Address]bool{}
	for _, n := range d.all {
		if n.want == nil || n.key.Kind == state.KindClaim {
			continue
		}
		a := n.want.Owner().Address
		b, key := blockOf(a)
		d.wanted[b] = true
		if key != "" {
			d.wanted[b+"[]"] = true
		}
		for _, m := range modulesOf(a) {
			d.wanted[m] = true
		}
	}
	return d.wanted
}

// elsewhere is what becomes of a link or namespace that is not there any longer under its key.
func (d *diff) elsewhere(r *Resource, ops []state.Op, k state.Key) string {
	for _, p := range r.Parts {
		key := ops[p.Op].Key
		if p.Along >= 0 {
			key = ops[p.Op].Along[p.Along].Key()
		}
		if n := d.nodes[key]; n != nil && n.made && key.Kind == k.Kind && key.Name == k.Name && key.Place != k.Place {
			return "goes to " + key.Place.String()
		}
	}
	return "gets another name"
}

// whyReplaced is why the block has to be made anew, when none of its own fields says so.
func (d *diff) whyReplaced(r *Resource, ops []state.Op) string {
	if d.forced(r.Address) {
		return asRequested
	}
	for _, p := range r.Parts {
		n := d.nodes[ops[p.Op].Key]
		if p.Along >= 0 {
			n = d.nodes[ops[p.Op].Along[p.Along].Key()]
		}
		if n != nil && n.dead && n.made {
			if n.delta.Replace {
				return ""
			}
			if n.taker != n && d.current(n.taker.owner()) != r.Address {
				return n.reason
			}
		}
		if n != nil && p.Along < 0 && carries(n) && n.dead && !n.made {
			return "because " + n.key.String() + " " + d.elsewhere(r, ops, n.key)
		}
	}
	return ""
}

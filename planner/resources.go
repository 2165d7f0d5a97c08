package planner

import (
	"cmp"
	"slices"

	"github.com/cnmctl/cnmctl/state"
)

// resources groups ordered ops by the block that each object belongs to, and says what
// becomes of each block.
func (d *diff) resources(ops []state.Op) []Resource {
	if len(ops) == 0 {
		return nil
	}
	d.count()
	var rs []Resource
	add := func(b *block, p Part) {
		if b.resource == 0 {
			rs = append(rs, Resource{Address: b.address, Record: -1})
			b.resource = len(rs)
		}
		r := &rs[b.resource-1]
		r.Parts = append(r.Parts, p)
	}
	for i, op := range ops {
		if op.Key.Kind == state.KindOutput {
			continue // see Plan.Outputs
		}
		add(d.doers[i].block, Part{Op: i, Along: -1})
		for j, o := range op.Along {
			add(d.blockOf(o.Key(), o), Part{Op: i, Along: j})
		}
	}
	for i := range rs {
		d.judge(&rs[i], d.blocks[rs[i].Address], ops)
	}
	slices.SortFunc(rs, func(a, b Resource) int { return compareBlocks(a.Address, b.Address) })
	return rs
}

// blockOf is the block that an object of an op belongs to: the one that wants it, or the
// one that has it, by its present name.
func (d *diff) blockOf(k state.Key, o state.Object) *block {
	if n := d.nodes[k]; n != nil && n.block != nil {
		return n.block
	}
	return d.blockAt(o.Owner().Address)
}

// blockAt is the block that now has an address.
func (d *diff) blockAt(a state.Address) *block {
	a = d.current(a)
	b := d.blocks[a]
	if b == nil {
		b = &block{address: a}
		d.blocks[a] = b
	}
	return b
}

// block is what the two worlds hold of one block.
type block struct {
	address                state.Address
	liveRecord, wantRecord bool
	// recordSame: the record is there and does not change.
	recordSame bool
	// live, want and same count kernel objects; same ones do not change.
	live, want, same int
	// replaced: its record, its namespace or a link of its own is made anew.
	replaced, forgot bool
	// Of its namespace and links: whether any goes for good, is made under a name that was
	// free, and stays.
	goes, comes, stays bool
	from               state.Address
	// resource is the number of the block's resource, counted from 1.
	resource int
	// gates are the block's vertices in the order, by what has to be done; 0 for none.
	gates [blockGates]int32
}

// count counts for each block that changes what there is of it.
func (d *diff) count() {
	for _, n := range d.all {
		b := n.block
		if b == nil {
			b = d.blocks[d.current(n.owner())]
		}
		if b != nil {
			b.count(n)
		}
	}
	for from, to := range d.moved {
		if b := d.blocks[to]; b != nil {
			b.from = from
		}
	}
}

func (b *block) count(n *node) {
	if _, adopted := n.want.(state.Adopted); adopted {
		return // it was there before the block and will be after it
	}
	switch n.key.Kind {
	case state.KindClaim, state.KindOutput:
		return
	case state.KindNetwork, state.KindSandbox, state.KindEndpoint, state.KindHost, state.KindPolicy:
		b.liveRecord = b.liveRecord || n.live != nil
		b.wantRecord = b.wantRecord || n.want != nil
		b.recordSame = b.recordSame || n.live != nil && n.want != nil && !n.changed()
		b.replaced = b.replaced || n.dead && n.made
		return
	}
	if n.live != nil {
		b.live++
	}
	if n.want != nil {
		b.want++
	}
	if n.live != nil && n.want != nil && !n.changed() {
		b.same++
	}
	b.forgot = b.forgot || n.forgotten
	if !carries(n) {
		return
	}
	switch {
	case n.dead && n.made:
		b.replaced = true
	case n.dead:
		b.goes = true
	case n.made:
		b.comes = true
	default:
		b.stays = true
	}
}

// carries reports that a block stands and falls with the object: a namespace, or a link that is
// not merely beside the one that makes the block what it is, as a VRF and an IFB are.
func carries(n *node) bool {
	if l, ok := cmp.Or(n.want, n.live).(state.Link); ok {
		return l.Type != state.VRF && l.Type != state.IFB
	}
	return n.key.Kind == state.KindLink || n.key.Kind == state.KindNamespace
}

// remade reports that what carries the block is made anew, under its old name or another.
func (b *block) remade() bool { return b.replaced || b.goes && b.comes && !b.stays }

// judge says what becomes of the block.
func (d *diff) judge(r *Resource, b *block, ops []state.Op) {
	r.Same = b.same
	for i, p := range r.Parts {
		if p.Along >= 0 || ops[p.Op].Key.Place != state.Store || ops[p.Op].Key.Kind == state.KindClaim {
			continue
		}
		if r.Record < 0 || ops[p.Op].Action != state.Delete {
			r.Record = i
		}
	}
	r.From = b.from
	there, wanted := b.liveRecord || b.live > 0, b.wantRecord || b.want > 0
	switch {
	case !wanted && b.forgot:
		r.Action = ForgetResource
	case !wanted:
		r.Action = DeleteResource
		if r.Record < 0 || !state.Implied(ops[r.Parts[r.Record].Op].Before) {
			r.Reason = d.whyGone(r.Address)
		}
	case !there:
		r.Action = CreateResource
	case b.recordSame && b.live == 0:
		r.Action = CreateResource
		r.Drift = onlyDrift(r, ops)
	case b.remade():
		r.Action = ReplaceResource
		r.Reason = d.whyReplaced(r, ops)
	case r.From != "" && onlyMoves(r, ops):
		r.Action = MoveResource
	default:
		r.Action = UpdateResource
		r.Drift = onlyDrift(r, ops)
		r.Follows = d.onlyFollows(r, ops)
	}
}

// onlyFollows reports that the block's record and claims change by nothing but the names
// of blocks that have moved.
func (d *diff) onlyFollows(r *Resource, ops []state.Op) bool {
	if len(d.moved) == 0 {
		return false
	}
	return !slices.ContainsFunc(r.Parts, func(p Part) bool {
		op := ops[p.Op]
		switch {
		case op.Key.Place != state.Store || p.Along >= 0:
			return true
		case op.Key.Kind == state.KindClaim && op.Action == state.Delete:
			return !d.wants(renameObject(op.Before, d.moved))
		case op.Key.Kind == state.KindClaim:
			return false // in the place of one that goes
		}
		return op.Action != state.Update || !state.Compare(op.After, renameObject(op.Before, d.moved)).Same()
	})
}

// wants reports that an object is wanted as it is.
func (d *diff) wants(o state.Object) bool {
	n := d.nodes[o.Key()]
	return n != nil && n.want != nil && state.Compare(n.want, o).Same()
}

// onlyDrift reports that all ops of the block put right what somebody else has changed.
func onlyDrift(r *Resource, ops []state.Op) bool {
	return !slices.ContainsFunc(r.Parts, func(p Part) bool { return p.Along < 0 && !isDrift(ops[p.Op].Reason) })
}

// onlyMoves reports that nothing changes but names of blocks in marks and records.
func onlyMoves(r *Resource, ops []state.Op) bool {
	for _, p := range r.Parts {
		op := ops[p.Op]
		if op.Key.Place == state.Store {
			continue
		}
		if op.Action != state.Update || len(op.Delta.Fields) != 1 || op.Delta.Fields[0].Name != ownerField {
			return false
		}
	}
	return true
}

// compareBlocks orders blocks by address; what belongs to the stack as a whole comes last.
func compareBlocks(a, b state.Address) int {
	if (a == "") != (b == "") {
		return cmp.Compare(len(b), len(a))
	}
	return compareAddresses(a, b)
}

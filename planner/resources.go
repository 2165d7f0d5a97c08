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
	blocks := d.blocks()
	var rs []Resource
	add := func(a state.Address, p Part) {
		b := blocks[a]
		if b == nil {
			b = &block{}
			blocks[a] = b
		}
		if b.resource == 0 {
			rs = append(rs, Resource{Address: a, Record: -1})
			b.resource = len(rs)
		}
		r := &rs[b.resource-1]
		r.Parts = append(r.Parts, p)
	}
	for i, op := range ops {
		add(d.blockOf(op.Key, op.Object()), Part{Op: i, Along: -1})
		for j, o := range op.Along {
			add(d.blockOf(o.Key(), o), Part{Op: i, Along: j})
		}
	}
	for i := range rs {
		d.judge(&rs[i], blocks[rs[i].Address], ops)
	}
	slices.SortFunc(rs, func(a, b Resource) int { return compareBlocks(a.Address, b.Address) })
	return rs
}

// blockOf is the block that an object of an op belongs to: the one that wants it, or the
// one that has it, by its present name.
func (d *diff) blockOf(k state.Key, o state.Object) state.Address {
	if n := d.nodes[k]; n != nil {
		return d.current(n.owner())
	}
	return d.current(o.Owner().Address)
}

// block is what the two worlds hold of one block.
type block struct {
	liveRecord, wantRecord bool
	// recordSame: the record is there and does not change.
	recordSame bool
	// live, want and same count kernel objects; same ones do not change.
	live, want, same int
	// replaced: its record, its namespace or a link of its own is made anew.
	replaced, forgot bool
	from             state.Address
	// resource is the number of the block's resource, counted from 1.
	resource int
}

// blocks counts for each block that changes what there is of it.
func (d *diff) blocks() map[state.Address]*block {
	blocks := make(map[state.Address]*block, len(d.changes)/4)
	for _, n := range d.changes {
		if a := d.current(n.owner()); blocks[a] == nil {
			blocks[a] = &block{}
		}
	}
	for _, n := range d.nodes {
		if b := blocks[d.current(n.owner())]; b != nil {
			b.count(n)
		}
	}
	for from, to := range d.moved {
		if b := blocks[to]; b != nil {
			b.from = from
		}
	}
	return blocks
}

func (b *block) count(n *node) {
	switch n.key.Kind {
	case state.KindClaim:
		return
	case state.KindNetwork, state.KindSandbox, state.KindEndpoint, state.KindHost:
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
	main := n.key.Kind == state.KindLink || n.key.Kind == state.KindNamespace
	b.replaced = b.replaced || main && n.dead && n.made
}

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
		r.Reason = d.whyGone(r.Address)
	case !there:
		r.Action = CreateResource
	case b.recordSame && b.live == 0:
		r.Action = CreateResource
		r.Drift = onlyDrift(r, ops)
	case b.replaced:
		r.Action = ReplaceResource
		r.Reason = d.whyReplaced(r, ops)
	case r.From != "" && onlyMoves(r, ops):
		r.Action = MoveResource
	default:
		r.Action = UpdateResource
		r.Drift = onlyDrift(r, ops)
	}
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

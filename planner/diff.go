package planner

import (
	"cmp"
	"slices"

	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/hcl/v2"
)

// Diff finds what has to be done so that the live world becomes the wanted one, and in
// which order. It is pure: equal input gives an equal plan. All conflicts are reported
// together, and with an error there is no plan; without one there may be warnings.
func Diff(live, want state.World, opts Options) (*Plan, hcl.Diagnostics) {
	if !opts.asksForMore() && settled(live, want) {
		return &Plan{Stack: opts.Stack, Destroy: opts.Destroy}, nil
	}
	d, diags := classified(live, want, opts)
	if diags.HasErrors() {
		return nil, diags
	}
	d.putOffAnswers()
	d.mend()
	d.findPassing()
	d.arrange()
	d.explain()
	plan := &Plan{Stack: opts.Stack, Destroy: opts.Destroy}
	plan.Ops = d.ops()
	plan.Spaces = d.spaces()
	plan.Flows = d.flows()
	if err := plan.order(d); err != nil {
		return nil, hcl.Diagnostics{{Severity: hcl.DiagError, Summary: "No order", Detail: capital(err.Error())}}
	}
	plan.Resources = d.resources(plan.Ops)
	plan.Outputs = plan.outputs(d.open)
	plan.divide(opts.Host)
	if diags := d.protected(plan); diags.HasErrors() {
		return nil, diags
	}
	return plan, append(diags, d.unmoved()...)
}

// classified decides what becomes of each object. What was to be renamed and has to be made
// anew for another reason is decided on anew, without the renaming.
func classified(live, want state.World, opts Options) (*diff, hcl.Diagnostics) {
	not := map[state.Key]bool{}
	for {
		d := newDiff(live, want, opts)
		d.fill(d.applyRenames(live, want, not), want)
		diags := d.classify()
		if !diags.HasErrors() {
			diags = append(diags, d.keptOut()...)
			d.spread()
		}
		if !d.remadeInstead(not) {
			return d, diags
		}
	}
}

// bare reports that nothing in the live world can be taken along, damaged, renamed or drift:
// there is nothing but what others made and settings as they were found.
func bare(live state.World) bool {
	for _, o := range live {
		switch o.(type) {
		case state.Foreign, state.Sysctl:
		default:
			return false
		}
	}
	return true
}

// node is one key of the two worlds and what becomes of it.
type node struct {
	key        state.Key
	live, want state.Object
	// dead: the live object goes. made: the wanted one is created. Both: a replacement.
	dead, made bool
	// updated: the live object is changed in place to after.
	updated bool
	after   state.Object
	delta   state.Delta
	// forgotten: the object stays, without our mark; its block is in a removed block that
	// says so.
	forgotten bool
	// was is the live object under the name that it has to lose, nil when it keeps its name.
	was state.Object
	// passing is a ruleset on the way from the live to the wanted one, nil for none.
	passing state.Object
	reason  string
	rank    int
	// block is what the node belongs to, by its present name; only for those that change.
	block *block
	// taker is the node whose deletion takes this one along, maker the one whose creation
	// makes it; the node itself when it has an op of its own.
	taker, maker *node
	// opTaking, opMaking and opUpdating are indices of the ops that do it, -1 for none.
	opTaking, opMaking, opUpdating int
	// opRenaming and opPassing are those that take was and passing there.
	opRenaming, opPassing int
}

func (n *node) changed() bool { return n.dead || n.made || n.updated || n.was != nil }

// owner is the block that the node belongs to: the one that asks for it, or has it.
func (n *node) owner() state.Address {
	if n.want != nil {
		return n.want.Owner().Address
	}
	return n.live.Owner().Address
}

// diff is one run of Diff.
type diff struct {
	opts  Options
	nodes map[state.Key]*node
	// all are the same nodes, in no order: going through them is what Diff does most.
	all []*node
	// blocks are those that change, by address.
	blocks map[state.Address]*block
	// changes are the nodes that change, in the order of their ops.
	changes []*node
	// doers are the nodes that the ops are for, in the order of the ops.
	doers []*node
	// moved tells the new address of a moved block, forced the blocks to make anew.
	moved map[state.Address]state.Address
	// fresh: nothing is there yet, see bare.
	fresh  bool
	forced func(state.Address) bool
	forgot func(state.Address) bool
	// inside lists what each live object takes along, shaken what stays but has to be set
	// again after it has gone.
	inside, shaken map[*node][]*node
	// renaming is what of the live world gets another name, was what it is now, by the keys
	// that it gets.
	renaming *renaming
	was      map[state.Key]state.Object
	// related and wanted are indices for reasons, built when first asked for.
	related *related
	wanted  map[state.Address]bool
	// yielded are wanted routes that are not made, because somebody else has one like it.
	yielded []state.Route
	// open are outputs that are saved when plugins have answered.
	open []OutputChange
	// contents remembers how files differ.
	contents contents
}

func newDiff(live, want state.World, opts Options) *diff {
	d := &diff{
		opts:   opts,
		fresh:  bare(live),
		nodes:  make(map[state.Key]*node, max(len(live), len(want))),
		moved:  movedTo(live, opts.Moves),
		shaken: map[*node][]*node{},
	}
	d.forced = within(opts.Replace)
	d.forgot = d.forgottenBlocks()
	return d
}

// fill makes a node for each key of the two worlds.
func (d *diff) fill(live, want state.World) {
	store := make([]node, 0, len(want))
	d.all = make([]*node, 0, max(len(live), len(want)))
	for k, o := range want {
		have := live[k]
		if r, ok := o.(state.Route); ok && yields(r, have) {
			d.yielded = append(d.yielded, r)
			continue
		}
		if o = heir(o, want, live); wanted(o, have) {
			store = append(store, node{key: k, want: o, live: have, was: d.was[k], opTaking: -1, opMaking: -1, opUpdating: -1})
			d.note(&store[len(store)-1])
		}
	}
	for k, o := range live {
		if _, ok := d.nodes[k]; !ok {
			d.note(&node{key: k, live: o, opTaking: -1, opMaking: -1, opUpdating: -1})
		}
	}
}

func (d *diff) note(n *node) {
	d.nodes[n.key] = n
	d.all = append(d.all, n)
}

// wanted reports that an object of the wanted world can be wanted. In a rollback the
// wanted world was once a live one, and holds what nobody can make: foreign things, which
// are none of our business, and links whose creation was cut short.
func wanted(o, live state.Object) bool {
	if _, foreign := o.(state.Foreign); foreign {
		return false
	}
	return !half(o) || live != nil && state.Compare(o, live).Same()
}

// yields reports that the route is not to be made, because of one that somebody else made.
func yields(r state.Route, live state.Object) bool {
	_, taken := live.(state.Foreign)
	return r.Yields && taken
}

// classify decides for each key on its own, and finds all conflicts.
func (d *diff) classify() hcl.Diagnostics {
	var diags hcl.Diagnostics
	diags = append(diags, d.unknownReplacements()...)
	diags = append(diags, d.unguarded()...)
	for _, n := range d.all {
		if problem := d.conflict(n); problem != nil {
			diags = append(diags, problem)
			if problem.Severity == hcl.DiagError {
				continue
			}
		}
		d.compare(n)
	}
	slices.SortFunc(diags, func(a, b *hcl.Diagnostic) int { return cmp.Compare(a.Detail, b.Detail) })
	return diags
}

// compare decides what becomes of one node, without regard to others.
func (d *diff) compare(n *node) {
	if _, foreign := n.live.(state.Foreign); foreign {
		return
	}
	if _, adopted := n.want.(state.Adopted); adopted {
		return
	}
	switch {
	case n.live == nil:
		n.made = true
	case n.want == nil:
		d.drop(n)
	default:
		n.delta = d.opts.unignored(n.owner(), d.delta(n))
		n.dead = n.delta.Replace || d.remade(n)
		n.made = n.dead
		if !n.dead && !n.delta.Same() {
			n.update(n.want)
		}
	}
}

// remade reports that the user asked for the node's block to be made anew. Its records
// stay, and host-wide switches, which are not the block's alone.
func (d *diff) remade(n *node) bool {
	if n.key.Place == state.Store || n.key.Place.InIPAM() || !d.forced(n.owner()) {
		return false
	}
	s, ok := n.live.(state.Sysctl)
	return !ok || !s.Keep
}

// drop decides how a live object goes that nobody wants.
func (d *diff) drop(n *node) {
	if stays(n.live) {
		return // turned on when needed, never off: others may rely on it by now
	}
	if d.forgot(n.owner()) && n.key.Place.InKernel() {
		d.forget(n)
		return
	}
	n.dead = true
}

func (n *node) update(after state.Object) {
	n.updated, n.after = true, after
}

// ops writes down what becomes of the nodes, unordered: replacements as delete and create,
// and with each op what goes or comes with it.
func (d *diff) ops() []state.Op {
	ops := make([]state.Op, 0, len(d.changes))
	d.doers = make([]*node, 0, len(d.changes))
	add := func(n *node, op state.Op) int {
		ops, d.doers = append(ops, op), append(d.doers, n)
		return len(ops) - 1
	}
	for _, n := range d.changes {
		if n.dead && n.taker == n {
			n.opTaking = add(n, state.Op{Action: state.Delete, Key: n.key, Before: n.live, Replaces: n.made, Reason: n.reason, Delta: n.delta})
		}
		if n.made && n.maker == n {
			n.opMaking = add(n, state.Op{Action: state.Create, Key: n.key, After: n.want, Replaces: n.dead, Reason: n.reason, Delta: n.delta})
		}
		if n.was != nil {
			n.opRenaming = add(n, renameOp(n))
		}
		before := n.live
		if n.passing != nil {
			n.opPassing = add(n, state.Op{Action: state.Update, Key: n.key, Before: n.live, After: n.passing})
			before = n.passing
		}
		if n.updated {
			n.opUpdating = add(n, state.Op{Action: state.Update, Key: n.key, Before: before, After: n.after, Delta: n.delta, Reason: n.reason})
		}
	}
	for _, n := range d.changes {
		if n.dead && n.taker != n {
			n.opTaking = n.taker.opTaking
			op := &ops[n.opTaking]
			op.Along = append(op.Along, n.live)
		}
		if n.made && n.maker != n {
			n.opMaking = n.maker.opMaking
			op := &ops[n.opMaking]
			op.Along = append(op.Along, n.want)
		}
	}
	return ops
}

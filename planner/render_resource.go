package planner

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/cnmctl/cnmctl/state"
)

// item is one object's change within a resource: what is taken, made or updated.
type item struct {
	key state.Key
	// taken and made are set for what goes and comes; both for a replacement.
	taken, made state.Object
	// takenBy and madeBy are the ops; along: not the op's own object.
	takenBy, madeBy       *state.Op
	takenAlong, madeAlong bool
	updated               *state.Op
}

// items gathers the parts of a resource by object, in the order of their kinds.
func (p *Plan) items(r *Resource) []*item {
	byKey := make(map[state.Key]*item, len(r.Parts))
	items := make([]*item, 0, len(r.Parts))
	for _, part := range r.Parts {
		op := &p.Ops[part.Op]
		o := op.Object()
		if part.Along >= 0 {
			o = op.Along[part.Along]
		}
		k := o.Key()
		it := byKey[k]
		if it == nil {
			it = &item{key: k}
			byKey[k] = it
			items = append(items, it)
		}
		switch op.Action {
		case state.Delete:
			it.taken, it.takenBy, it.takenAlong = o, op, part.Along >= 0
		case state.Create:
			it.made, it.madeBy, it.madeAlong = o, op, part.Along >= 0
		case state.Update:
			it.updated = joined(it.updated, op)
		}
	}
	slices.SortStableFunc(items, func(a, b *item) int {
		return cmp.Or(cmp.Compare(rank[a.key.Kind], rank[b.key.Kind]), state.CompareKeys(a.key, b.key))
	})
	return items
}

// joined is what two changes of one object make together: its name, then something else.
func joined(first, then *state.Op) *state.Op {
	if first == nil {
		return then
	}
	both := *then
	both.Before = first.Before
	both.Delta.Fields = slices.Concat(first.Delta.Fields, then.Delta.Fields)
	both.Reason = cmp.Or(first.Reason, then.Reason)
	return &both
}

// resource writes one block.
func (out *printer) resource(r *Resource) {
	out.heading(r)
	symbol := resourceSymbol(r.Action)
	out.gutter(3, symbol)
	if r.Address == "" {
		out.put("stack ", strconv.Quote(out.plan.Stack), " {\n")
	} else {
		kind, name := labelsOf(r.Address)
		out.put(kind, " ", strconv.Quote(name), " {\n")
	}
	var records, kernel, claims []*item
	for _, it := range out.plan.items(r) {
		switch it.key.Kind {
		case state.KindNetwork, state.KindSandbox, state.KindEndpoint, state.KindHost, state.KindPolicy:
			records = append(records, it)
		case state.KindClaim:
			claims = append(claims, it)
		default:
			kernel = append(kernel, it)
		}
	}
	if len(records) == 0 {
		kernel = append(claims, kernel...) // else they only repeat the addresses
	}
	out.record(records)
	if len(records) > 0 && len(kernel)+r.Same > 0 {
		out.put("\n")
	}
	for _, it := range kernel {
		out.object(it)
	}
	if r.Same > 0 {
		out.put("        ", out.paint(faint, "# ("+plural(r.Same, "unchanged kernel object")+" hidden)"), "\n")
	}
	out.put("    }\n\n")
}

func resourceSymbol(a ResourceAction) string {
	return map[ResourceAction]string{
		CreateResource: plus, UpdateResource: tilde, DeleteResource: minus,
		ReplaceResource: replace, ForgetResource: dot, MoveResource: arrow,
	}[a]
}

// heading is the comment above a block: what becomes of it, and why.
func (out *printer) heading(r *Resource) {
	name := string(r.Address)
	if name == "" {
		name = "What the blocks of stack " + out.plan.Stack + " share"
	}
	fate := map[ResourceAction]string{
		CreateResource:  "will be created",
		UpdateResource:  "will be updated in-place",
		DeleteResource:  "will be destroyed",
		ReplaceResource: "must be replaced",
		ForgetResource:  "will be forgotten, but not destroyed",
		MoveResource:    "has moved to this address",
	}[r.Action]
	if out.differs {
		fate = map[ResourceAction]string{
			CreateResource:  "is missing",
			UpdateResource:  "is different",
			DeleteResource:  "is not wanted any more",
			ReplaceResource: "is different, and has to be replaced",
			ForgetResource:  "is not in the configuration, and is to be forgotten",
			MoveResource:    "has moved to this address",
		}[r.Action]
	}
	if r.Action == ReplaceResource && r.Reason == asRequested {
		fate = "will be replaced, as requested"
	}
	if r.Follows {
		fate = "follows a block that has moved"
	}
	if r.Action == MoveResource {
		name, fate = string(r.From), "has moved to "+string(r.Address)
	}
	out.put("  ", out.paint(bold, "# "+name), " ", fate, "\n")
	if r.Reason != "" && r.Reason != asRequested {
		out.put("  # (", r.Reason, ")\n")
	}
	if r.Drift {
		reason := changedOutside
		if r.Action == CreateResource {
			reason = deletedOutside
		}
		out.put("  # (", reason, ")\n")
	}
	if r.From != "" && r.Action != MoveResource {
		out.put("  # (moved from ", string(r.From), ")\n")
	}
}

// record writes the attributes of a block's record. A moved record is one that goes and
// one that comes.
func (out *printer) record(records []*item) {
	var it item
	for _, r := range records {
		if r.taken != nil {
			it.taken, it.takenBy = r.taken, r.takenBy
		}
		if r.made != nil {
			it.made, it.madeBy = r.made, r.madeBy
		}
		if r.updated != nil {
			it.updated = r.updated
		}
	}
	switch {
	case it.updated != nil:
		out.changed(it.updated.Before, it.updated.After, it.updated.Delta)
	case it.taken != nil && it.made != nil:
		out.changed(it.taken, it.made, state.Compare(it.made, it.taken))
	case it.made != nil:
		out.attributes(it.made, false)
	case it.taken != nil:
		out.attributes(it.taken, true)
	}
}

// attributes writes those of a record that comes or goes.
func (out *printer) attributes(o state.Object, gone bool) {
	width := 0
	attrs := o.Attrs()
	for _, a := range attrs {
		if !a.Quiet {
			width = max(width, len(a.Name))
		}
	}
	for _, a := range attrs {
		switch {
		case a.Quiet:
		case gone:
			out.value(7, width, a.Name, a.Shown(), "", "")
		default:
			out.value(7, width, a.Name, "", a.Shown(), "")
		}
	}
}

// changed writes the fields of a record that differ, and how many do not.
func (out *printer) changed(before, after state.Object, d state.Delta) {
	width := 0
	for _, f := range d.Fields {
		width = max(width, len(f.Name))
	}
	for _, f := range d.Fields {
		out.field(7, width, f)
	}
	hidden := len(after.Attrs()) - len(d.Fields)
	if hidden > 0 {
		out.put("        ", out.paint(faint, "# ("+plural(hidden, "unchanged attribute")+" hidden)"), "\n")
	}
}

func (out *printer) field(indent, width int, f state.Field) {
	note := ""
	if f.Fixed {
		note = "forces replacement"
	}
	out.value(indent, width, f.Name, f.Old, f.New, note)
}

// object writes one kernel object that comes, goes or changes.
func (out *printer) object(it *item) {
	switch {
	case it.updated != nil:
		out.updatedObject(it.updated)
	case it.taken != nil && it.made != nil:
		out.replacedObject(it)
	case it.made != nil:
		reason := it.madeBy.Reason
		if it.madeAlong {
			reason = ""
		}
		out.line(plus, it.made, reason)
	case it.takenAlong:
		out.line(minus, it.taken, "goes with "+it.takenBy.Key.String())
	default:
		out.line(minus, it.taken, it.takenBy.Reason)
	}
}

// line writes an object in one line.
func (out *printer) line(symbol string, o state.Object, reason string) {
	what, details := describe(o)
	if f, ok := o.(state.File); ok {
		details = out.contentText(f, symbol)
	}
	if o.Key().Place.Asked() {
		details = callText(o, symbol)
	}
	out.gutter(7, symbol)
	out.put(what)
	if details != "" {
		out.put(" (", details, ")")
	}
	if reason != "" {
		out.put(out.paint(faint, " # "+reason))
	}
	out.put("\n")
}

// contentText is a file's content in parentheses: its size, and whether others share it.
func (out *printer) contentText(f state.File, symbol string) string {
	text := size(len(f.Content))
	if n := out.shared[out.contents.Number(f.Content)]; n > 1 && symbol == plus {
		text += ", shared by " + strconv.Itoa(n) + " files"
	}
	return text
}

func (out *printer) replacedObject(it *item) {
	reason := it.madeBy.Reason
	if it.takenAlong && reason == "" {
		reason = "goes with " + it.takenBy.Key.String()
	}
	if it.madeAlong {
		reason = "made with " + it.madeBy.Key.String()
	}
	out.line(replace, it.made, reason)
	for _, f := range state.Compare(it.made, it.taken).Fields {
		out.field(11, len(f.Name), f)
	}
}

// updatedObject writes an object that changes in place, a line for each field.
func (out *printer) updatedObject(op *state.Op) {
	symbol := tilde
	if forgets(*op) {
		symbol = dot
	}
	what, _ := describe(op.After)
	out.gutter(7, symbol)
	out.put(what)
	if op.Reason != "" {
		out.put(out.paint(faint, " # "+op.Reason))
	}
	out.put("\n")
	if f, ok := op.After.(state.File); ok && !forgets(*op) {
		out.content(op.Before.(state.File), f, what)
		return
	}
	width := 0
	for _, f := range op.Delta.Fields {
		width = max(width, len(f.Name))
	}
	for _, f := range op.Delta.Fields {
		if f.Name != ownerField || len(op.Delta.Fields) > 1 || op.Reason == "" {
			out.field(11, width, f)
		}
	}
}

// context is how many unchanged lines are shown around a changed one.
const context = 1

// content writes how a file's content changes, line by line, and once for all files that
// change in the same way.
func (out *printer) content(from, to state.File, what string) {
	change := [2]int{out.gone.Number(from.Content), out.contents.Number(to.Content)}
	if where, ok := out.shown[change]; ok {
		out.put("            ", out.paint(faint, "# (the same change as in "+where+")"), "\n")
		return
	}
	out.shown[change] = what
	edits := diffLines(from.Content, to.Content)
	near := make([]bool, len(edits))
	for i, e := range edits {
		if e.sign != ' ' {
			for j := max(0, i-context); j <= min(len(edits)-1, i+context); j++ {
				near[j] = true
			}
		}
	}
	hidden := 0
	for i, e := range edits {
		if !near[i] {
			hidden++
			continue
		}
		out.hidden(hidden)
		hidden = 0
		out.gutter(11, strings.TrimSpace(string(e.sign)))
		out.put(e.text, "\n")
	}
	out.hidden(hidden)
}

func (out *printer) hidden(lines int) {
	if lines > 0 {
		out.put("            ", out.paint(faint, "# ("+plural(lines, "unchanged line")+" hidden)"), "\n")
	}
}

// plural is "1 unchanged line" or "2 unchanged lines".
func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

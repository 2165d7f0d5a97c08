package planner

import (
	"bufio"
	"io"
	"strconv"

	"github.com/cnmctl/cnmctl/state"
)

// RenderOptions says how a plan is shown.
type RenderOptions struct {
	// Color: with the escape sequences of a terminal.
	Color bool
	// Drift: the plan is shown for what differs, and nobody is about to carry it out.
	Drift bool
	// Records: the plan was made from records, not from a configuration.
	Records bool
}

// Render writes the plan as a Terraform user expects to read one: a block for each
// resource with its attributes, below them the kernel objects that carry it, and at the
// end the numbers.
func Render(w io.Writer, p *Plan, opts RenderOptions) error {
	out := &printer{Writer: bufio.NewWriterSize(w, 1<<16), plan: p, color: opts.Color, differs: opts.Drift, records: opts.Records}
	if p.Empty() {
		out.nothing()
		return out.Flush()
	}
	out.index()
	out.drift()
	out.spaces()
	if len(p.Resources) > 0 {
		out.legend()
		for _, g := range p.groups() {
			out.group(g)
			for _, r := range g.resources {
				out.resource(r)
			}
		}
	}
	out.flows()
	if len(p.Resources) > 0 {
		out.summary()
	}
	out.outputs()
	return out.Flush()
}

// printer writes a plan as text. Errors of writing come out of Flush.
type printer struct {
	*bufio.Writer
	plan  *Plan
	color bool
	// differs: what is shown is how things are, not what will be done.
	differs bool
	// records: what is shown was made from records.
	records bool
	// shared counts the files that are written with a content, shown tells where the
	// change from one content to another was shown. Contents have numbers, those that
	// go numbers of their own.
	contents, gone state.Contents
	shared         map[int]int
	shown          map[[2]int]string
}

// put writes texts. The buffer keeps the first error for Flush.
func (out *printer) put(texts ...string) {
	for _, t := range texts {
		_, _ = out.WriteString(t)
	}
}

// The symbols of a plan.
const (
	plus    = "+"
	tilde   = "~"
	minus   = "-"
	replace = "-/+"
	dot     = "."
	arrow   = "→"
)

// Escape sequences of a terminal (ECMA-48 SGR).
const (
	bold   = "\x1b[1m"
	red    = "\x1b[31m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	faint  = "\x1b[90m"
	reset  = "\x1b[0m"
)

// paint is text in a colour, when there are colours.
func (out *printer) paint(color, text string) string {
	if !out.color || color == "" {
		return text
	}
	return color + text + reset
}

// colors of the symbols.
func symbolColor(symbol string) string {
	switch symbol {
	case plus:
		return green
	case tilde:
		return yellow
	case minus, replace:
		return red
	}
	return ""
}

// gutter writes a line's beginning: indentation, with the symbol in the last three
// columns before the text.
func (out *printer) gutter(indent int, symbol string) {
	const spaces = "                                        "
	out.put(spaces[:indent-len([]rune(symbol))], out.symbol(symbol), " ")
}

func (out *printer) symbol(symbol string) string {
	if symbol == replace && out.color {
		return red + minus + reset + "/" + green + plus + reset
	}
	return out.paint(symbolColor(symbol), symbol)
}

// nothing says that there is nothing to do.
func (out *printer) nothing() {
	out.put(out.paint(bold+green, "No changes."))
	if out.plan.Destroy {
		out.put(" No objects need to be destroyed.\n")
		return
	}
	if out.records {
		out.put(" This host is as the records say.\n")
		return
	}
	out.put(" Your network matches the configuration.\n")
}

// index counts which contents of files are shared.
func (out *printer) index() {
	out.shared = map[int]int{}
	out.shown = map[[2]int]string{}
	for _, op := range out.plan.Ops {
		if f, ok := op.After.(state.File); ok && op.Action == state.Create {
			out.shared[out.contents.Number(f.Content)]++
		}
	}
}

// legend explains the symbols in use.
func (out *printer) legend() {
	used := map[ResourceAction]bool{}
	for _, r := range out.plan.Resources {
		used[r.Action] = true
	}
	if out.differs {
		out.put("The symbols say what 'cnmctl apply' would do about it:\n")
	} else {
		out.put("Actions are indicated with the following symbols:\n")
	}
	for _, s := range []struct {
		action ResourceAction
		symbol string
		text   string
	}{
		{CreateResource, plus, "create"},
		{UpdateResource, tilde, "update in-place"},
		{DeleteResource, minus, "destroy"},
		{ReplaceResource, replace, "destroy and then create replacement"},
		{ForgetResource, dot, "forget: leave it, without the mark of this stack"},
		{MoveResource, arrow, "move to another address"},
	} {
		if used[s.action] {
			out.gutter(3, s.symbol)
			out.put(s.text, "\n")
		}
	}
	if out.differs {
		out.put("\nThis differs from the configuration:\n\n")
	} else {
		out.put("\ncnmctl will perform the following actions:\n\n")
	}
}

// mostDrift is how many objects the note on drift names one by one.
const mostDrift = 12

// drift notes what somebody else has changed since the last apply.
func (out *printer) drift() {
	var ops []state.Op
	for _, op := range out.plan.Ops {
		if isDrift(op.Reason) {
			ops = append(ops, op)
		}
	}
	if len(ops) == 0 {
		return
	}
	out.put(out.paint(bold, "Note: Objects have changed outside of cnmctl"), "\n\n")
	for i, op := range ops {
		if i == mostDrift {
			out.put("  # and ", strconv.Itoa(len(ops)-mostDrift), " more\n")
			break
		}
		what, _ := describe(op.Object())
		verb := map[string]string{changedOutside: "has changed", deletedOutside: "has been deleted", addedOutside: "has been added"}
		out.put("  # ", what, " ", verb[op.Reason], "\n")
	}
	if out.differs {
		out.put("\n'cnmctl apply' puts that right.\n\n")
	} else {
		out.put("\nThe plan below puts that right.\n\n")
	}
}

// summary counts: blocks as the user wrote them, then what carries them.
func (out *printer) summary() {
	c, k := out.plan.Count(), out.plan.Kernel()
	if out.differs {
		out.put(out.paint(bold, "Drift:"), " ", differing(c, ""), ".\n")
		if k != (Count{}) {
			out.put("In the kernel: ", differing(k, objects(k.Add)), ".\n")
		}
		return
	}
	out.put(out.paint(bold, "Plan:"), " ", counts(c, ""), ".\n")
	if k != (Count{}) {
		out.put("In the kernel: ", counts(k, objects(k.Add)), ".\n")
	}
}

// objects is what the number that begins a list counts.
func objects(n int) string {
	if n == 1 {
		return " object"
	}
	return " objects"
}

// differing is "3 missing, 1 different, 0 not wanted".
func differing(c Count, what string) string {
	text := strconv.Itoa(c.Add) + what + " missing, " + strconv.Itoa(c.Change) + " different, " + strconv.Itoa(c.Destroy) + " not wanted"
	if c.Forget > 0 {
		text += ", " + strconv.Itoa(c.Forget) + " to forget"
	}
	if c.Move > 0 {
		text += ", " + strconv.Itoa(c.Move) + " moved"
	}
	return text
}

// counts is "3 to add, 1 to change, 0 to destroy".
func counts(c Count, what string) string {
	text := strconv.Itoa(c.Add) + what + " to add, " + strconv.Itoa(c.Change) + " to change, " + strconv.Itoa(c.Destroy) + " to destroy"
	if c.Forget > 0 {
		text += ", " + strconv.Itoa(c.Forget) + " to forget"
	}
	if c.Move > 0 {
		text += ", " + strconv.Itoa(c.Move) + " to move"
	}
	return text
}

// value writes a named value that comes, goes or changes; "" stands for none.
func (out *printer) value(indent, width int, name, from, to, note string) {
	switch {
	case from == "":
		out.gutter(indent, plus)
		out.put(pad(name, width), " = ", to)
	case to == "":
		out.gutter(indent, minus)
		out.put(pad(name, width), " = ", from, out.paint(faint, " -> null"))
	default:
		out.gutter(indent, tilde)
		out.put(pad(name, width), " = ", from, out.paint(yellow, " -> "), to)
	}
	if note != "" {
		out.put(out.paint(red, " # "+note))
	}
	out.put("\n")
}

// pad is text filled up to a width.
func pad(text string, width int) string {
	const spaces = "                                                                "
	if n := width - len(text); n > 0 && n <= len(spaces) {
		return text + spaces[:n]
	}
	return text
}

package spec

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// values are the evaluated content of a body: known, of the right types, checked and
// without marks. An absent attribute is not in the map unless it has a default.
type values struct {
	src   *body
	attrs map[string]cty.Value
	parts []*partValues
}

// partValues are an evaluated nested block.
type partValues struct {
	*part
	*values
	// bad says that something in it was reported.
	bad bool
}

// wait is an argument that cannot be known yet, and what it waits for.
type wait struct {
	arg  *argument
	for_ []pendingMark
}

// reading is the evaluation of one body for one instance.
type reading struct {
	*run
	ctx *hcl.EvalContext
	// refs are the instances that reference attributes name.
	refs      map[string]*instance
	failed    bool
	waits     []wait
	late      []string
	sensitive []string
}

// read evaluates the attributes and nested blocks that want accepts.
func (rd *reading) read(b *body, want func(string) bool) *values {
	b, diags := b.expanded(rd.ctx, want)
	if rd.report(diags...); diags.HasErrors() {
		rd.failed = true
	}
	return rd.body(b, want)
}

func (rd *reading) body(b *body, want func(string) bool) *values {
	out := &values{src: b, attrs: make(map[string]cty.Value, len(b.schema.Attrs))}
	for i := range b.schema.Attrs {
		schema := &b.schema.Attrs[i]
		if schema.Static || isRepetition(schema.Name) || !want(schema.Name) {
			continue
		}
		a := b.attrs[schema.Name]
		switch {
		case a != nil && schema.Ref != "":
			rd.reference(a)
		case a != nil:
			if v := rd.argument(a); v != cty.NilVal {
				out.attrs[schema.Name] = v
			}
		case schema.Required:
			rd.fail(fault(b.end.Ptr(), "Missing argument", "%s block needs %q: %s", upperFirst(withArticle(b.schema.Name)), schema.Name, lowerFirst(schema.Doc)))
		case schema.Default != cty.NilVal:
			out.attrs[schema.Name] = schema.Default
		}
	}
	for _, p := range b.blocks {
		if want(p.schema.Name) && p.schema.Name != "lifecycle" {
			before := rd.failed
			rd.failed = false
			shown := len(rd.sensitive)
			inner := rd.body(p.body, all)
			if len(rd.sensitive) > shown {
				rd.sensitive = append(rd.sensitive, p.schema.Name)
			}
			out.parts = append(out.parts, &partValues{p, inner, rd.failed})
			rd.failed = rd.failed || before
		}
	}
	return out
}

// lost reports that an attribute was written, but its value was refused.
func (rd *reading) lost(v *values, name string) bool {
	_, read := v.attrs[name]
	return rd.failed && !read && v.src.attrs[name] != nil
}

// fail reports why the instance cannot be.
func (rd *reading) fail(d *hcl.Diagnostic) {
	rd.report(d)
	rd.failed = true
}

// reject reports what is wrong with the value of an argument.
func (rd *reading) reject(a *argument, summary, detail string, args ...any) {
	d := fault(a.expr.Range().Ptr(), summary, detail, args...)
	d.Context, d.Expression, d.EvalContext = a.rng.Ptr(), a.expr, rd.ctx
	rd.fail(d)
}

// argument evaluates an argument by its schema. cty.NilVal: absent, failed or waiting.
func (rd *reading) argument(a *argument) cty.Value {
	given := rd.evaluate(a.expr, rd.ctx)
	v, err := convert.Convert(given, a.schema.Type)
	if err != nil {
		rd.reject(a, "Wrong type", "%q must be %s, but the value is %s.%s", a.schema.Name, typeText(a.schema.Type), describe(given), whereWrong(err))
		return cty.NilVal
	}
	if v.IsMarked() || !v.Type().IsPrimitiveType() && v.ContainsMarked() {
		var marks cty.ValueMarks
		if v, marks = v.UnmarkDeep(); rd.marked(a, v, marks) {
			return cty.NilVal
		}
	}
	switch {
	case !v.IsWhollyKnown():
		rd.failed = true // an unknown without a mark: evaluating it was an error
		return cty.NilVal
	case !v.IsNull():
	case a.schema.Required:
		rd.reject(a, "Missing argument", "%q is null, but it is needed: %s", a.schema.Name, lowerFirst(a.schema.Doc))
		return cty.NilVal
	default:
		return a.schema.Default
	}
	if a.schema.Check != nil {
		if err := a.schema.Check(v); err != nil {
			rd.invalid(a, err)
			return cty.NilVal
		}
	}
	if holdsNull(v) {
		rd.reject(a, "Invalid "+a.schema.Name, "An element is null; leave it out instead.")
		return cty.NilVal
	}
	return v
}

// invalid says what is wrong with an argument's value, of each element by itself.
func (rd *reading) invalid(a *argument, err error) {
	if slices.Contains(rd.sensitive, a.schema.Name) {
		rd.reject(a, "Invalid "+a.schema.Name, "The value, which is sensitive and not shown, is not what is needed: %s", lowerFirst(a.schema.Doc))
		return
	}
	for _, err := range each(err) {
		rd.reject(a, "Invalid "+a.schema.Name, "%s", sentence(err))
	}
}

// holdsNull reports a null in a list, set or map.
func holdsNull(v cty.Value) bool {
	if !v.Type().IsCollectionType() {
		return false
	}
	for it := v.ElementIterator(); it.Next(); {
		if _, e := it.Element(); e.IsNull() {
			return true
		}
	}
	return false
}

// marked looks at the marks of a value, and reports that it cannot be used now.
func (rd *reading) marked(a *argument, v cty.Value, marks cty.ValueMarks) bool {
	if _, ok := marks[sensitiveMark{}]; ok {
		rd.sensitive = append(rd.sensitive, a.schema.Name)
	}
	if v.IsWhollyKnown() {
		return false
	}
	waits := pendings(marks)
	_, failed := marks[failedMark{}]
	switch {
	case failed || len(waits) == 0:
		rd.failed = true
	case a.schema.Late && !rd.endpointsChosen:
		rd.late = append(rd.late, a.schema.Name)
	default:
		rd.waits = append(rd.waits, wait{a, waits})
	}
	return true
}

// reference evaluates an argument that must refer to a block.
func (rd *reading) reference(a *argument) {
	v := rd.evaluate(a.expr, rd.ctx)
	v, marks := v.Unmark()
	switch {
	case !v.IsKnown():
		rd.marked(a, v, marks)
		return
	case v.IsNull():
		if a.schema.Required {
			rd.reject(a, "Missing argument", "%q is null, but it is needed: %s", a.schema.Name, lowerFirst(a.schema.Doc))
		}
		return
	}
	address, ok := addressOf(v)
	if !ok {
		rd.reject(a, "Not a "+a.schema.Ref, "%q refers to a %s block, as in %s.example, but the value is %s.%s", a.schema.Name, a.schema.Ref, a.schema.Ref, describe(v), rd.referenceHint(a.schema.Ref, v))
		return
	}
	known := map[string]map[state.Address]*instance{"network": rd.networks, "sandbox": rd.sandboxes}[a.schema.Ref]
	target := known[address]
	if target == nil {
		rd.reject(a, "Not a "+a.schema.Ref, "%q refers to a %s block, as in %s.example, but %s is not one.", a.schema.Name, a.schema.Ref, a.schema.Ref, address)
		return
	}
	rd.refs[a.schema.Name] = target
	rd.failed = rd.failed || target.failed
}

// referenceHint says what was probably meant by a value that is no reference.
func (rd *reading) referenceHint(kind string, v cty.Value) string {
	switch t := v.Type(); {
	case t == cty.String:
		for _, addr := range slices.Sorted(maps.Keys(rd.blocksOf(kind))) {
			if inst := rd.blocksOf(kind)[addr]; inst.object.name == v.AsString() || string(addr) == v.AsString() {
				return fmt.Sprintf(" Write it without quotes: %s.", addr)
			}
		}
	case t.IsObjectType() || t.IsTupleType():
		for it := v.ElementIterator(); it.Next(); {
			_, e := it.Element()
			if address, ok := addressOf(e); ok {
				return fmt.Sprintf(" It is all instances of a block; choose one, as in %s.", address)
			}
		}
	}
	return ""
}

// blocksOf are the instances of networks or sandboxes that are known by now.
func (r *run) blocksOf(kind string) map[state.Address]*instance {
	if kind == "network" {
		return r.networks
	}
	return r.sandboxes
}

// addressOf is the address in the value of a reference to a block.
func addressOf(v cty.Value) (state.Address, bool) {
	v, _ = v.Unmark()
	if v.IsNull() || !v.IsKnown() || !v.Type().IsObjectType() || !v.Type().HasAttribute("address") {
		return "", false
	}
	address, _ := v.GetAttr("address").Unmark()
	if address.Type() != cty.String || address.IsNull() || !address.IsKnown() {
		return "", false
	}
	return state.Address(address.AsString()), true
}

// of are the nested blocks of one type.
func (v *values) of(name string) []*partValues {
	var out []*partValues
	for _, p := range v.parts {
		if p.schema.Name == name {
			out = append(out, p)
		}
	}
	return out
}

// ranges are where the values of a body were written, by name: subnet[0].cidr.
func (b *body) ranges() map[string]hcl.Range {
	if b.where == nil {
		b.where = map[string]hcl.Range{}
		b.addRanges("", b.where)
	}
	return b.where
}

func (b *body) addRanges(prefix string, out map[string]hcl.Range) {
	for name, a := range b.attrs {
		out[prefix+name] = a.expr.Range()
	}
	count := map[string]int{}
	for _, p := range b.blocks {
		name := p.schema.Name
		if p.schema.Max != 1 {
			name = fmt.Sprintf("%s[%d]", name, count[name])
		}
		count[p.schema.Name]++
		out[prefix+name] = p.header
		p.body.addRanges(prefix+name+".", out)
	}
}

// whereWrong is the place in a value that keeps it from being converted, if it is not all
// of it.
func whereWrong(err error) string {
	if p := (cty.PathError{}); errors.As(err, &p) && len(p.Path) > 0 {
		return " At " + pathText(p.Path) + " " + p.Error() + "."
	}
	return ""
}

// sentence is an error as a sentence of its own.
func sentence(err error) string {
	text := upperFirst(err.Error())
	if strings.HasSuffix(text, ".") || strings.HasSuffix(text, "?") {
		return text
	}
	return text + "."
}

// typeText is a type in a sentence: "a number", "a list of string".
func typeText(t cty.Type) string {
	text := typeexpr.TypeString(t)
	switch {
	case t == cty.String:
		return "text"
	case t == cty.Bool:
		return "true or false"
	case t.IsPrimitiveType():
		return "a " + text
	}
	return "of type " + text
}

// lowerFirst and upperFirst fit a sentence into another, or to stand alone.
func lowerFirst(s string) string {
	if len(s) > 1 && s[1] >= 'a' && s[1] <= 'z' || strings.HasPrefix(s, "A ") {
		return strings.ToLower(s[:1]) + s[1:]
	}
	return s
}

func upperFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

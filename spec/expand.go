package spec

import (
	"slices"
	"strconv"

	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// repetition is how a block is repeated.
type repetition int

const (
	once repetition = iota
	byKey
	byIndex
)

// element is one instance of a repeated block: its key as it stands in the address and in
// names, and the each or count that its expressions see.
type element struct {
	key  string // "" for a block that is not repeated, the key, the index
	addr string // "", ["key"], [0]
	vars map[string]cty.Value
}

// elements lists the instances of a block. When they are not known, ok is false and the
// value says why: failed, or unknown with what it waits for.
func (s *scope) elements(b *body) (list []element, how repetition, unknown cty.Value, ok bool) {
	if a := b.attrs["for_each"]; a != nil {
		list, unknown, ok = s.eachElements(a)
		return list, byKey, unknown, ok
	}
	if a := b.attrs["count"]; a != nil {
		list, unknown, ok = s.countElements(a)
		return list, byIndex, unknown, ok
	}
	return []element{{}}, once, cty.NilVal, true
}

// bad reports what is wrong with the argument that repeats a block.
func (s *scope) bad(a *argument, ctx *hcl.EvalContext, summary, detail string, args ...any) cty.Value {
	d := fault(a.expr.Range().Ptr(), summary, detail, args...)
	d.Context, d.Expression, d.EvalContext = a.rng.Ptr(), a.expr, ctx
	s.report(d)
	return failedValue
}

func (s *scope) eachElements(a *argument) ([]element, cty.Value, bool) {
	if list, ok := s.texts(a.expr); ok {
		return list, cty.NilVal, true
	}
	val, ctx := s.eval(a.expr, nil)
	if hasTopMark(val, sensitiveMark{}) {
		return nil, s.bad(a, ctx, "Invalid for_each", "The keys of for_each become parts of addresses, which are shown, so they cannot come from a sensitive value. Use nonsensitive() if the keys may be shown."), false
	}
	bare, _ := val.Unmark()
	t := bare.Type()
	switch {
	case !bare.IsKnown():
		return nil, val, false
	case bare.IsNull():
		return nil, s.bad(a, ctx, "Invalid for_each", "The value is null. For no instances use an empty map: {}."), false
	case t.IsMapType() || t.IsObjectType():
	case t.IsSetType():
		if t.ElementType() != cty.String && bare.Length().IsKnown() && bare.LengthInt() > 0 {
			return nil, s.bad(a, ctx, "Invalid for_each", "The value is a set of %s, but instances are named by text. Use a set of strings or a map.", t.ElementType().FriendlyName()), false
		}
	case t.IsTupleType() || t.IsListType():
		return nil, s.bad(a, ctx, "Invalid for_each", "The value is a %s, but instances are named by keys, so it must be a map or a set of strings. Use toset(…) for a list of names, or { for … } for a map.", t.FriendlyNameForConstraint()), false
	default:
		return nil, s.bad(a, ctx, "Invalid for_each", "The value is a %s, but it must be a map or a set of strings.", t.FriendlyName()), false
	}
	if t.IsSetType() {
		return s.setElements(a, ctx, val)
	}
	list := make([]element, 0, bare.LengthInt())
	for it := bare.ElementIterator(); it.Next(); {
		k, v := it.Element()
		list = append(list, keyed(k, v))
	}
	return list, cty.NilVal, true
}

// texts are the instances for toset(…) of texts, in the order of a set; not ok for anything
// else. To make a set of ten thousand strings, and to sort what is in it, takes cty a sixth
// of a second, and most blocks are repeated so.
func (s *scope) texts(expr hcl.Expression) (list []element, ok bool) {
	call, ok := expr.(*hclsyntax.FunctionCallExpr)
	if !ok || call.Name != "toset" || len(call.Args) != 1 || call.ExpandFinal {
		return nil, false
	}
	// Whatever is wrong is reported when the call as a whole is evaluated.
	val, diags := call.Args[0].Value(s.context(references(expr.Variables())))
	if diags.HasErrors() || val.IsMarked() || !val.IsKnown() || val.IsNull() || !(val.Type().IsTupleType() || val.Type().IsListType()) {
		return nil, false
	}
	keys := make([]string, 0, val.LengthInt())
	for it := val.ElementIterator(); it.Next(); {
		_, v := it.Element()
		if v.IsMarked() || v.Type() != cty.String || !v.IsKnown() || v.IsNull() {
			return nil, false
		}
		keys = append(keys, v.AsString())
	}
	slices.Sort(keys)
	for _, k := range slices.Compact(keys) {
		v := cty.StringVal(k)
		list = append(list, keyed(v, v))
	}
	return list, true
}

// setElements are the instances for a set of strings, in order.
func (s *scope) setElements(a *argument, ctx *hcl.EvalContext, val cty.Value) ([]element, cty.Value, bool) {
	bare, _ := val.Unmark()
	var list []element
	for it := bare.ElementIterator(); it.Next(); {
		k, _ := it.Element()
		switch k, _ = k.Unmark(); {
		case !k.IsKnown():
			return nil, val, false
		case k.IsNull():
			return nil, s.bad(a, ctx, "Invalid for_each", "The set holds null. Take it out, as in [for s in … : s if s != null]."), false
		}
		list = append(list, keyed(k, k))
	}
	return list, cty.NilVal, true
}

// keyed is the instance with a key.
func keyed(k, v cty.Value) element {
	k, _ = k.Unmark()
	each := cty.ObjectVal(map[string]cty.Value{"key": k, "value": v})
	return element{key: k.AsString(), addr: "[" + quoteKey(k.AsString()) + "]", vars: map[string]cty.Value{"each": each}}
}

// maxCount bounds count: more is a mistake in a configuration, and would not fit a
// kernel.
const maxCount = 1_000_000

func (s *scope) countElements(a *argument) ([]element, cty.Value, bool) {
	val, ctx := s.eval(a.expr, nil)
	bare, marks := val.Unmark()
	if _, secret := marks[sensitiveMark{}]; secret {
		return nil, s.bad(a, ctx, "Invalid count", "How many instances there are is shown, so the count cannot come from a sensitive value. Use nonsensitive() if it may be shown."), false
	}
	if !bare.IsKnown() {
		return nil, val, false
	}
	number, err := convert.Convert(bare, cty.Number)
	if err != nil || number.IsNull() {
		return nil, s.bad(a, ctx, "Invalid count", "The count is %s, but it must be a whole number.", shortValue(bare)), false
	}
	if err := between(0, maxCount)(number); err != nil {
		return nil, s.bad(a, ctx, "Invalid count", "%s", sentence(err)), false
	}
	n, _ := number.AsBigFloat().Int64()
	list := make([]element, n)
	for i := range list {
		index := strconv.Itoa(i)
		count := cty.ObjectVal(map[string]cty.Value{"index": cty.NumberIntVal(int64(i))})
		list[i] = element{key: index, addr: "[" + index + "]", vars: map[string]cty.Value{"count": count}}
	}
	return list, cty.NilVal, true
}

// hasTopMark reports that a mark is on the value itself, not only on something in it.
func hasTopMark(v cty.Value, mark any) bool {
	_, marks := v.Unmark()
	_, ok := marks[mark]
	return ok
}

// collect makes one value of the instances' values, as references see them.
func collect(how repetition, list []element, value func(i int) cty.Value) cty.Value {
	switch how {
	case byKey:
		values := make(map[string]cty.Value, len(list))
		for i, e := range list {
			values[e.key] = value(i)
		}
		return cty.ObjectVal(values)
	case byIndex:
		values := make([]cty.Value, len(list))
		for i := range list {
			values[i] = value(i)
		}
		return cty.TupleVal(values)
	}
	return value(0)
}

// children are the instances of a module block.
type children struct {
	list   []element
	how    repetition
	scopes []*scope
}

// expandCall makes the instances of a module block, once they are known.
func (s *scope) expandCall(call *call, at hcl.Range) (*children, cty.Value) {
	if kids := s.children[call.name]; kids != nil {
		return kids, cty.NilVal
	}
	n := s.node("module."+call.name, func() cty.Value {
		list, how, unknown, ok := s.elements(call.body)
		if !ok {
			return unknown
		}
		kids := &children{list: list, how: how}
		for _, e := range list {
			child := newScope(s.run, call.module, s)
			child.path = join(s.path, state.Address("module."+call.name+e.addr))
			child.names = dashed(s.names, call.name, e.key)
			child.call, child.each = call, e.vars
			kids.scopes = append(kids.scopes, child)
		}
		s.children[call.name] = kids
		return cty.True
	})
	v := s.get(n, at)
	return s.children[call.name], v
}

// dashed joins the parts of a name that are not empty.
func dashed(parts ...string) string {
	name := ""
	for _, p := range parts {
		switch {
		case p == "":
		case name == "":
			name = p
		default:
			name += "-" + p
		}
	}
	return name
}

// moduleObject is a module's value with the given outputs.
func (s *scope) moduleObject(call *call, members map[string]reference) cty.Value {
	var at hcl.Range
	for _, ref := range members {
		at = ref.at
	}
	kids, unknown := s.expandCall(call, at)
	if kids == nil {
		return unknown
	}
	return collect(kids.how, kids.list, func(i int) cty.Value {
		outputs := map[string]cty.Value{}
		for _, name := range sortedNames(members) {
			if name != "" {
				outputs[name] = kids.scopes[i].outputValue(name, members[name].at)
			}
		}
		return cty.ObjectVal(outputs)
	})
}

// outputValue is the value of an output, as the calling module sees it.
func (s *scope) outputValue(name string, at hcl.Range) cty.Value {
	p := s.mod.outputs[name]
	if p == nil || p.body.attrs["value"] == nil {
		return failedValue
	}
	return s.get(s.node("output."+name, func() cty.Value {
		v, _ := s.eval(p.body.attrs["value"].expr, nil)
		if sensitive := false; !staticBool(p.body, "sensitive", false, &sensitive).HasErrors() && sensitive {
			v = v.Mark(sensitiveMark{})
		}
		return v
	}), at)
}

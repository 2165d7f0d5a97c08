package spec

import (
	"errors"
	"fmt"
	"math/big"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

// boolListFunc is a function over the elements of a list of bools.
func boolListFunc(doc string, stop bool) function.Function {
	return function.New(&function.Spec{
		Description: doc,
		Params:      []function.Parameter{{Name: "list", Type: cty.List(cty.Bool)}},
		Type:        function.StaticReturnType(cty.Bool),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			unknown := false
			for it := args[0].ElementIterator(); it.Next(); {
				_, v := it.Element()
				switch {
				case !v.IsKnown():
					unknown = true
				case v.IsNull():
					if !stop {
						return cty.False, nil // null is not true
					}
				case v.True() == stop:
					return cty.BoolVal(stop), nil
				}
			}
			if unknown {
				return cty.UnknownVal(cty.Bool), nil
			}
			return cty.BoolVal(!stop), nil
		},
	})
}

var (
	allTrueFunc = boolListFunc("Whether all elements of a list are true; true for an empty one.", false)
	anyTrueFunc = boolListFunc("Whether any element of a list is true.", true)
)

var sumFunc = function.New(&function.Spec{
	Description: "The sum of the numbers in a list or set.",
	Params:      []function.Parameter{{Name: "list", Type: cty.DynamicPseudoType}},
	Type:        function.StaticReturnType(cty.Number),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		list := args[0]
		if !list.CanIterateElements() || list.Type().IsMapType() || list.Type().IsObjectType() {
			return cty.NilVal, function.NewArgErrorf(0, "a list or set of numbers is needed")
		}
		if !list.IsWhollyKnown() {
			return cty.UnknownVal(cty.Number), nil
		}
		total := cty.Zero
		for it := list.ElementIterator(); it.Next(); {
			_, v := it.Element()
			n, err := convert.Convert(v, cty.Number)
			if err != nil || n.IsNull() {
				return cty.NilVal, function.NewArgErrorf(0, "an element is not a number")
			}
			total = total.Add(n)
		}
		return total, nil
	},
})

var oneFunc = function.New(&function.Spec{
	Description: "The only element of a list, set or tuple; null if it is empty, an error if there are more.",
	Params:      []function.Parameter{{Name: "list", Type: cty.DynamicPseudoType}},
	Type: func(args []cty.Value) (cty.Type, error) {
		switch t := args[0].Type(); {
		case t.IsListType() || t.IsSetType():
			return t.ElementType(), nil
		case t.IsTupleType() && t.Length() == 0:
			return cty.DynamicPseudoType, nil
		case t.IsTupleType() && t.Length() == 1:
			return t.TupleElementType(0), nil
		case t.IsTupleType():
			return cty.NilType, function.NewArgErrorf(0, "there are %d elements, but at most one is expected", t.Length())
		}
		return cty.NilType, function.NewArgErrorf(0, "a list, set or tuple is needed")
	},
	Impl: func(args []cty.Value, t cty.Type) (cty.Value, error) {
		list := args[0]
		if !list.Length().IsKnown() {
			return cty.UnknownVal(t), nil
		}
		switch n := list.LengthInt(); n {
		case 0:
			return cty.NullVal(t), nil
		case 1:
			it := list.ElementIterator()
			it.Next()
			_, v := it.Element()
			return v, nil
		default:
			return cty.NilVal, function.NewArgErrorf(0, "there are %d elements, but at most one is expected", n)
		}
	},
})

var lengthFunc = function.New(&function.Spec{
	Description: "How many elements a collection has, or how many characters a text.",
	Params:      []function.Parameter{{Name: "value", Type: cty.DynamicPseudoType, AllowDynamicType: true, AllowUnknown: true, AllowMarked: true}},
	Type: func(args []cty.Value) (cty.Type, error) {
		t := args[0].Type()
		if t == cty.String || t == cty.DynamicPseudoType || t.IsCollectionType() || t.IsTupleType() || t.IsObjectType() {
			return cty.Number, nil
		}
		return cty.NilType, function.NewArgErrorf(0, "a text, list, set, map, tuple or object is needed")
	},
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		v, marks := args[0].Unmark()
		t := v.Type()
		switch {
		case t == cty.DynamicPseudoType || t == cty.String && !v.IsKnown():
			return cty.UnknownVal(cty.Number).WithMarks(marks), nil
		case t == cty.String:
			n, err := stdlib.Strlen(v)
			return n.WithMarks(marks), err
		case t.IsObjectType():
			return cty.NumberIntVal(int64(len(t.AttributeTypes()))).WithMarks(marks), nil
		case t.IsTupleType():
			return cty.NumberIntVal(int64(t.Length())).WithMarks(marks), nil
		}
		return v.Length().WithMarks(marks), nil
	},
})

var indexFunc = function.New(&function.Spec{
	Description: "The number, from 0, of the first element of a list that equals the value.",
	Params: []function.Parameter{
		{Name: "list", Type: cty.DynamicPseudoType},
		{Name: "value", Type: cty.DynamicPseudoType, AllowNull: true},
	},
	Type: function.StaticReturnType(cty.Number),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		list := args[0]
		if t := list.Type(); !t.IsListType() && !t.IsTupleType() {
			return cty.NilVal, function.NewArgErrorf(0, "a list is needed")
		}
		if !list.IsKnown() {
			return cty.UnknownVal(cty.Number), nil
		}
		for it := list.ElementIterator(); it.Next(); {
			i, v := it.Element()
			eq, err := stdlib.Equal(v, args[1])
			if err != nil {
				return cty.NilVal, err
			}
			if !eq.IsKnown() {
				return cty.UnknownVal(cty.Number), nil
			}
			if eq.True() {
				return i, nil
			}
		}
		return cty.NilVal, function.NewArgErrorf(1, "the list has no element %s", shortValue(args[1]))
	},
})

var lookupFunc = function.New(&function.Spec{
	Description: "The element of a map with the key, or the default when there is none.",
	Params: []function.Parameter{
		{Name: "map", Type: cty.DynamicPseudoType, AllowMarked: true},
		{Name: "key", Type: cty.String, AllowMarked: true},
	},
	VarParam: &function.Parameter{Name: "default", Type: cty.DynamicPseudoType, AllowUnknown: true, AllowDynamicType: true, AllowNull: true, AllowMarked: true},
	Type: func(args []cty.Value) (cty.Type, error) {
		if len(args) > 3 {
			return cty.NilType, errors.New("lookup takes a map, a key and one default")
		}
		key, _ := args[1].Unmark()
		switch t := args[0].Type(); {
		case t.IsMapType():
			if len(args) == 3 {
				if _, err := convert.Convert(args[2], t.ElementType()); err != nil {
					return cty.NilType, function.NewArgErrorf(2, "the default is not of the type of the map's elements, %s", t.ElementType().FriendlyName())
				}
			}
			return t.ElementType(), nil
		case !t.IsObjectType():
			return cty.NilType, function.NewArgErrorf(0, "a map is needed")
		case !key.IsKnown():
			return cty.DynamicPseudoType, nil
		case t.HasAttribute(key.AsString()):
			return t.AttributeType(key.AsString()), nil
		case len(args) == 3:
			return args[2].Type(), nil
		default:
			return cty.NilType, function.NewArgErrorf(1, "the map has no element %q, and there is no default", key.AsString())
		}
	},
	Impl: func(args []cty.Value, t cty.Type) (cty.Value, error) {
		m, mapMarks := args[0].Unmark()
		key, keyMarks := args[1].Unmark()
		if !m.IsKnown() || !key.IsKnown() {
			return cty.UnknownVal(t).WithMarks(mapMarks, keyMarks), nil
		}
		found := m.Type().IsObjectType() && m.Type().HasAttribute(key.AsString())
		if found {
			return m.GetAttr(key.AsString()).WithMarks(mapMarks, keyMarks), nil
		}
		if m.Type().IsMapType() && m.HasIndex(key).True() {
			return m.Index(key).WithMarks(mapMarks, keyMarks), nil
		}
		if len(args) < 3 {
			return cty.NilVal, function.NewArgErrorf(1, "the map has no element %q, and there is no default", key.AsString())
		}
		v, err := convert.Convert(args[2], t)
		return v.WithMarks(mapMarks, keyMarks), err
	},
})

// maxRange bounds range: what is longer is a mistake, and eats memory first.
const maxRange = 1_000_000

var rangeFunc = function.New(&function.Spec{
	Description: "The numbers from a start (0) up to a limit, in steps (1): range(3) is [0, 1, 2], range(1, 6, 2) is [1, 3, 5].",
	VarParam:    &function.Parameter{Name: "params", Type: cty.Number},
	Type: func(args []cty.Value) (cty.Type, error) {
		if len(args) < 1 || len(args) > 3 {
			return cty.NilType, errors.New("range takes a limit, or a start and a limit, or a start, a limit and a step")
		}
		return cty.List(cty.Number), nil
	},
	Impl: func(args []cty.Value, t cty.Type) (cty.Value, error) {
		start, limit, step := new(big.Float), args[0].AsBigFloat(), big.NewFloat(1)
		if len(args) > 1 {
			start, limit = args[0].AsBigFloat(), args[1].AsBigFloat()
		}
		down := limit.Cmp(start) < 0
		if len(args) > 2 {
			step = args[2].AsBigFloat()
		} else if down {
			step = big.NewFloat(-1)
		}
		if step.Sign() == 0 || step.Signbit() != down && limit.Cmp(start) != 0 {
			return cty.NilVal, function.NewArgErrorf(2, "steps of %s never get from %s to %s", step.Text('g', 10), start.Text('g', 10), limit.Text('g', 10))
		}
		if start.IsInf() || limit.IsInf() || step.IsInf() {
			return cty.NilVal, errors.New("range does not go to infinity")
		}
		var list []cty.Value
		for n := new(big.Float).Copy(start); n.Cmp(limit) != 0 && (n.Cmp(limit) < 0) != down; n = new(big.Float).Add(n, step) {
			if len(list) == maxRange {
				return cty.NilVal, fmt.Errorf("the range has more than %d numbers", maxRange)
			}
			list = append(list, wholeNumber(n))
		}
		if len(list) == 0 {
			return cty.ListValEmpty(cty.Number), nil
		}
		return cty.ListVal(list), nil
	},
})

// wholeNumber is n, in few bits if it is whole: turning a number into text takes time by
// its precision, not by its size.
func wholeNumber(n *big.Float) cty.Value {
	if i, accuracy := n.Int64(); accuracy == big.Exact {
		return cty.NumberIntVal(i)
	}
	return cty.NumberVal(n)
}

var matchKeysFunc = function.New(&function.Spec{
	Description: "The elements of a list whose counterparts in a second list are in a third.",
	Params: []function.Parameter{
		{Name: "values", Type: cty.List(cty.DynamicPseudoType)},
		{Name: "keys", Type: cty.List(cty.DynamicPseudoType)},
		{Name: "searchset", Type: cty.List(cty.DynamicPseudoType)},
	},
	Type: func(args []cty.Value) (cty.Type, error) { return args[0].Type(), nil },
	Impl: func(args []cty.Value, t cty.Type) (cty.Value, error) {
		if !args[0].IsWhollyKnown() || !args[1].IsWhollyKnown() || !args[2].IsWhollyKnown() {
			return cty.UnknownVal(t), nil
		}
		values, keys := args[0].AsValueSlice(), args[1].AsValueSlice()
		if len(values) != len(keys) {
			return cty.NilVal, fmt.Errorf("there are %d values but %d keys", len(values), len(keys))
		}
		var out []cty.Value
		for i, key := range keys {
			for _, wanted := range args[2].AsValueSlice() {
				if eq, err := stdlib.Equal(key, wanted); err == nil && eq.IsKnown() && eq.True() {
					out = append(out, values[i])
					break
				}
			}
		}
		if len(out) == 0 {
			return cty.ListValEmpty(t.ElementType()), nil
		}
		return cty.ListVal(out), nil
	},
})

var transposeFunc = function.New(&function.Spec{
	Description: "A map of lists turned around: each element becomes a key, with the keys of the lists it was in.",
	Params:      []function.Parameter{{Name: "map", Type: cty.Map(cty.List(cty.String))}},
	Type:        function.StaticReturnType(cty.Map(cty.List(cty.String))),
	Impl: func(args []cty.Value, t cty.Type) (cty.Value, error) {
		if !args[0].IsWhollyKnown() {
			return cty.UnknownVal(t), nil
		}
		turned := map[string][]cty.Value{}
		for it := args[0].ElementIterator(); it.Next(); {
			k, list := it.Element()
			for inner := list.ElementIterator(); inner.Next(); {
				_, v := inner.Element()
				if v.IsNull() {
					return cty.NilVal, function.NewArgErrorf(0, "a list holds null")
				}
				turned[v.AsString()] = append(turned[v.AsString()], k)
			}
		}
		if len(turned) == 0 {
			return cty.MapValEmpty(cty.List(cty.String)), nil
		}
		out := map[string]cty.Value{}
		for k, list := range turned {
			out[k] = cty.ListVal(list)
		}
		return cty.MapVal(out), nil
	},
})

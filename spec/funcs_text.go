package spec

import (
	"fmt"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/function"
)

// textTest is a function that tells something of two texts.
func textTest(doc, second string, test func(s, other string) bool) function.Function {
	return function.New(&function.Spec{
		Description: doc,
		Params:      []function.Parameter{{Name: "str", Type: cty.String}, {Name: second, Type: cty.String}},
		Type:        function.StaticReturnType(cty.Bool),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			return cty.BoolVal(test(args[0].AsString(), args[1].AsString())), nil
		},
	})
}

var (
	startsWithFunc  = textTest("Whether a text begins with another.", "prefix", strings.HasPrefix)
	endsWithFunc    = textTest("Whether a text ends with another.", "suffix", strings.HasSuffix)
	strContainsFunc = textTest("Whether a text contains another.", "substr", strings.Contains)
)

var replaceFunc = function.New(&function.Spec{
	Description: "A text with all occurrences of another replaced; one in slashes is a regular expression.",
	Params:      []function.Parameter{{Name: "str", Type: cty.String}, {Name: "substr", Type: cty.String}, {Name: "replace", Type: cty.String}},
	Type:        function.StaticReturnType(cty.String),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		text, old, with := args[0].AsString(), args[1].AsString(), args[2].AsString()
		if len(old) < 2 || old[0] != '/' || old[len(old)-1] != '/' {
			return cty.StringVal(strings.ReplaceAll(text, old, with)), nil
		}
		re, err := regexp.Compile(old[1 : len(old)-1])
		if err != nil {
			return cty.NilVal, function.NewArgError(1, err)
		}
		return cty.StringVal(re.ReplaceAllString(text, with)), nil
	},
})

// toFunc is a function that converts to a type.
func toFunc(want cty.Type) function.Function {
	return function.New(&function.Spec{
		Description: "The value converted to " + want.FriendlyNameForConstraint() + ".",
		Params:      []function.Parameter{{Name: "v", Type: cty.DynamicPseudoType, AllowNull: true, AllowMarked: true, AllowDynamicType: true, AllowUnknown: true}},
		Type: func(args []cty.Value) (cty.Type, error) {
			if args[0].Type().Equals(want) || args[0].Type() == cty.Number && want == cty.String {
				return want, nil
			}
			if t, ok := uniform(args[0].Type(), want); ok {
				return t, nil
			}
			v, err := convert.Convert(args[0], want)
			if err != nil {
				return cty.NilType, function.NewArgErrorf(0, "%s", conversionError(err))
			}
			return v.Type(), nil
		},
		Impl: func(args []cty.Value, t cty.Type) (cty.Value, error) {
			if text, ok := wholeText(args[0], t); ok {
				return text, nil
			}
			v, err := convert.Convert(args[0], t)
			if err != nil {
				return cty.NilVal, function.NewArgErrorf(0, "%s", conversionError(err))
			}
			return v, nil
		},
	})
}

// wholeText is a whole number as text. The library's way, which holds for all numbers, takes
// a hundred times as long, and configurations count in whole numbers.
func wholeText(v cty.Value, want cty.Type) (cty.Value, bool) {
	if want != cty.String || v.Type() != cty.Number || v.IsMarked() || !v.IsKnown() || v.IsNull() {
		return cty.NilVal, false
	}
	n, accuracy := v.AsBigFloat().Int64()
	if accuracy != big.Exact || n == 0 {
		return cty.NilVal, false
	}
	return cty.StringVal(strconv.FormatInt(n, 10)), true
}

// uniform is the collection type that elements of one type make. It spares finding a
// common type for them, which the library does by comparing each with each.
func uniform(from, want cty.Type) (cty.Type, bool) {
	var types []cty.Type
	switch {
	case from.IsTupleType() && (want.IsListType() || want.IsSetType()):
		types = from.TupleElementTypes()
	case from.IsObjectType() && want.IsMapType():
		types = slices.Collect(maps.Values(from.AttributeTypes()))
	}
	if len(types) == 0 || types[0].HasDynamicTypes() {
		return cty.NilType, false
	}
	for _, t := range types[1:] {
		if !t.Equals(types[0]) {
			return cty.NilType, false
		}
	}
	switch {
	case want.IsListType():
		return cty.List(types[0]), true
	case want.IsSetType():
		return cty.Set(types[0]), true
	}
	return cty.Map(types[0]), true
}

// markFunc is a function that changes whether a value is sensitive.
func markFunc(doc string, change func(cty.Value) cty.Value) function.Function {
	return function.New(&function.Spec{
		Description: doc,
		Params:      []function.Parameter{{Name: "value", Type: cty.DynamicPseudoType, AllowNull: true, AllowMarked: true, AllowDynamicType: true, AllowUnknown: true}},
		Type:        func(args []cty.Value) (cty.Type, error) { return args[0].Type(), nil },
		Impl:        func(args []cty.Value, _ cty.Type) (cty.Value, error) { return change(args[0]), nil },
	})
}

var (
	sensitiveFunc = markFunc("The value, not to be shown.", func(v cty.Value) cty.Value { return v.Mark(sensitiveMark{}) })

	nonsensitiveFunc = markFunc("The value, although it comes from something sensitive.", func(v cty.Value) cty.Value {
		v, marks := v.Unmark()
		delete(marks, sensitiveMark{})
		return v.WithMarks(marks)
	})

	isSensitiveFunc = function.New(&function.Spec{
		Description: "Whether the value comes from something sensitive.",
		Params:      []function.Parameter{{Name: "value", Type: cty.DynamicPseudoType, AllowNull: true, AllowMarked: true, AllowDynamicType: true, AllowUnknown: true}},
		Type:        function.StaticReturnType(cty.Bool),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			return cty.BoolVal(hasTopMark(args[0], sensitiveMark{})), nil
		},
	})
)

// templateFileFunc renders a file as a template.
func templateFileFunc(dir string, funcs map[string]function.Function) function.Function {
	return templateFunc("The text of a file with the template in it filled in from the variables.", "path", funcs, func(path string) (string, string, error) {
		full := path
		if !filepath.IsAbs(path) {
			full = filepath.Join(dir, path)
		}
		src, err := os.ReadFile(full)
		if err != nil {
			return "", path, fmt.Errorf("reading %s: %w", path, cause(err))
		}
		if !utf8.Valid(src) {
			return "", path, fmt.Errorf("%s is not UTF-8 text", path)
		}
		return string(src), path, nil
	})
}

// templateStringFunc renders a text as a template.
func templateStringFunc(funcs map[string]function.Function) function.Function {
	return templateFunc("A text with the template in it filled in from the variables.", "template", funcs, func(text string) (string, string, error) {
		return text, "<template>", nil
	})
}

// templateFunc renders what source finds for the first argument, with the variables of the
// second.
func templateFunc(doc, param string, funcs map[string]function.Function, source func(string) (text, name string, err error)) function.Function {
	render := func(args []cty.Value) (cty.Value, error) {
		text, name, err := source(args[0].AsString())
		if err != nil {
			return cty.NilVal, function.NewArgError(0, err)
		}
		if problem := tooDeep([]byte(text), name, hclsyntax.LexTemplate); problem != nil {
			return cty.NilVal, function.NewArgError(0, problem)
		}
		expr, diags := hclsyntax.ParseTemplate([]byte(text), name, hcl.InitialPos)
		if diags.HasErrors() {
			return cty.NilVal, function.NewArgError(0, diags)
		}
		vars := map[string]cty.Value{}
		for it := args[1].ElementIterator(); it.Next(); {
			k, v := it.Element()
			vars[k.AsString()] = v
		}
		for _, t := range expr.Variables() {
			if _, ok := vars[t.RootName()]; !ok {
				hint := didYouMean(t.RootName(), sortedNames(vars), "There is")
				if hint != "" {
					hint = "." + strings.TrimRight(hint, ".?") // whoever reports it ends the sentence
				}
				return cty.NilVal, function.NewArgErrorf(1, "the template uses %q at %s, which is not among the variables%s", t.RootName(), place(t.SourceRange()), hint)
			}
		}
		v, diags := expr.Value(&hcl.EvalContext{Variables: vars, Functions: funcs})
		if diags.HasErrors() {
			return cty.NilVal, function.NewArgError(0, diags)
		}
		return v, nil
	}
	return function.New(&function.Spec{
		Description: doc,
		Params:      []function.Parameter{{Name: param, Type: cty.String}, {Name: "vars", Type: cty.DynamicPseudoType}},
		Type: func(args []cty.Value) (cty.Type, error) {
			if !args[0].IsKnown() || !args[1].IsKnown() {
				return cty.DynamicPseudoType, nil
			}
			if t := args[1].Type(); !t.IsObjectType() && !t.IsMapType() {
				return cty.NilType, function.NewArgErrorf(1, "the variables are a map, as in { name = \"a\" }")
			}
			v, err := render(args)
			return v.Type(), err
		},
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) { return render(args) },
	})
}

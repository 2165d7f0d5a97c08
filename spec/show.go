package spec

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// shortValue is a value in a message: a literal if it is short, else what it is.
func shortValue(v cty.Value) string {
	if v.IsMarked() {
		if hasTopMark(v, sensitiveMark{}) {
			return "(sensitive value)"
		}
		v, _ = v.Unmark()
	}
	t := v.Type()
	switch {
	case !v.IsKnown():
		return "not known yet"
	case v.IsNull():
		return "null"
	case t == cty.String:
		return strconv.Quote(v.AsString())
	case t == cty.Bool:
		return strconv.FormatBool(v.True())
	case t == cty.Number:
		return v.AsBigFloat().Text('g', 15)
	case t.IsObjectType():
		if address, ok := addressOf(v); ok {
			return string(address)
		}
		return counted("object", "attribute", len(t.AttributeTypes()))
	case t.IsTupleType() || t.IsCollectionType():
		return counted(t.FriendlyName(), "element", v.LengthInt())
	}
	return t.FriendlyName()
}

// counted says how many elements there are in something.
func counted(what, element string, n int) string {
	switch n {
	case 0:
		return "an empty " + what
	case 1:
		return what + " with 1 " + element
	}
	return fmt.Sprintf("%s with %d %ss", what, n, element)
}

// describe is what a value is, in a sentence: the text "front", the number 3.
func describe(v cty.Value) string {
	if hasMark(v, sensitiveMark{}) {
		return "(sensitive)"
	}
	v, _ = v.Unmark()
	switch t := v.Type(); {
	case v.IsNull():
		return "null"
	case t == cty.String && v.IsKnown():
		return "the text " + strconv.Quote(v.AsString())
	case t == cty.Number && v.IsKnown():
		return "the number " + shortValue(v)
	case t == cty.Bool && v.IsKnown():
		return shortValue(v)
	case t.IsObjectType() || t.IsTupleType():
		return withArticle(shortValue(v))
	}
	return withArticle(v.Type().FriendlyName())
}

// withArticle puts a or an before what has none.
func withArticle(s string) string {
	switch {
	case s == "", strings.HasPrefix(s, "an "), strings.HasPrefix(s, "a "):
		return s
	case strings.ContainsRune("aeiou", rune(s[0])):
		return "an " + s
	}
	return "a " + s
}

// traversalText is a reference as it was written: sandbox.web["a"].name.
func traversalText(t hcl.Traversal) string {
	var b strings.Builder
	for _, step := range t {
		switch s := step.(type) {
		case hcl.TraverseRoot:
			b.WriteString(s.Name)
		case hcl.TraverseAttr:
			b.WriteString("." + s.Name)
		case hcl.TraverseIndex:
			b.WriteString("[" + shortValue(s.Key) + "]")
		}
	}
	return b.String()
}

package spec

import (
	"strings"

	ctyyaml "github.com/zclconf/go-cty-yaml"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	ctyjson "github.com/zclconf/go-cty/cty/json"
)

// The decoders call themselves for each level of what they read, as the parser does, and take
// time with the square of it. YAML's aliases make of a short text a value of any size.
const mostAliased = 1_000_000 // values in a YAML text with its aliases written out

var jsonDecodeFunc = decodeFunc("The value that a JSON text stands for.", func(text string) (cty.Type, error) {
	if jsonDepth(text) > deepest {
		return cty.NilType, function.NewArgErrorf(0, "more than %d lists and objects inside each other", deepest)
	}
	return ctyjson.ImpliedType([]byte(text))
}, ctyjson.Unmarshal)

var yamlDecodeFunc = decodeFunc("The value that a YAML text stands for.", func(text string) (cty.Type, error) {
	if yamlDepth(text) > deepest {
		return cty.NilType, function.NewArgErrorf(0, "more than %d lists and mappings inside each other", deepest)
	}
	t, err := ctyyaml.Standard.ImpliedType([]byte(text))
	if err == nil && strings.Contains(text, "*") && countValues(t, mostAliased) < 0 {
		return cty.NilType, function.NewArgErrorf(0, "its aliases stand for more than %d values", mostAliased)
	}
	return t, err
}, ctyyaml.Standard.Unmarshal)

// decodeFunc is a function that makes a value of a text; of which type, the text says.
func decodeFunc(doc string, typeOf func(text string) (cty.Type, error), decode func([]byte, cty.Type) (cty.Value, error)) function.Function {
	return function.New(&function.Spec{
		Description: doc,
		Params:      []function.Parameter{{Name: "str", Type: cty.String}},
		Type: func(args []cty.Value) (cty.Type, error) {
			if !args[0].IsKnown() {
				return cty.DynamicPseudoType, nil
			}
			return typeOf(args[0].AsString())
		},
		Impl: func(args []cty.Value, t cty.Type) (cty.Value, error) {
			return decode([]byte(args[0].AsString()), t)
		},
	})
}

// jsonDepth is how many brackets of a JSON text are inside each other.
func jsonDepth(text string) int {
	depth, most := 0, 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			i = endOfQuoted(text, i)
		case '[', '{':
			depth++
			most = max(most, depth)
		case ']', '}':
			depth--
		}
	}
	return most
}

// yamlDepth is about how many lists and mappings of a YAML text are inside each other, and
// never far below. A bracket opens one only where a value may begin, so that those in texts are
// hardly counted; what needs no bracket is further to the right by a column at least.
func yamlDepth(text string) int {
	depth, most := 0, 0
	column, lead, begins := 0, true, true // lead: nothing but blanks and dashes in the line yet
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '\n':
			column, lead, begins = 0, true, true
			continue
		case lead && strings.IndexByte(" \t-?", c) >= 0:
			column++
			most = max(most, column/2)
			continue
		case c == ' ' || c == '\t':
			continue
		case c == '[' || c == '{':
			if begins {
				depth++
				most = max(most, depth)
			}
		case c == ']' || c == '}':
			depth, begins = max(depth-1, 0), false
		case c == ',' || c == ':':
			begins = true
		case begins && (c == '&' || c == '!'): // an anchor or a tag: the value follows
			i += max(strings.IndexAny(text[i:], " \n")-1, 0)
		case begins && (c == '"' || c == '\''):
			i, begins = endOfQuoted(text, i), false
		default:
			begins = false
		}
		lead = false
	}
	return most
}

// endOfQuoted is where the quoted text ends that begins at i.
func endOfQuoted(text string, i int) int {
	quote := text[i]
	for i++; i < len(text) && text[i] != quote; i++ {
		if text[i] == '\\' && quote == '"' {
			i++
		}
	}
	return i
}

// countValues is the number of values in one of the type, at least, -1 for more than most.
func countValues(t cty.Type, most int) int {
	n := 1
	count := func(t cty.Type) bool {
		inside := countValues(t, most-n)
		n += inside
		return inside >= 0 && n <= most
	}
	switch {
	case t.IsTupleType():
		for _, e := range t.TupleElementTypes() {
			if !count(e) {
				return -1
			}
		}
	case t.IsObjectType():
		for _, e := range t.AttributeTypes() {
			if !count(e) {
				return -1
			}
		}
	}
	return n
}

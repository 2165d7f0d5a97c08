package planner

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"
)

// knownLater stands for what a plugin is still to give.
const knownLater = "(known after apply)"

// outputs shows the root outputs that change.
func (out *printer) outputs() {
	changes := out.plan.Outputs
	if len(changes) == 0 {
		return
	}
	if len(out.plan.Resources) > 0 {
		out.put("\n")
	}
	out.put("Changes to Outputs:\n")
	width := 0
	for _, c := range changes {
		width = max(width, len(c.Name))
	}
	for _, c := range changes {
		out.output(c, pad(c.Name, width)+" = ")
	}
	if len(out.plan.Resources) == 0 && !out.plan.Destroy {
		out.put("\nYou can apply this plan to save these new output values, without changing the network.\n")
	}
}

// output writes one output that changes.
func (out *printer) output(c OutputChange, label string) {
	if !c.sensitive() {
		out.change(3, label, decodeValue(c.Before), decodeValue(c.After), toNull)
		return
	}
	shown := func(o *state.Output) any {
		if o == nil {
			return absent{}
		}
		return verbatim(state.HiddenValue)
	}
	out.change(3, label, shown(c.Before), shown(c.After), toNull)
}

// verbatim is a text in the place of a value.
type verbatim string

// What follows a value: nothing in what comes or goes as a whole, a comma in a list.
const (
	toNull = " -> null" // of what goes
	comma  = ","
)

// change writes a value that comes, goes or changes: of objects and lists only what does.
func (out *printer) change(indent int, label string, from, to any, end string) {
	symbol := tilde
	switch {
	case isAbsent(from):
		symbol = plus
	case isAbsent(to):
		symbol = minus
	}
	if end == toNull && symbol != minus {
		end = ""
	} else if end == toNull {
		end = out.paint(faint, toNull)
	}
	switch a, b := asObject(from, to), asList(from, to); {
	case a != nil:
		out.open(indent, symbol, label+"{")
		out.members(indent, a[0], a[1])
		out.put(blanks(indent+1), "}", end, "\n")
	case b != nil:
		out.open(indent, symbol, label+"[")
		out.elements(indent, b[0], b[1])
		out.put(blanks(indent+1), "]", end, "\n")
	case symbol == tilde:
		out.open(indent, symbol, label+valueText(from)+out.paint(yellow, " -> ")+valueText(to)+end)
	case symbol == plus:
		out.open(indent, symbol, label+valueText(to)+end)
	default:
		out.open(indent, symbol, label+valueText(from)+end)
	}
}

func (out *printer) open(indent int, symbol, text string) {
	out.gutter(indent, symbol)
	out.put(text, "\n")
}

// members writes which members of an object change.
func (out *printer) members(indent int, from, to map[string]any) {
	names := slices.Sorted(maps.Keys(to))
	for name := range from {
		if _, stays := to[name]; !stays {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	changed := slices.DeleteFunc(slices.Clone(names), func(n string) bool {
		_, was := from[n]
		_, is := to[n]
		return was && is && compact(from[n]) == compact(to[n])
	})
	width := 0
	for _, n := range changed {
		width = max(width, len(memberName(n)))
	}
	end := toNull
	if to == nil {
		end = ""
	}
	for _, n := range changed {
		out.change(indent+4, pad(memberName(n), width)+" = ", member(from, n), member(to, n), end)
	}
	out.unchanged(indent, len(names)-len(changed), "attribute")
}

func member(of map[string]any, name string) any {
	if v, ok := of[name]; ok {
		return v
	}
	return absent{}
}

// elements writes which elements of a list come and go.
func (out *printer) elements(indent int, from, to []any) {
	texts := func(list []any) []string {
		all := make([]string, len(list))
		for i, v := range list {
			all[i] = compact(v)
		}
		return all
	}
	same, i, j := 0, 0, 0
	for _, e := range diffTexts(texts(from), texts(to)) {
		switch e.sign {
		case '-':
			out.change(indent+4, "", from[i], absent{}, comma)
			i++
		case '+':
			out.change(indent+4, "", absent{}, to[j], comma)
			j++
		default:
			same, i, j = same+1, i+1, j+1
		}
	}
	out.unchanged(indent, same, "element")
}

func (out *printer) unchanged(indent, n int, what string) {
	if n > 0 {
		out.put(blanks(indent+5), out.paint(faint, "# ("+plural(n, "unchanged "+what)+" hidden)"), "\n")
	}
}

// asObject are two values as objects, if both are, or one is and the other is absent.
func asObject(from, to any) *[2]map[string]any {
	a, isA := from.(map[string]any)
	b, isB := to.(map[string]any)
	if isA && isB || isA && isAbsent(to) || isB && isAbsent(from) {
		return &[2]map[string]any{a, b}
	}
	return nil
}

// asList are two values as lists, likewise.
func asList(from, to any) *[2][]any {
	a, isA := from.([]any)
	b, isB := to.([]any)
	if isA && isB || isA && isAbsent(to) || isB && isAbsent(from) {
		return &[2][]any{a, b}
	}
	return nil
}

func isAbsent(v any) bool {
	_, is := v.(absent)
	return is
}

// compact is a value in one text, for comparing.
func compact(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic("planner: value of an output: " + err.Error())
	}
	return string(text)
}

// valueText is a value in one line, as one writes it in the language.
func valueText(v any) string {
	switch v := v.(type) {
	case verbatim:
		return string(v)
	case string:
		if isOpen(v) {
			return knownLater
		}
		return strings.TrimSpace(string(hclwrite.TokensForValue(cty.StringVal(v)).Bytes()))
	case map[string]any:
		parts := make([]string, 0, len(v))
		for _, name := range slices.Sorted(maps.Keys(v)) {
			parts = append(parts, memberName(name)+" = "+valueText(v[name]))
		}
		return "{ " + strings.Join(parts, ", ") + " }"
	case []any:
		parts := make([]string, len(v))
		for i, e := range v {
			parts[i] = valueText(e)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	return compact(v) // a number, a bool or null
}

// memberName is the name of an object's member as one writes it.
func memberName(name string) string {
	if hclsyntax.ValidIdentifier(name) {
		return name
	}
	return strings.TrimSpace(string(hclwrite.TokensForValue(cty.StringVal(name)).Bytes()))
}

func blanks(n int) string { return strings.Repeat(" ", n) }

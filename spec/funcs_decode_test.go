package spec

import (
	"fmt"
	"strings"
	"testing"

	"github.com/zclconf/go-cty/cty"
)

// Texts that decode to something nested or repeated beyond all measure are refused at once,
// and nothing that a person or a program writes is.
func TestDecodeDepth(t *testing.T) {
	nested := func(open, end string) string {
		return strings.Repeat(open, 100_000) + "1" + strings.Repeat(end, 100_000)
	}
	var indents, aliases strings.Builder
	aliases.WriteString("a: &a0 [1]\n")
	for i := range 2000 {
		fmt.Fprintf(&indents, "%*s:\n", i+1, "a")
	}
	for i := range 64 {
		fmt.Fprintf(&aliases, "b%d: &a%d [*a%d, *a%d]\n", i, i+1, i, i)
	}
	funcs := Functions(".")
	for name, c := range map[string]struct{ function, text, want string }{
		"json lists":      {"jsondecode", nested("[", "]"), "more than 500 lists"},
		"json objects":    {"jsondecode", nested(`{"a\"]":`, "}"), "more than 500 lists"},
		"open json":       {"jsondecode", strings.Repeat("[", 100_000), "more than 500 lists"},
		"yaml lists":      {"yamldecode", nested("[", "]"), "more than 500 lists"},
		"yaml mappings":   {"yamldecode", nested("{a: &x {!t a: ", "}}"), "more than 500 lists"},
		"yaml quotes":     {"yamldecode", nested(`["]", ']', `, "]"), "more than 500 lists"},
		"yaml dashes":     {"yamldecode", nested("- ", ""), "more than 500 lists"},
		"yaml keys":       {"yamldecode", nested("? ", ""), "more than 500 lists"},
		"yaml indents":    {"yamldecode", indents.String(), "more than 500 lists"},
		"yaml aliases":    {"yamldecode", aliases.String(), "its aliases stand for more than"},
		"long json":       {"jsondecode", "[" + strings.Repeat(`{"a":[["x"],[-1]]},`, 5000) + "1]", ""},
		"long yaml":       {"yamldecode", strings.Repeat("- a: [[x], [-1]]\n  b:\n  - c\n", 5000), ""},
		"yaml alias":      {"yamldecode", "a: &a [1, 2]\nb: [*a, *a, {c: *a}]\n", ""},
		"texts in json":   {"jsondecode", `["` + strings.Repeat(`[{\"`, 5000) + `"]`, ""},
		"texts in yaml":   {"yamldecode", strings.Repeat("- \"[{'[\"\n- a[[b]\n- '[\"{'\n", 5000), ""},
		"a page in yaml":  {"yamldecode", "a: |\n" + strings.Repeat("  x[1mnot {closed [ - ? : & !\n", 5000), ""},
		"neither of them": {"yamldecode", "\"[", "unexpected end"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := funcs[c.function].Call([]cty.Value{cty.StringVal(c.text)})
			if said := fmt.Sprint(err); (err != nil) != (c.want != "") || !strings.Contains(said, c.want) {
				t.Errorf("says %.300s, want %q", said, c.want)
			}
		})
	}
}

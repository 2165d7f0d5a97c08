package spec

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is nested beyond all measure is refused at once, wherever it is written, and nothing
// that a person or a program writes is.
func TestDepth(t *testing.T) {
	nested := func(open, core, end string) string {
		return strings.Repeat(open, 100_000) + core + strings.Repeat(end, 100_000)
	}
	for name, c := range map[string]struct {
		file, text, want string
	}{
		"lists":         {"x.hcl", "locals {\n  x = " + nested("[", "", "]") + "\n}\n", "Nested too deeply"},
		"parentheses":   {"x.hcl", "locals {\n  x = " + nested("(\n", "1", ")") + "\n}\n", "Nested too deeply"},
		"blocks":        {"x.hcl", nested("a {\n", "", "}\n"), "Nested too deeply"},
		"templates":     {"x.hcl", "locals {\n  x = " + nested(`"${`, "1", `}"`) + "\n}\n", "Nested too deeply"},
		"operands":      {"x.hcl", "locals {\n  x = " + strings.Repeat("1+", 100_000) + "1\n}\n", "Expression too long"},
		"signs":         {"x.hcl", "locals {\n  x = " + strings.Repeat("!", 100_000) + "true\n}\n", "Expression too long"},
		"json":          {"x.hcl.json", `{"locals": {"x": ` + nested("[", "", "]") + "}}", "Nested too deeply"},
		"json objects":  {"x.hcl.json", `{"locals": {"x": ` + nested(`{"a":`, "1", "}") + "}}", "Nested too deeply"},
		"open json":     {"x.hcl.json", `{"locals": {"x": ` + strings.Repeat(`{"a":`, 100_000), "Nested too deeply"},
		"json strings":  {"x.hcl.json", `{"locals": {"x": "${` + nested("[", "", "]") + `}"}}`, "Nested too deeply"},
		"a template":    {"x.hcl", "locals {\n  x = templatestring(join(\"\", [\"$\", \"{\", join(\"\", [for i in range(10000) : \"(\"])]), {})\n}\n", "Nested too deeply"},
		"a long list":   {"x.hcl", "locals {\n  x = [" + strings.Repeat("[1], -2, ", 50_000) + "]\n}\n", ""},
		"a long text":   {"x.hcl", "locals {\n  x = \"" + strings.Repeat("[({+-", 50_000) + "\"\n}\n", ""},
		"a long page":   {"x.hcl", "locals {\n  x = <<EOT\n" + strings.Repeat("${1} and ${2}\n", 10_000) + "EOT\n}\n", ""},
		"a comment":     {"x.hcl", "# " + strings.Repeat("[({+-", 50_000) + "\n", ""},
		"minified json": {"x.hcl.json", `{"locals": {"x": [` + strings.Repeat(`{"a":[1,2]},`, 50_000) + `1]}}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, c.file), []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			config, diags := Load(dir, Options{})
			if !diags.HasErrors() {
				_, diags = config.Evaluate(testAllocator{})
			}
			if said := fmt.Sprint(diags.Error()); diags.HasErrors() != (c.want != "") || !strings.Contains(said, c.want) {
				t.Errorf("says %.300s, want %q", said, c.want)
			}
		})
	}
}

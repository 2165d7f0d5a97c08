package spec

import (
	"testing"
)

func TestFormat(t *testing.T) {
	for name, c := range map[string]struct{ src, want string }{
		"alignment":    {"network \"a\" {\nmtu=1500\ndriver = \"bridge\"\n}\n", "network \"a\" {\n  mtu    = 1500\n  driver = \"bridge\"\n}\n"},
		"unwrap":       {"a = \"${var.x}\"\n", "a = var.x\n"},
		"unwrap twice": {"a = \"${\"${var.x}\"}\"\n", "a = var.x\n"},
		"keep two":     {"a = \"${var.x}${var.y}\"\n", "a = \"${var.x}${var.y}\"\n"},
		"keep text":    {"a = \"x${var.x}\"\n", "a = \"x${var.x}\"\n"},
		"nested":       {"a = \"${upper(\"x${var.y}z\")}\"\n", "a = upper(\"x${var.y}z\")\n"},
		"call":         {"a = \"${ join(\",\", [\"a\",\"${var.b}\"]) }\"\n", "a = join(\",\", [\"a\", \"${var.b}\"])\n"},
		"labels":       {"network front {}\n", "network \"front\" {}\n"},
		"comments":     {"# one\na = 1 # two\n", "# one\na = 1 # two\n"},
		"heredoc":      {"a = <<-EOT\n  x ${b}\n  EOT\n", "a = <<-EOT\n  x ${b}\n  EOT\n"},
		"inner block":  {"a \"b\" {\nc  {\n d=\"${e}\"\n}\n}\n", "a \"b\" {\n  c {\n    d = e\n  }\n}\n"},
		"strip":        {"a = \"${~ b ~}\"\n", "a = \"${~b~}\"\n"},
		"lines":        {"a = \"${b &&\n c}\"\n", "a = (b &&\nc)\n"},
	} {
		got, diags := Format([]byte(c.src), "main.hcl")
		if diags.HasErrors() {
			t.Errorf("%s: %s", name, diags)
		}
		if string(got) != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, c.want)
		}
	}
	if out, diags := Format([]byte("a = {"), "main.hcl"); !diags.HasErrors() || string(out) != "a = {" {
		t.Error("a file that does not parse must be reported and left alone")
	}
}

func FuzzFormat(f *testing.F) {
	f.Add([]byte("a = \"${var.x}\"\n"))
	f.Add([]byte("network front {\nmtu=1500 # x\n}\n"))
	f.Add([]byte("a = \"${b &&\n c # d\n}\"\n"))
	f.Fuzz(func(t *testing.T, src []byte) {
		once, diags := Format(src, "main.hcl")
		if diags.HasErrors() {
			return
		}
		twice, diags := Format(once, "main.hcl")
		if diags.HasErrors() {
			t.Fatalf("formatting made %q, which does not parse: %s", once, diags)
		}
		if string(once) != string(twice) {
			t.Fatalf("formatting %q gives %q, and again %q", src, once, twice)
		}
	})
}

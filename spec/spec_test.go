package spec

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/rogpeppe/go-internal/txtar"
	"github.com/zclconf/go-cty/cty"
)

// write puts the files of a txtar archive into a new folder called stack.
func write(t testing.TB, archive string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "shop")
	for _, f := range txtar.Parse([]byte(archive)).Files {
		path := filepath.Join(dir, f.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// evaluate loads and evaluates, and fails the test on diagnostics.
func evaluate(t testing.TB, archive string, vars ...VarFlag) (*Config, *Topology) {
	t.Helper()
	c, diags := Load(write(t, archive), Options{Drivers: testDrivers(), Vars: vars, WorkDir: "/cwd"})
	if !diags.HasErrors() {
		var top *Topology
		if top, diags = c.Evaluate(testAllocator{}); len(diags) == 0 {
			return c, top
		}
	}
	t.Fatal(rendered(c, diags))
	return nil, nil
}

// rendered is what a user would see.
func rendered(c *Config, diags hcl.Diagnostics) string {
	var b bytes.Buffer
	if err := WriteDiagnostics(&b, diags, c.Files(), 0, false); err != nil {
		return err.Error()
	}
	return b.String()
}

// value evaluates an expression after everything else.
func value(t testing.TB, c *Config, expr string) cty.Value {
	t.Helper()
	v, _, diags := c.Eval(expr)
	if diags.HasErrors() {
		t.Fatalf("%s: %s", expr, rendered(c, diags))
	}
	return v
}

func TestDesign(t *testing.T) {
	c, top := evaluate(t, `
-- main.hcl --
variable "web_count" {
  type    = number
  default = 2
}
host "a" { vtep = "10.99.0.10" }
network "front" {
  subnet { cidr = "10.1.0.0/24" }
  bridge { icc = false }
}
network "back" {
  ipv6 = true
}
sandbox "web" {
  for_each = toset([for i in range(var.web_count) : "w${i}"])
  host     = "a"
}
endpoint "web" {
  for_each = sandbox.web
  network  = network.front
  sandbox  = each.value
  bridge {
    publish { port = 8080 + index(keys(sandbox.web), each.key) }
  }
}
endpoint "db" {
  network = network.back
  aliases = ["database", endpoint.web["w0"].ipv4 == null ? "x" : "y"]
}
sandbox "gw" {
  host = "a"
  route {
    to  = "default"
    via = endpoint.web["w1"].ipv4
  }
}
output "addresses" { value = { for k, e in endpoint.web : k => e.ipv4 } }
`)
	want := cty.ObjectVal(map[string]cty.Value{"w0": cty.StringVal("10.1.0.2"), "w1": cty.StringVal("10.1.0.3")})
	if got := top.Outputs[0].Value; !got.RawEquals(want) {
		t.Errorf("addresses are %#v", got)
	}
	if got := top.Sandboxes[0].Routes[0].Via.String(); got != "10.1.0.3" {
		t.Errorf("route via %s", got)
	}
	if diff := cmp.Diff([]string{"y"}, top.Endpoints[0].Aliases[1:]); diff != "" {
		t.Error(diff)
	}
	if got := string(top.Endpoints[2].Options["publish"]); got != `[{"port":8081}]` {
		t.Errorf("publish is %s", got)
	}
	if got := value(t, c, `network.back.cidr_ipv6`).AsString(); got != "fd00::/64" {
		t.Errorf("cidr_ipv6 is %s", got)
	}
	if got := top.Sandboxes[1].Netns; got != "shop-web-w0" {
		t.Errorf("netns is %s", got)
	}
}

// What keys make of names can be written as a name.
func TestNamesOfKeys(t *testing.T) {
	_, top := evaluate(t, `
-- main.hcl --
network "n" {}
endpoint "e" {
  for_each = toset(["a*", "b.", "c"])
  network  = network.n
}
`)
	var names []string
	for _, e := range top.Endpoints {
		names = append(names, e.Name)
	}
	if diff := cmp.Diff([]string{"e-a", "e-b", "e-c"}, names); diff != "" {
		t.Error(diff)
	}
}

// A set is a set, however it is made: each key once, in order.
func TestTosetOfTexts(t *testing.T) {
	for list, want := range map[string]string{
		`["b", "a", "b"]`:                  `sandbox.x["a"] sandbox.x["b"]`,
		`[for s in ["b", "a"] : upper(s)]`: `sandbox.x["A"] sandbox.x["B"]`,
		`[]`:                               ``,
		`concat(["z"], ["y"])`:             `sandbox.x["y"] sandbox.x["z"]`,
		`toset(["n", "m"])`:                `sandbox.x["m"] sandbox.x["n"]`,
		`[for n in [2, 10] : tostring(n)]`: `sandbox.x["2"] sandbox.x["10"]`,
		`["b", 1]`:                         `sandbox.x["1"] sandbox.x["b"]`,
	} {
		_, top := evaluate(t, "-- main.hcl --\nsandbox \"x\" {\n  for_each = toset("+list+")\n}\n")
		var got []string
		for _, s := range top.Sandboxes {
			got = append(got, string(s.Sandbox.Mark.Address))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", list, got, want)
		}
	}
}

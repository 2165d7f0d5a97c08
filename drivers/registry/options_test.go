package registry_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cnmctl/cnmctl/drivers"
	"github.com/cnmctl/cnmctl/drivers/registry"
	"github.com/cnmctl/cnmctl/planner"
	"github.com/cnmctl/cnmctl/spec"
	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// TestBadValues walks all that can be written in a configuration, and holds each option to
// this: a value of another type, and each of its bad values, is an error at its line.
func TestBadValues(t *testing.T) {
	seen := map[string]bool{}
	var walk func(path []string, s *spec.Schema)
	walk = func(path []string, s *spec.Schema) {
		where := strings.Join(path, ".")
		t.Run(where, func(t *testing.T) {
			if len(s.Attrs) == 0 {
				return
			}
			if diags := bodyWith(where, "").diagnose(t); diags.HasErrors() {
				t.Fatalf("the block is wrong without a bad value: %v\n%s", diags, bodyWith(where, "").text)
			}
			for i := range s.Attrs {
				name := where + "." + s.Attrs[i].Name
				seen[name] = true
				checkBadValues(t, where, &s.Attrs[i], badValues[name])
			}
		})
		for i := range s.Blocks {
			walk(append(slices.Clone(path), s.Blocks[i].Name), &s.Blocks[i].Schema)
		}
	}
	blocks := spec.Blocks(registry.Schemas())
	for i := range blocks {
		walk([]string{blocks[i].Name}, &blocks[i].Schema)
	}
	for name := range badValues {
		if !seen[name] {
			t.Errorf("there is no option %s", name)
		}
	}
}

func checkBadValues(t *testing.T, where string, a *spec.AttrSchema, bad []string) {
	if len(bad) == 0 && a.Type != cty.Bool {
		t.Errorf("%s.%s has no bad value: add one to badValues, or free where every value of its type is good", where, a.Name)
	}
	for _, value := range append(ofAnotherType(a), bad...) {
		if value == free {
			continue
		}
		c := bodyWith(where, a.Name+" = "+value)
		diags := c.diagnose(t)
		if !slices.ContainsFunc(diags, c.at) {
			t.Errorf("%s.%s = %s: no error at line %d of\n%s\n%v", where, a.Name, value, c.line, c.text, diags)
		}
	}
}

// ofAnotherType is a value that cannot be the attribute's.
func ofAnotherType(a *spec.AttrSchema) []string {
	switch {
	case a.Ref != "":
		return []string{`"text"`, "null.none"}
	case a.Type == cty.DynamicPseudoType:
		return nil // see badValues
	case a.Type == cty.String:
		return []string{`["list"]`}
	case a.Type == cty.Bool:
		return []string{`"perhaps"`, "{}", "[true]"}
	case a.Type == cty.Number:
		return []string{`"many"`, "[]", "true"}
	case a.Type.IsListType():
		return []string{`{ a = "b" }`, "true", "[null]", "[[]]"}
	case a.Type.IsMapType():
		return []string{`["list"]`, "5", "{ a = null }", "{ a = [] }"}
	}
	return []string{"{}"}
}

// configuration is a text with a bad value in one of its lines.
type configuration struct {
	text string
	line int
}

// bodyWith is a configuration around the block at a path, in which a line stands for the
// one of usual that is about the same attribute.
func bodyWith(path, line string) configuration {
	c := configuration{}
	write := func(text string) { c.text += text + "\n" }
	parts := strings.Split(path, ".")
	for depth, name := range parts {
		at := strings.Join(parts[:depth+1], ".")
		write(name + labels[at] + " {")
		attribute, _, _ := strings.Cut(line, " ")
		for _, l := range usual(at, path) {
			if of, _, _ := strings.Cut(l, " "); depth < len(parts)-1 || of != attribute {
				write(l)
			}
		}
	}
	if line != "" {
		write(line)
		c.line = strings.Count(c.text, "\n")
	}
	for range parts {
		write("}")
	}
	around := surroundings(path)
	c.text += around
	return c
}

// at reports an error about the line.
func (c configuration) at(d *hcl.Diagnostic) bool {
	return d.Severity == hcl.DiagError && d.Subject != nil && d.Subject.Filename == "main.hcl" && d.Subject.Start.Line == c.line
}

// diagnose is what is said of the configuration. Nothing may panic over it.
func (c configuration) diagnose(t *testing.T) hcl.Diagnostics {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"main.hcl": c.text, "mod/main.hcl": "variable \"v\" {\n  default = 1\n}\n"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	config, diags := spec.Load(".", spec.Options{Drivers: registry.Schemas(), Version: "1.0.0"})
	_, settings := config.Settings()
	diags = append(diags, settings...)
	topology, more := config.Evaluate(planner.NewAllocator(registry.Traits(), planner.Held{}))
	diags = append(diags, more...)
	return append(diags, drivers.Validate(topology, registry.All())...)
}

// labels are those of blocks that have some.
var labels = map[string]string{
	"cnm.store": ` "consul"`, "variable": ` "x"`, "output": ` "x"`, "module": ` "x"`, "network": ` "x"`,
	"sandbox": ` "x"`, "endpoint": ` "x"`, "host": ` "x"`, "policy": ` "x"`,
}

// usual are the lines that a block needs, for the block at path.
func usual(at, path string) []string {
	driver, inside := strings.CutPrefix(path, "network.")
	driver, _, _ = strings.Cut(driver, ".")
	if at == "network" && inside && slices.Contains(names(), driver) {
		return append(usualLines[at+"."+driver+" around"], fmt.Sprintf("driver = %q", driver))
	}
	return usualLines[at]
}

func names() []string {
	var all []string
	for _, d := range registry.Schemas() {
		all = append(all, d.Name)
	}
	return all
}

var usualLines = map[string][]string{
	"policy":                         {"deny {\nfrom = [\"192.0.2.0/24\"]\nto = [network.net]\n}"},
	"policy.allow":                   {`from = ["192.0.2.0/24"]`, "to = [network.net]", `protocol = "tcp"`},
	"policy.deny":                    {`from = ["192.0.2.0/24"]`, "to = [network.net]", `protocol = "tcp"`},
	"policy.lifecycle.precondition":  usualCondition,
	"policy.lifecycle.postcondition": usualCondition,
	"variable":                       {"default = 1"},
	"cnm.pool":                       {`base = "10.64.0.0/12"`, "size = 24"},
	"output":                         {"value = 1"},
	"module":                         {`source = "./mod"`},
	"moved":                          {"from = network.old", "to = network.net"},
	"removed":                        {"from = network.old"},
	"network.subnet":                 {`cidr = "10.9.0.0/24"`},
	"network.ipam":                   {`driver = "ip"`},
	"network.remote":                 {`plugin = "p"`},
	"sandbox.route":                  {`to = "192.0.2.0/24"`, `dev = "lo"`},
	"sandbox.rule":                   {"priority = 1000", "table = 100"},
	"sandbox.neighbor": {
		`dev = "eth0"`, `ip = "10.1.0.9"`, `mac = "02:00:00:00:00:09"`,
	},
	"endpoint":                         {"network = network.net", "sandbox = sandbox.box"},
	"endpoint.port":                    {"container = 80"},
	"variable.validation":              usualCondition,
	"output.precondition":              usualCondition,
	"network.lifecycle":                nil,
	"network.null around":              nil,
	"network.overlay around":           {"internal = true"},
	"network.lifecycle.precondition":   usualCondition,
	"network.lifecycle.postcondition":  usualCondition,
	"sandbox.lifecycle.precondition":   usualCondition,
	"sandbox.lifecycle.postcondition":  usualCondition,
	"endpoint.lifecycle.precondition":  usualCondition,
	"endpoint.lifecycle.postcondition": usualCondition,
}

var usualCondition = []string{"condition = true", `error_message = "no"`}

// surroundings are the other blocks of a configuration.
func surroundings(path string) string {
	driver := "bridge"
	block, inner, _ := strings.Cut(path, ".")
	if block == "endpoint" && slices.Contains(names(), inner) {
		driver = inner
	}
	options := ""
	if driver == "remote" {
		options = "\n  remote {\n    plugin = \"p\"\n  }"
	}
	subnet := "\n  subnet {\n    cidr = \"10.1.0.0/24\"\n  }"
	if driver == "null" || driver == "host" {
		subnet = ""
	}
	text := "network \"net\" {\n  driver = \"" + driver + "\"" + subnet + options + "\n}\nsandbox \"box\" {}\n"
	if driver == "ptp" {
		text += "sandbox \"other\" {}\nendpoint \"other\" {\n  network = network.net\n  sandbox = sandbox.other\n}\n"
	}
	if block == "sandbox" {
		text += "endpoint \"e\" {\n  network = network.net\n  sandbox = sandbox.x\n  interface = \"eth0\"\n}\n"
	}
	return text
}

// free is the bad value of what has none.
const free = "-"

var text = []string{free}

// Values that are bad wherever they stand.
var (
	notHosts    = []string{`"10.1.0.1/24"`, `"ten"`, `"0.0.0.0"`, `"224.0.0.1"`, `"127.0.0.1"`, `"::ffff:10.1.0.1"`, `"fe80::1%eth0"`}
	notLinks    = []string{`""`, `"averyveryverylongname"`, `"a b"`, `"a/b"`, `"all"`}
	notMACs     = []string{`"02:00"`, `"00:00:00:00:00:00"`, `"01:00:5e:00:00:01"`}
	notRanges   = []string{`"10.1.0.0"`, `"10.1.0.1/24"`, `"x/24"`, `"10.1.0.0/33"`}
	notNames    = []string{`""`, `"a b"`, `"-a"`, `"` + strings.Repeat("n", 300) + `"`}
	notHostname = []string{`""`, `"a b"`, `"-a"`, `"a..b"`}
	notSysctls  = []string{`{ "kernel.hostname" = "x" }`, `{ "" = "1" }`, `{ "net.ipv4.ip_forward" = null }`}
	notPorts    = []string{"0", "65536", `"http"`, `"90-80"`, `"80-"`, "-1", "1.5"}
	notMTUs     = []string{"67", "65536", "-1", "1400.5"}
	notRates    = []string{`""`, `"fast"`, `"-1mbit"`, `"0mbit"`, `"10mbats"`}
	notTimes    = []string{`""`, `"long"`, `"-1ms"`, `"5 apples"`}
	notShares   = []string{`""`, `"much"`, `"-1%"`, `"101%"`}
	notFlows    = map[string][]string{
		"from": {`"text"`, `["x"]`, "[sandbox.box]", "5"}, "to": {`"text"`, `["x"]`, "[sandbox.box]", "5"},
		"protocol": {`"ipx"`, `""`}, "ports": {`["http"]`, `["90-80"]`, "[0]", "[65536]"},
	}
	notRepeats = map[string][]string{
		"for_each": {"5", `["a"]`, `"text"`, "toset([1, null])"},
		"count":    {"-1", "1.5"},
	}
	notLifecycle = map[string][]string{
		"ignore_changes": {`["nonsense"]`, `"all"`, "5", "nonsense"},
	}
	notConditions = map[string][]string{"condition": {`"perhaps"`, "null", "5"}, "error_message": {`""`, "null"}}
)

// badValues are values of the right type that each option refuses.
var badValues = collect(map[string]map[string][]string{
	"cnm": {
		"stack": {`""`, `"a b"`, `"` + strings.Repeat("s", 65) + `"`, "network.net.device"}, "required_version": {`"latest"`, `">= 99.0"`, "var.x"},
	},
	"cnm.store": {
		"path": text, "address": text, "scheme": {`"ftp"`}, "datacenter": text, "namespace": text, "token": text,
		"token_file": text, "ca_file": text, "cert_file": text, "key_file": text,
	},
	"cnm.pool":            {"base": append(notRanges, `"224.0.0.0/8"`), "size": {"0", "129", "8", "24.5"}},
	"variable":            {"type": {`"nonsense"`, "strin", "list(strin)"}, "default": {"network.net.name"}, "description": {"network.net.name"}},
	"variable.validation": notConditions,
	"output":              {"value": {"nonsense", "network.none"}, "description": {"network.net.name"}},
	"output.precondition": notConditions,
	"module":              {"source": {`""`, `"./none"`, `"https://example.org/x"`}},
	"moved":               {"from": {`"text"`, "5", "nonsense.x.y"}, "to": {`"text"`, "5", "sandbox.other"}},
	"removed":             {"from": {`"text"`, "5", "network.net"}},
	"network": {
		"driver": {`"nonsense"`, `""`}, "mtu": notMTUs, "interface_prefix": {`""`, `"averyveryverylongprefix"`, `"a b"`, `"a/b"`}, "name": notNames,
	},
	"network.subnet": {
		"cidr": append(notRanges, `"224.0.0.0/4"`, `"127.0.0.0/8"`, `"0.0.0.0/0"`), "gateway": append(notHosts, `"10.8.0.1"`, `"10.9.0.0"`, `"10.9.0.255"`),
		"range": append(notRanges, `"10.8.0.0/24"`, `"10.9.0.0/16"`), "reserved": {`{ a = "x" }`, `{ a = "10.8.0.1" }`, `{ a = "10.9.0.2", b = "10.9.0.2" }`},
	},
	"network.ipam": {
		"driver": {`""`, `"a/b"`, `".x"`}, "address_space": text, "options": text, "timeout": {"0", "3601", "1.5"},
	},
	"network.bridge": {
		"name": notLinks, "mac": notMACs, "gateway_mode_ipv4": {`"open"`, `"isolated"`}, "gateway_mode_ipv6": {`"open"`, `"isolated"`},
		"snat_ipv4": {`"x"`, `"::1"`, `"127.0.0.1"`, `"0.0.0.0"`, `"224.0.0.1"`}, "snat_ipv6": {`"x"`, `"10.1.0.1"`, `"::"`, `"::1"`, `"ff02::1"`},
		"adopt": {"true"}, "host_binding": {`"x"`, `"::1"`, `"224.0.0.1"`, `"fe80::1"`},
		"trusted_host_interfaces": {`[""]`, `["a b"]`, `["eth1", "eth1"]`, `["averyveryverylongname"]`},
		"vrf":                     notLinks, "vrf_table": {"0", "253", "255", "4294967296", "1.5", "10"},
	},
	"network.overlay": {
		"vnis": {"[]", "[0]", "[16777216]", "[1.5]", "[300, 301]"}, "port": {"0", "65536", "1.5"},
		"gateway_subnet": {`"x"`, `"172.30.0.1/24"`, `"172.30.0.0/30"`, `"fd00::/64"`, `"172.30.0.0/24"`}, "host_binding": {`"x"`, `"::1"`},
	},
	"network.macvlan": {"parent": append(notLinks, `"lo"`, `"eth0.0"`, `"eth0.4095"`, `"lo.5"`), "mode": {`"open"`, `""`, `"passthru"`}},
	"network.ipvlan":  {"parent": append(notLinks, `"lo"`, `"eth0.4095"`), "mode": {`"l4"`, `""`}, "flag": {`"open"`, `""`}},
	"network.remote":  {"plugin": {`""`, `"a/b"`, `".x"`}, "scope": {`"swarm"`}, "timeout": {"0", "3601", "1.5"}, "options": text},
	"sandbox": {
		"name": notNames, "host": notHostname, "netns": {`""`, `"a b"`, `"a/../b"`, `"relative/path"`}, "container": {`"web"`, `"docker://"`, `"rkt://web"`},
		"hostname": notHostname, "loopback": {`["x"]`, `["224.0.0.1"]`, `["0.0.0.0"]`}, "sysctls": notSysctls,
		"extra_hosts": {`{ a = "x" }`, `{ "a b" = "10.1.0.1" }`, `{ a = "10.1.0.0/24" }`}, "shares": {"sandbox.x", "network.net", "sandbox.none"},
		"vrfs": {"{ red = 0 }", "{ red = 254 }", "{ red = 4294967296 }", "{ red = 1.5 }", `{ "a b" = 10 }`, "{ lo = 10 }", "{ a = 10, b = 10 }"},
	},
	"sandbox.route": {
		"to": {`"x"`, `"10.1.0.1/24"`}, "via": append(notHosts, `"fd00::1"`), "dev": append(notLinks, `"eth9"`), "src": notHosts,
		"metric": {"-1", "4294967296", "1.5"}, "table": {"-1", "4294967296", "1.5"}, "type": {`"broadcast"`, `""`},
		"vrf": append(notLinks, `"red"`),
	},
	"sandbox.rule": {
		"priority": {"0", "4294967296", "1.5"}, "from": {`"x"`, `"10.1.0.1/24"`}, "to": {`"x"`, `"10.1.0.1/24"`}, "family": {`"ipx"`}, "iif": notLinks, "oif": notLinks,
		"fwmark": {"-1", "4294967296", "1.5"}, "table": {"0", "4294967296", "1.5"},
	},
	"sandbox.neighbor": {"dev": append(notLinks, `"eth9"`), "ip": notHosts, "mac": notMACs},
	"sandbox.dns":      {"servers": {`["x"]`, `["10.1.0.1/24"]`}, "search": {`["a b"]`, `[""]`}, "options": {`["a b"]`, `[""]`}},
	"endpoint": {
		"network": {"network.none", "sandbox.box", "5"}, "sandbox": {"sandbox.none", "network.net", "5"}, "name": notHostname,
		"ipv4": append(notHosts, `"10.8.0.1"`, `"10.1.0.1"`, `"10.1.0.255"`, `"fd00::1"`), "ipv6": {`"x"`, `"10.1.0.2"`, `"fd00::2"`, `"::"`, `"ff02::1"`},
		"mac": notMACs, "interface": notLinks, "aliases": {`["a b"]`, `[""]`}, "gateway_priority": {"2147483648", "-2147483649", "1.5"},
		"sysctls":        append(notSysctls, `{ "net.ipv4.conf.eth0.rp_filter" = "1" }`, `{ "net.ipv4.conf.IFNAME" = "1" }`),
		"link_local_ips": {`["10.1.0.2"]`, `["x"]`, `["169.254.0.1"]`, `["fe80:1::1"]`, `["fe80::"]`, `["fe80::9", "fe80::9"]`},
		"vrf":            append(notLinks, `"red"`),
	},
	"endpoint.port": {
		"container": notPorts, "host": append(notPorts, `"1-65535"`), "protocol": {`"icmp"`, `""`}, "address": {`"x"`, `"::1"`, `"224.0.0.1"`, `"fe80::1"`, `"fd00::1"`},
	},
	"endpoint.service": {"name": {`""`, `"a b"`, `"-a"`}, "port": {"-1", "65536", "1.5"}, "tags": {`["a b"]`, `[""]`},
		"check": {`""`, `"udp"`, `"health"`}, "check_interval": {`"often"`, `"0s"`, `"2h"`, `"5"`},
	},
	"endpoint.bandwidth": {"ingress": notRates, "egress": notRates, "burst": {`""`, `"x"`, `"-1kb"`, `"0kb"`}},
	"endpoint.impairment": {
		"delay": notTimes, "jitter": notTimes, "loss": notShares, "duplicate": notShares, "reorder": notShares, "corrupt": notShares, "rate": notRates,
	},
	"endpoint.bridge": {"vlan": {"0", "4095", "1.5", "-1"}, "trunk": {"[0]", "[4095]", "[1.5]"}},
	"endpoint.remote": {"options": text},
	"policy":          {},
	"policy.allow":    notFlows,
	"policy.deny":     notFlows,
	"host":            {"vtep": notHosts, "mtu": {"575", "65536", "1.5"}},
})

// collect writes the options' names in full, with what stands in many blocks.
func collect(tables map[string]map[string][]string) map[string][]string {
	for _, block := range []string{"network", "sandbox", "endpoint", "host", "module", "policy"} {
		maps.Copy(tables[block], notRepeats)
		if block == "host" || block == "module" {
			continue
		}
		tables[block]["labels"] = text
		tables[block+".lifecycle"] = notLifecycle
		for _, condition := range []string{"precondition", "postcondition"} {
			tables[block+".lifecycle."+condition] = notConditions
		}
	}
	all := map[string][]string{}
	for where, options := range tables {
		for name, values := range options {
			all[where+"."+name] = values
		}
	}
	return all
}

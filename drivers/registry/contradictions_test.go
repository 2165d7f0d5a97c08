package registry_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
)

// contradictions are settings that are good by themselves but not together, or not here. What
// is wrong is at the end of the line that bears a "#!".
var contradictions = []struct {
	name                       string
	driver                     string
	network, endpoint, sandbox []string
}{
	{name: "nothing to be named", driver: "null", network: []string{"mtu = 1400 #! without interfaces"}},
	{name: "no prefix", driver: "null", network: []string{`interface_prefix = "lan" #! without interfaces`}},
	{name: "no addresses to give out", driver: "null", network: []string{`ipam { driver = "ip" } #! without interfaces`}},
	{name: "no IPv6 of a host network", driver: "host", network: []string{"ipv6 = true #! without interfaces"}},
	{name: "the host is not internal", driver: "host", network: []string{"internal = true #! without interfaces"}},
	{name: "nobody to be found", driver: "null", endpoint: []string{`aliases = ["a"] #! without an interface`}},
	{name: "no way out", driver: "host", endpoint: []string{"gateway_priority = 5 #! without an interface"}},
	{name: "port of nothing", driver: "null", endpoint: []string{"port {\ncontainer = 80\n} #! cannot be published here"}},
	{name: "port beside the host", driver: "macvlan", endpoint: []string{"port {\ncontainer = 80\n} #! cannot be published here"}},
	{name: "port of a plugin, inside", driver: "remote", network: []string{"internal = true"}, endpoint: []string{"port {\ncontainer = 80\n} #! is internal"}},
	{name: "bandwidth past the interface", driver: "ipvlan", network: []string{`ipvlan { mode = "l3s" }`}, endpoint: []string{"bandwidth {", `ingress = "1mbit" #! could be held back`, "}"}},
	{name: "MAC of the parent", driver: "ipvlan", endpoint: []string{`mac = "02:00:00:00:00:09" #! MAC of its own`}},
	{name: "passthru of nothing", driver: "macvlan", network: []string{"macvlan {", `mode = "passthru" #! Passthru of nothing`, "}"}},
	{name: "MAC in passthru", driver: "macvlan", network: []string{`macvlan {`, `parent = "eth0"`, `mode = "passthru"`, "}"}, endpoint: []string{`mac = "02:00:00:00:00:09" #! MAC of its own`}},
	{name: "options of another driver", driver: "macvlan", network: []string{"bridge { icc = false } #! Options of another driver"}},
	{name: "endpoint options of another driver", driver: "ipvlan", endpoint: []string{"bridge { vlan = 5 } #! Options of another driver"}},
	{name: "VLAN without VLANs", driver: "bridge", endpoint: []string{"bridge {", "vlan = 5 #! without VLANs", "}"}},
	{name: "cable without gateway", driver: "ptp", endpoint: []string{"gateway_priority = 5 #! Gateway on a cable"}},
	{name: "plugin's setting without plugin", driver: "bridge", network: []string{"ipam {", `driver = "default"`, `options = { a = "b" } #! no plugin`, "}"}},
	{name: "plugin's time without plugin", driver: "remote", network: []string{"ipam {", `driver = "null"`, "timeout = 5 #! no plugin", "}"}},
	{name: "address space without plugin", driver: "bridge", network: []string{"ipam {", `driver = "default"`, `address_space = "lab" #! no plugin`, "}"}},
	{name: "fixed address out of nobody's range", driver: "bridge", network: []string{`ipam { driver = "null" }`}, endpoint: []string{`ipv4 = "10.2.0.7" #! is not in the subnet`}},
	{name: "fixed address out of a plugin's range", driver: "bridge", network: []string{`ipam { driver = "ip" }`}, endpoint: []string{`ipv4 = "10.2.0.7" #! is not in the subnet`}},
	{name: "mode without IPv6", driver: "bridge", network: []string{"bridge {", `gateway_mode_ipv6 = "routed" #! has no IPv6`, "}"}},
	{name: "source without IPv6", driver: "bridge", network: []string{"bridge {", `snat_ipv6 = "2001:db8::1" #! has no IPv6`, "}"}},
	{name: "isolated with a way out", driver: "bridge", network: []string{"bridge {", `gateway_mode_ipv4 = "isolated" #! way out`, "}"}},
	{name: "open and internal", driver: "bridge", network: []string{"internal = true", "bridge {", "isolation = false #! is internal", "}"}},
	{name: "binding and internal", driver: "bridge", network: []string{"internal = true", "bridge {", `host_binding = "192.0.2.1" #! is internal`, "}"}},
	{name: "binding of an internal overlay", driver: "overlay", network: []string{"internal = true", "overlay {", `host_binding = "192.0.2.1" #! is internal`, "}"}},
	{name: "source and internal", driver: "bridge", network: []string{"internal = true", "bridge {", `snat_ipv4 = "192.0.2.1" #! is internal`, "}"}},
	{name: "source and routed", driver: "bridge", network: []string{"bridge {", `gateway_mode_ipv4 = "routed"`, `snat_ipv4 = "192.0.2.1" #! not translated`, "}"}},
	{name: "source without translation", driver: "bridge", network: []string{"bridge {", "masquerade = false", `snat_ipv4 = "192.0.2.1" #! not translated`, "}"}},
	{name: "trust and internal", driver: "bridge", network: []string{"internal = true", "bridge {", `trusted_host_interfaces = ["eth1"] #! is internal`, "}"}},
	{name: "trust where all is open", driver: "bridge", network: []string{"bridge {", `gateway_mode_ipv4 = "routed"`, `gateway_mode_ipv6 = "nat-unprotected"`, `trusted_host_interfaces = ["eth1"] #! everybody may go`, "}", "ipv6 = true"}},
	{name: "adoption of the unnamed", driver: "bridge", network: []string{"bridge {", "adopt = true #! does not say which", "}"}},
	{name: "MAC of the adopted", driver: "bridge", network: []string{"bridge {", `name = "br0"`, "adopt = true", `mac = "02:00:00:00:00:09" #! never changed`, "}"}},
	{name: "VLANs of the adopted", driver: "bridge", network: []string{"bridge {", `name = "br0"`, "adopt = true", "vlan_filtering = true #! never changed", "}"}},
	{name: "host port where nothing is translated", driver: "bridge", network: []string{`bridge { gateway_mode_ipv4 = "routed" }`}, endpoint: []string{"port {", "container = 80", "host = 80 #! nothing is translated", "}"}},
	{name: "host address where nothing is translated", driver: "bridge", network: []string{`bridge { gateway_mode_ipv4 = "routed" }`}, endpoint: []string{"port {", "container = 80", `address = "192.0.2.1" #! nothing is translated`, "}"}},
	{name: "two namespaces", driver: "bridge", sandbox: []string{`netns = "blue"`, `container = "docker://web" #! Sandbox in two namespaces`}},
	{name: "sysctls of others", driver: "bridge", sandbox: []string{`netns = "blue"`, `sysctls = { "net.ipv4.ip_forward" = "1" } #! namespace of somebody else`}},
	{name: "files of a container", driver: "bridge", sandbox: []string{`container = "docker://web"`, `hostname = "web" #! namespace of somebody else`}},
	{name: "a number is no container", driver: "bridge", sandbox: []string{`container = "4242" #! /proc/4242/ns/net`}},
}

// TestContradictions: what would have no effect is an error at its line, not silence.
func TestContradictions(t *testing.T) {
	for _, c := range contradictions {
		t.Run(c.name, func(t *testing.T) {
			text := contradiction(c.driver, c.network, c.endpoint, c.sandbox)
			diags := configuration{text: text}.diagnose(t)
			line, want := marked(text)
			if !slices.ContainsFunc(diags, func(d *hcl.Diagnostic) bool {
				return (configuration{line: line}).at(d) && strings.Contains(d.Summary+" "+d.Detail, want)
			}) {
				t.Errorf("no error %q at line %d of\n%s\n%v", want, line, text, diags)
			}
		})
	}
}

// contradiction is a configuration of one endpoint with the lines in their blocks.
func contradiction(driver string, network, endpoint, sandbox []string) string {
	switch driver {
	case "remote":
		network = append([]string{`remote { plugin = "p" }`}, network...)
	case "ptp":
		network = append([]string{`subnet { cidr = "10.1.0.0/24" }`}, network...)
		sandbox = append(sandbox, "}", `sandbox "far" {`)
		endpoint = append(endpoint, "}", `endpoint "far" {`, "network = network.net", "sandbox = sandbox.far")
	case "null", "host":
	default:
		network = append([]string{`subnet { cidr = "10.1.0.0/24" }`}, network...)
	}
	lines := slices.Concat(
		[]string{`network "net" {`, fmt.Sprintf("driver = %q", driver)}, network, []string{"}", `sandbox "box" {`}, sandbox,
		[]string{"}", `endpoint "e" {`, "network = network.net", "sandbox = sandbox.box"}, endpoint, []string{"}"},
	)
	return strings.Join(lines, "\n") + "\n"
}

// marked is the line with a mark, and what is to be said of it. A block is blamed at its
// header.
func marked(text string) (line int, want string) {
	for i, l := range strings.Split(text, "\n") {
		if strings.HasSuffix(l, "{") {
			line = i + 1
		}
		if before, after, ok := strings.Cut(l, " #! "); ok {
			if before != "}" {
				line = i + 1
			}
			return line, after
		}
	}
	return 0, ""
}

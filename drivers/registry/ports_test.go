package registry_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
)

// TestPortMistakes: each of these ports cannot be published, and is told why at its line,
// which is the one that says "here".
func TestPortMistakes(t *testing.T) {
	for name, c := range map[string]struct{ network, sandbox, port, want string }{
		"good":                   {port: "container = 80"},
		"of an internal network": {network: "internal = true", port: "container = 80", want: "Published port of a network without a way out"},
		"of a cable":             {network: `driver = "ptp"`, port: "container = 80", want: "Ports cannot be published here"},
		"beside the host": {network: `driver = "macvlan"`, port: "container = 80",
			want: `The driver "macvlan" of network.n has no way by which the host could lead a port to endpoint.e`},
		"of a plugin's network": {network: "driver = \"remote\"\n  remote { plugin = \"p\" }", port: "container = 80"},
		"of a plugin's network, in another family": {network: "driver = \"remote\"\n  remote { plugin = \"p\" }",
			port: "address = \"2001:db8::1\" # here\n    container = 80", want: "endpoint.e has no IPv6 address that it could lead to"},
		"of a plugin's internal network": {network: "driver = \"remote\"\n  internal = true\n  remote { plugin = \"p\" }",
			port: "container = 80", want: "Published port of a network without a way out"},
		"of the host itself": {sandbox: "endpoint \"h\" {\n  network = network.h\n  sandbox = sandbox.s\n}\nnetwork \"h\" {\n  driver = \"host\"\n}\n",
			network: "bridge { gateway_mode_ipv4 = \"nat\" }", port: "container = 80", want: "Published port of the host itself"},
		"of another family": {port: "address = \"2001:db8::1\" # here\n    container = 80", want: "endpoint.e has no IPv6 address that it could lead to"},
		"by an adopted bridge's loopback": {network: "bridge {\n    adopt = true\n    name = \"br0\"\n  }",
			port: "address = \"127.0.0.1\" # here\n    container = 80", want: "Loopback address on a bridge that is not ours"},
		"by the network's choice of it": {network: "bridge {\n    adopt = true\n    name = \"br0\"\n    host_binding = \"127.0.0.1\"\n  }",
			port: "container = 80", want: "Loopback address on a bridge that is not ours"},
		"untranslated": {network: `bridge { gateway_mode_ipv4 = "routed" }`, port: "host = 8080 # here\n    container = 80", want: "Host port of a routed network"},
		"of an overlay, in another family than its way out": {network: `driver = "overlay"`,
			port: "address = \"2001:db8::1\" # here\n    container = 80", want: "endpoint.gwbridge"},
	} {
		t.Run(name, func(t *testing.T) {
			subnet := "  subnet { cidr = \"10.1.0.0/24\" }\n"
			text := "network \"n\" {\n" + subnet + "  " + c.network + "\n}\nsandbox \"s\" {}\n" + c.sandbox +
				"endpoint \"e\" {\n  network = network.n\n  sandbox = sandbox.s\n  port {" + mark(c.port) + "\n    " + c.port + "\n  }\n}\n"
			if strings.Contains(c.network, "ptp") {
				text += "sandbox \"o\" {}\nendpoint \"o\" {\n  network = network.n\n  sandbox = sandbox.o\n}\n"
			}
			config := configuration{text: text}
			found := config.diagnose(t)
			before, _, marked := strings.Cut(text, "# here")
			config.line = strings.Count(before, "\n") + 1
			if c.want == "" {
				if len(found) > 0 {
					t.Errorf("is refused: %v", found)
				}
				return
			}
			i := slices.IndexFunc(found, func(d *hcl.Diagnostic) bool { return strings.Contains(d.Summary+": "+d.Detail, c.want) })
			switch {
			case i < 0:
				t.Errorf("%v, want %q of\n%s", found, c.want, text)
			case marked && !config.at(found[i]):
				t.Errorf("the error is at %s, want line %d of\n%s", found[i].Subject, config.line, text)
			}
		})
	}
}

// mark puts the mark at the port block itself, if no line in it has it.
func mark(port string) string {
	if strings.Contains(port, "# here") {
		return ""
	}
	return " # here"
}

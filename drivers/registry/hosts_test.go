package registry_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cnmctl/cnmctl/drivers"
	"github.com/cnmctl/cnmctl/drivers/registry"
	"github.com/cnmctl/cnmctl/planner"
	"github.com/cnmctl/cnmctl/spec"
)

// mistakes are what is wrong with a configuration.
func mistakes(t *testing.T, hcl string) (found []string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "main.hcl"), []byte(hcl), 0o644); err != nil {
		t.Fatal(err)
	}
	config, diags := spec.Load(dir, spec.Options{Drivers: registry.Schemas()})
	if !diags.HasErrors() {
		topology, more := config.Evaluate(planner.NewAllocator(registry.Traits(), planner.Held{}))
		diags = append(more, drivers.Validate(topology, registry.All())...)
	}
	for _, d := range diags {
		found = append(found, d.Summary+": "+d.Detail)
	}
	return found
}

// TestOverlayMistakes: each configuration has one, and is told what to do about it.
func TestOverlayMistakes(t *testing.T) {
	const box = "sandbox \"w\" {\n  host = \"b\"\n}\nendpoint \"w\" {\n  network = network.demo\n  sandbox = sandbox.w\n}\n"
	const network = "network \"demo\" {\n  driver = \"overlay\"\n  internal = true\n}\n"
	const hosts = "host \"a\" {\n  vtep = \"10.99.0.10\"\n}\nhost \"b\" {\n  vtep = \"10.99.0.11\"\n}\n"
	with := func(option string) string {
		return hosts + strings.Replace(network, "}", "  overlay {\n    "+option+"\n  }\n}", 1) + box
	}
	for hcl, want := range map[string]string{
		hosts + network + box: "",
		hosts + network + strings.Replace(box, "host = \"b\"", "", 1):                                                                    `Sandbox without a host: endpoint.w puts sandbox.w on network.demo`,
		strings.Replace(hosts, "vtep = \"10.99.0.11\"", "", 1) + network + box:                                                           `Host without a tunnel end: sandbox.w is on host.b`,
		strings.Replace(hosts, ".11", ".10", 1) + network + box:                                                                          `Two hosts with one tunnel end: host.a and host.b both have the vtep 10.99.0.10`,
		strings.Replace(hosts, "10.99.0.11", "2001:db8::11", 1) + network + box:                                                          `Tunnel ends of two families: host.a has the vtep 10.99.0.10 and host.b has 2001:db8::11`,
		hosts + strings.Replace(network, "}", "  subnet {\n    cidr = \"10.99.0.0/24\"\n  }\n}", 1):                                      `Subnet overlaps the underlay: The subnet 10.99.0.0/24 of network.demo holds 10.99.0.`,
		hosts + strings.Replace(network, "internal = true", "ipv6 = true\n  mtu = 1279", 1) + box:                                        `MTU too small for IPv6: network.demo has IPv6`,
		with("gateway_subnet = \"172.30.0.0/24\""):                                                                                       `Gateway for a network without a way out: network.demo is internal`,
		with("gateway_subnet = \"172.30.0.1/24\""):                                                                                       `"172.30.0.1/24" is not an IPv4 subnet`,
		with("gateway_subnet = \"172.30.0.0/30\""):                                                                                       `8 to 29 leave room`,
		strings.Replace(with("gateway_subnet = \"172.30.0.0/16\""), "internal = true", "subnet {\n    cidr = \"172.30.1.0/24\"\n  }", 1): `Overlapping subnets: Subnet 172.30.0.0/16 of network.gwbridge overlaps subnet 172.30.1.0/24 of network.demo`,
		with("vnis = []"):         `list is empty; leave it out`,
		with("vnis = [16777216]"): `16777216 is not a whole number from 1 to 16777215`,
		with("vnis = [300, 301]"): `Wrong number of VNIs: network.demo has 2 VNIs for 1 pair of subnets`,
		with("port = 0"):          `0 is not a whole number from 1 to 65535`,
		strings.Replace(with(""), "network \"demo\" {", "network \"demo\" {\n name = \""+strings.Repeat("n", 195)+"\"", 1): `Name too long: The namespace of network.demo`,
	} {
		found := mistakes(t, "cnm {\n  stack = \"shop\"\n}\n"+hcl)
		switch {
		case want == "" && len(found) > 0:
			t.Errorf("%s\nis refused: %s", hcl, found)
		case want != "" && (len(found) == 0 || !strings.Contains(found[0], want)):
			t.Errorf("%s\nis to be refused with %q, not %q", hcl, want, found)
		}
	}
}

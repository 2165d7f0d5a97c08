package registry_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestOverlaps: networks with the same addresses are refused unless VRFs tell them apart
// wherever both are known.
func TestOverlaps(t *testing.T) {
	network := func(name, driver, options string) string {
		return fmt.Sprintf("network %q {\n driver = %q\n internal = true\n subnet {\n  cidr = \"10.5.0.0/24\"\n  gateway = \"10.5.0.1\"\n }\n %s\n}\n", name, driver, options)
	}
	bridge := func(name, options string) string { return network(name, "bridge", "bridge {\n"+options+"\n}") }
	in := func(network, vrf string) string {
		if vrf != "" {
			vrf = fmt.Sprintf("vrf = %q", vrf)
		}
		return fmt.Sprintf("endpoint %q {\n network = network.%s\n sandbox = sandbox.r\n %s\n}\n", network, network, vrf)
	}
	const router = "sandbox \"r\" {\n vrfs = { red = 10, blue = 20 }\n}\n"
	const policy = "policy \"p\" {\n deny {\n from = [network.a]\n to = [network.b]\n}\n}\n"
	red, blue := "vrf = \"red\"\nvrf_table = 10", "vrf = \"blue\"\nvrf_table = 20"
	wires := network("a", "macvlan", "") + network("b", "macvlan", "")
	for _, c := range []struct{ hcl, want string }{
		{bridge("a", red) + bridge("b", blue), ""},
		{bridge("a", red) + bridge("b", "vrf = \"theirs\""), ""},
		{bridge("a", red) + bridge("b", red), "Overlapping subnets: Subnet 10.5.0.0/24 of network.b overlaps subnet 10.5.0.0/24 of network.a"},
		{bridge("a", red) + bridge("b", ""), "Overlapping subnets"},
		{bridge("a", "") + bridge("b", ""), "Overlapping subnets"},
		{bridge("a", red) + bridge("b", blue) + policy, "policies, which go by addresses"},
		{bridge("a", red) + bridge("b", blue) + router + in("a", "") + in("b", ""), "sandbox.r could not tell them apart"},
		{bridge("a", red) + bridge("b", blue) + router + in("a", "red") + in("b", ""), "sandbox.r could not tell them apart"},
		{bridge("a", red) + bridge("b", blue) + router + in("a", "red") + in("b", "blue"), ""},
		{wires + router + in("a", "red") + in("b", "blue"), ""},
		{wires + router + in("a", "red") + in("b", "red"), "sandbox.r could not tell them apart"},
		{wires + router + in("a", "red"), "Overlapping subnets"},
		{wires, "into VRFs of their own wherever both are"},
		{bridge("a", "") + network("b", "macvlan", "") + router + in("a", "red") + in("b", "blue"), ""},
	} {
		refused(t, c.hcl, c.want)
	}
}

// TestVRFMistakes: each configuration has one, and is told what to do about it.
func TestVRFMistakes(t *testing.T) {
	bridge := func(name, options string) string {
		return fmt.Sprintf("network %q {\n bridge {\n %s\n }\n}\n", name, options)
	}
	endpoint := func(more string) string {
		return "sandbox \"w\" {\n vrfs = { red = 10, blue = 20 }\n}\nendpoint \"w\" {\n network = network.a\n sandbox = sandbox.w\n" + more + "\n}\n"
	}
	const red = "vrf = \"red\"\nvrf_table = 10\n"
	for _, c := range []struct{ hcl, want string }{
		{bridge("a", red), ""},
		{bridge("a", "vrf_table = 10"), "Table of no VRF"},
		{bridge("a", red+"adopt = true\nname = \"br0\""), "VRF for a bridge that is not ours"},
		{bridge("a", red+"trusted_host_interfaces = [\"eth1\"]"), "Trusted interfaces of a network without ports"},
		{bridge("a", red) + bridge("b", "vrf = \"red\""), "Networks disagree about a VRF"},
		{bridge("a", red) + bridge("b", "vrf = \"red\"\nvrf_table = 11"), "Networks disagree about a VRF"},
		{bridge("a", red) + bridge("b", "vrf = \"blue\"\nvrf_table = 10"), "Routing table of another VRF"},
		{bridge("a", red) + bridge("b", "name = \"red\""), "Name of another interface"},
		{bridge("a", red) + endpoint("port { container = 80 }"), "Published port of a network in a VRF"},
		{bridge("a", "") + endpoint("vrf = \"red\"\nport { container = 80 }"), ""},
		{bridge("a", "") + endpoint("vrf = \"rad\""), `Did you mean "red"?`},
		{bridge("a", "") + endpoint("vrf = \"red\"\ninterface = \"blue\""), "is what a VRF of sandbox.w"},
		{bridge("a", "") + "endpoint \"w\" {\n network = network.a\n vrf = \"red\"\n}\n", "VRF without a sandbox"},
		{bridge("a", "") + endpoint("") + "sandbox \"s\" {\n shares = sandbox.w\n vrfs = { green = 30 }\n}\n", "Setting of a shared sandbox"},
		{bridge("a", "") + endpoint("") + "sandbox \"s\" {\n shares = sandbox.w\n}\nendpoint \"s\" {\n network = network.a\n sandbox = sandbox.s\n vrf = \"blue\"\n}\n", ""},
		{strings.Replace(bridge("a", "")+endpoint("vrf = \"red\""), "vrfs =", "route {\n to = \"10.9.0.0/16\"\n dev = \"eth0\"\n vrf = \"red\"\n table = 7\n}\nvrfs =", 1), "Table said twice"},
		{"network \"h\" {\n driver = \"host\"\n}\nsandbox \"w\" {\n vrfs = { red = 10 }\n}\nendpoint \"w\" {\n network = network.h\n sandbox = sandbox.w\n}\n", "Setting of the host itself"},
	} {
		refused(t, c.hcl, c.want)
	}
}

// refused holds a configuration to what is wrong with it, "" for nothing.
func refused(t *testing.T, hcl, want string) {
	t.Helper()
	found := mistakes(t, "cnm {\n  stack = \"shop\"\n}\n"+hcl)
	if all := strings.Join(found, "\n"); want == "" && all != "" || want != "" && !strings.Contains(all, want) {
		t.Errorf("%s\nis to be refused with %q, not %q", hcl, want, found)
	}
}

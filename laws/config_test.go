package laws

import (
	"fmt"
	"slices"
	"strings"

	"pgregory.net/rapid"
)

// config is a random configuration: small enough to be applied in milliseconds, wide
// enough to use every option of the drivers that need no special kernel.
type config struct {
	Networks  []network
	Sandboxes []sandbox
	Endpoints []endpoint
	// Policies are the bodies of policy blocks.
	Policies []string
}

type network struct {
	Name, Driver string
	// Body are attributes and blocks, a line each.
	Body []string
}

type sandbox struct {
	Name string
	Body []string
}

type endpoint struct {
	Name, Network, Sandbox string
	Body                   []string
}

// String is the configuration in the language, which is also what a shrunk failure shows.
func (c config) String() string {
	var b strings.Builder
	b.WriteString("cnm {\n  stack = \"law\"\n}\n")
	block := func(header string, body ...string) {
		fmt.Fprintf(&b, "\n%s {\n", header)
		for _, line := range body {
			b.WriteString("  " + line + "\n")
		}
		b.WriteString("}\n")
	}
	for _, n := range c.Networks {
		block(fmt.Sprintf("network %q", n.Name), append([]string{fmt.Sprintf("driver = %q", n.Driver)}, n.Body...)...)
	}
	for _, s := range c.Sandboxes {
		block(fmt.Sprintf("sandbox %q", s.Name), s.Body...)
	}
	for _, e := range c.Endpoints {
		body := []string{"network = network." + e.Network}
		if e.Sandbox != "" {
			body = append(body, "sandbox = sandbox."+e.Sandbox)
		}
		block(fmt.Sprintf("endpoint %q", e.Name), append(body, e.Body...)...)
		block(fmt.Sprintf("output %q", e.Name), "value = endpoint."+e.Name)
	}
	for i, body := range c.Policies {
		block(fmt.Sprintf("policy \"p%d\"", i), body)
	}
	return b.String()
}

// configs draws configurations. Names come from short lists, so that two of them share
// blocks and a change from one to the other is a change in place more often than not.
func configs() *rapid.Generator[config] {
	return rapid.Custom(func(t *rapid.T) config {
		var c config
		for i := range rapid.IntRange(0, 4).Draw(t, "sandboxes") {
			c.Sandboxes = append(c.Sandboxes, drawSandbox(t, i))
		}
		for i := range rapid.IntRange(0, 3).Draw(t, "bridges") {
			c.addBridge(t, i)
		}
		c.addPolicies(t)
		if len(c.Sandboxes) >= 2 {
			for i := range rapid.IntRange(0, 2).Draw(t, "wires") {
				c.addWire(t, i)
			}
		}
		for i := range rapid.IntRange(0, 2).Draw(t, "macvlans") {
			c.addMacvlan(t, i)
		}
		if maybe(t, "null") {
			c.Networks = append(c.Networks, network{Name: "none", Driver: "null"})
		}
		return c
	})
}

func maybe(t *rapid.T, what string) bool { return rapid.Bool().Draw(t, what) }

// lines keeps the drawn ones of a list of lines.
func lines(t *rapid.T, all ...string) []string {
	var kept []string
	for _, line := range all {
		if maybe(t, line) {
			kept = append(kept, line)
		}
	}
	return kept
}

func drawSandbox(t *rapid.T, i int) sandbox {
	body := lines(t,
		fmt.Sprintf("loopback = [\"10.255.0.%d/32\"]", i+1),
		"sysctls = { \"net.ipv4.ip_forward\" = \"1\" }",
		fmt.Sprintf("name = \"other%d\"", i),
		fmt.Sprintf("hostname = \"host%d\"", i),
		"extra_hosts = { registry = \"192.0.2.7\" }",
		"route {\n    to   = \"198.51.100.0/24\"\n    type = \"blackhole\"\n  }",
		"rule {\n    priority = 1000\n    from     = \"203.0.113.0/24\"\n    table    = 100\n  }",
		"dns {\n    servers = [\"192.0.2.53\"]\n    search  = [\"example.net\"]\n  }",
		"labels = { tier = \"web\" }",
	)
	return sandbox{Name: fmt.Sprintf("s%d", i), Body: body}
}

// addBridge adds one bridge network with some endpoints.
func (c *config) addBridge(t *rapid.T, i int) {
	n := network{Name: fmt.Sprintf("n%d", i), Driver: "bridge"}
	v4 := rapid.SampledFrom([]string{"given", "two", "auto", "off"}).Draw(t, "ipv4")
	v6 := rapid.SampledFrom([]string{"none", "given", "auto"}).Draw(t, "ipv6")
	if v4 == "off" && v6 == "none" {
		v6 = "given"
	}
	switch v4 {
	case "given":
		gateway := ""
		if maybe(t, "gateway") {
			gateway = fmt.Sprintf("\n    gateway = \"10.%d.0.254\"", i+1)
		}
		n.Body = append(n.Body, fmt.Sprintf("subnet {\n    cidr = \"10.%d.0.0/24\"%s\n  }", i+1, gateway))
	case "two":
		n.Body = append(n.Body,
			fmt.Sprintf("subnet {\n    cidr  = \"10.%d.0.0/24\"\n    range = \"10.%d.0.64/26\"\n  }", i+1, i+1),
			fmt.Sprintf("subnet {\n    cidr     = \"10.%d.1.0/24\"\n    reserved = { printer = \"10.%d.1.9\" }\n  }", i+1, i+1))
	case "off":
		n.Body = append(n.Body, "ipv4 = false")
	}
	switch v6 {
	case "given":
		n.Body = append(n.Body, fmt.Sprintf("subnet {\n    cidr = \"fd00:%d::/64\"\n  }", i+1))
	case "auto":
		n.Body = append(n.Body, "ipv6 = true")
	}
	n.Body = append(n.Body, lines(t, "internal = true", "mtu = 1400", "interface_prefix = \"net\"")...)
	options := lines(t, "icc = false", "masquerade = false", "hairpin = true", "isolation = false")
	if slices.Contains(n.Body, "internal = true") {
		options = slices.DeleteFunc(options, func(line string) bool { return line == "isolation = false" }) // which has no meaning there
	}
	if maybe(t, "named") {
		options = append(options, fmt.Sprintf("name = \"br-law%d\"", i))
	}
	if v4 != "off" && maybe(t, "routed") {
		options = append(options, "gateway_mode_ipv4 = \"routed\"")
	}
	if len(options) > 0 {
		n.Body = append(n.Body, "bridge {\n    "+strings.Join(options, "\n    ")+"\n  }")
	}
	c.Networks = append(c.Networks, n)
	for j := range c.Sandboxes {
		if !maybe(t, "attach") {
			continue
		}
		s := &c.Sandboxes[j]
		e := endpoint{Name: fmt.Sprintf("%s-%s", n.Name, s.Name), Network: n.Name, Sandbox: s.Name}
		e.Body = lines(t,
			fmt.Sprintf("mac = \"02:00:00:00:%02x:%02x\"", i, j),
			fmt.Sprintf("interface = \"if%d\"", i),
			fmt.Sprintf("aliases = [\"alias%d\"]", j),
			fmt.Sprintf("gateway_priority = %d", i*10+j),
			"sysctls = { \"net.ipv4.conf.IFNAME.rp_filter\" = \"2\" }")
		e.Body = append(e.Body, drawLinkLocal(t, i, j)...)
		if !slices.Contains(e.Body, fmt.Sprintf("aliases = [\"alias%d\"]", j)) {
			e.Body = append(e.Body, lines(t, "names = false")...)
		}
		e.Body = append(e.Body, drawBandwidth(t, true)...)
		if !slices.Contains(n.Body, "internal = true") {
			e.Body = append(e.Body, drawPorts(t, strings.Contains(strings.Join(options, " "), "routed"))...)
		}
		if v4 == "given" && maybe(t, "address") {
			e.Body = append(e.Body, fmt.Sprintf("ipv4 = \"10.%d.0.%d\"", i+1, 100+j))
		}
		c.Endpoints = append(c.Endpoints, e)
		if v4 == "given" && slices.Contains(e.Body, fmt.Sprintf("interface = \"if%d\"", i)) {
			s.Body = append(s.Body, beyond(t, i)...)
		}
	}
	if maybe(t, "published") {
		c.Endpoints = append(c.Endpoints, endpoint{Name: n.Name + "-free", Network: n.Name})
	}
}

// addPolicies adds policies about the bridge networks and their endpoints. What is allowed
// is allowed to everybody: between some networks nothing can be.
func (c *config) addPolicies(t *rapid.T) {
	outside := []string{`"192.0.2.0/24"`, `"2001:db8::/32"`} // in each list, so that a family is in both
	peers := slices.Clone(outside)
	for _, n := range c.Networks {
		peers = append(peers, "network."+n.Name)
	}
	for _, e := range c.Endpoints {
		peers = append(peers, "endpoint."+e.Name)
	}
	services := []string{"", "protocol = \"icmp\"", "protocol = \"tcp\"\n    ports = [80, \"8000-8009\"]", "protocol = \"udp\""}
	for range rapid.IntRange(0, 2).Draw(t, "policies") {
		word, from := "deny", peers
		if maybe(t, "allow") {
			word, from = "allow", append(slices.Clone(outside), `"0.0.0.0/0"`, `"10.1.0.64/26"`, `"::/0"`)
		}
		some := func(all []string) string {
			return strings.Join(append(rapid.SliceOfNDistinct(rapid.SampledFrom(all[2:len(all):len(all)]), 0, min(2, len(all)-2), rapid.ID[string]).Draw(t, "peers"), outside...), ", ")
		}
		if len(peers) == len(outside) {
			return
		}
		c.Policies = append(c.Policies, fmt.Sprintf("%s {\n    from = [%s]\n    to = [%s]\n    %s\n  }", word, some(from), some(peers), rapid.SampledFrom(services).Draw(t, "service")))
	}
}

// drawLinkLocal are further addresses on the link. A sandbox has IPv4 ones on one of its links
// only.
func drawLinkLocal(t *rapid.T, network, sandbox int) []string {
	four := fmt.Sprintf("169.254.7.%d", sandbox+1)
	six := fmt.Sprintf("fe80::7:%d", sandbox+1)
	if network > 0 {
		return lines(t, fmt.Sprintf("link_local_ips = [%q]", six))
	}
	return lines(t, fmt.Sprintf("link_local_ips = [%q, %q]", four, six))
}

// drawPorts are published ports. Where nothing is translated a port of the host would be
// refused.
func drawPorts(t *rapid.T, routed bool) []string {
	opened := lines(t, "port {\n    container = 443\n  }")
	if routed {
		return opened
	}
	return append(opened, lines(t,
		"port {\n    host      = \"20000-20099\"\n    container = 53\n    protocol  = \"udp\"\n  }",
		"port {\n    host      = \"21000-21099\"\n    container = \"8000-8002\"\n    protocol  = \"sctp\"\n  }")...)
}

// drawBandwidth is how fast an endpoint may be; both ways where its interface has two ends.
func drawBandwidth(t *rapid.T, both bool) []string {
	rate := rapid.SampledFrom([]string{"", "10mbit", "12345kbit", "2gbit"})
	var said []string
	for _, way := range []string{"egress", "ingress"} {
		if r := rate.Draw(t, way); r != "" && (both || way == "egress") {
			said = append(said, fmt.Sprintf("%s = %q", way, r))
		}
	}
	if len(said) == 0 {
		return nil
	}
	said = append(said, lines(t, "burst = \"40001b\"")...)
	return []string{"bandwidth {\n    " + strings.Join(said, "\n    ") + "\n  }"}
}

// beyond are a neighbor and a route on the interface of network i whose name is known.
func beyond(t *rapid.T, i int) []string {
	return lines(t,
		fmt.Sprintf("neighbor {\n    dev = \"if%d\"\n    ip  = \"10.%d.0.200\"\n    mac = \"02:00:00:00:ff:%02x\"\n  }", i, i+1, i),
		fmt.Sprintf("route {\n    to     = \"192.0.2.%d/32\"\n    via    = \"10.%d.0.201\"\n    metric = %d\n  }", 100+i, i+1, 5*i),
		fmt.Sprintf("route {\n    to      = \"192.0.2.%d/32\"\n    via     = \"172.31.0.1\"\n    dev     = \"if%d\"\n    on_link = true\n    table   = 100\n  }", 110+i, i),
	)
}

// addMacvlan adds a network on the machine's own interface, with some endpoints.
func (c *config) addMacvlan(t *rapid.T, i int) {
	n := network{Name: fmt.Sprintf("m%d", i), Driver: "macvlan"}
	n.Body = append(n.Body, fmt.Sprintf("subnet {\n    cidr = \"10.%d.0.0/24\"\n  }", 100+i))
	n.Body = append(n.Body, lines(t, fmt.Sprintf("subnet {\n    cidr = \"fd00:%d::/64\"\n  }", 100+i), "internal = true", "mtu = 1400")...)
	mode := rapid.SampledFrom([]string{"bridge", "private", "vepa"}).Draw(t, "mode")
	n.Body = append(n.Body, fmt.Sprintf("macvlan {\n    parent = %q\n    mode   = %q\n  }", parent, mode))
	c.Networks = append(c.Networks, n)
	for j, s := range c.Sandboxes {
		if !maybe(t, "attach") {
			continue
		}
		e := endpoint{Name: fmt.Sprintf("%s-%s", n.Name, s.Name), Network: n.Name, Sandbox: s.Name}
		e.Body = lines(t,
			fmt.Sprintf("mac = \"02:00:00:01:%02x:%02x\"", i, j),
			fmt.Sprintf("interface = \"mv%d\"", i),
			fmt.Sprintf("ipv4 = \"10.%d.0.%d\"", 100+i, 100+j),
			"sysctls = { \"net.ipv4.conf.IFNAME.rp_filter\" = \"2\" }")
		e.Body = append(e.Body, drawBandwidth(t, false)...)
		c.Endpoints = append(c.Endpoints, e)
	}
}

// addWire adds a ptp network between two sandboxes.
func (c *config) addWire(t *rapid.T, i int) {
	n := network{Name: fmt.Sprintf("p%d", i), Driver: "ptp"}
	n.Body = append(n.Body, rapid.SampledFrom([]string{
		fmt.Sprintf("subnet {\n    cidr = \"10.200.%d.0/31\"\n  }", i),
		fmt.Sprintf("subnet {\n    cidr = \"10.200.%d.0/30\"\n  }", i),
		fmt.Sprintf("subnet {\n    cidr = \"fd00:200:%d::/127\"\n  }\n  ipv4 = false", i),
	}).Draw(t, "wire"))
	a := rapid.IntRange(0, len(c.Sandboxes)-1).Draw(t, "a")
	b := rapid.IntRange(0, len(c.Sandboxes)-2).Draw(t, "b")
	if b >= a {
		b++
	}
	c.Networks = append(c.Networks, n)
	for side, s := range []string{c.Sandboxes[a].Name, c.Sandboxes[b].Name} {
		c.Endpoints = append(c.Endpoints, endpoint{Name: fmt.Sprintf("%s-%d", n.Name, side), Network: n.Name, Sandbox: s})
	}
}

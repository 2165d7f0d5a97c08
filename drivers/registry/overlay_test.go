package registry_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

const threeHosts = `
host "a" {
  vtep = "10.99.0.10"
}
host "b" {
  vtep = "10.99.0.11"
}
host "c" {
  vtep = "10.99.0.12"
}
`

// boxes is a sandbox a host with an endpoint on each of the networks: w0 on a, w1 on b, w2 on c.
func boxes(networks ...string) string {
	var b strings.Builder
	for i, host := range hostNames {
		fmt.Fprintf(&b, "sandbox \"w%d\" {\n  host = %q\n}\n", i, host)
		for _, n := range networks {
			fmt.Fprintf(&b, "endpoint \"%[2]s%[1]d\" {\n  network = network.%[2]s\n  sandbox = sandbox.w%[1]d\n}\n", i, n)
		}
	}
	return b.String()
}

const demo = `
network "demo" {
  driver = "overlay"
  ipv6   = true
  subnet { cidr = "192.168.0.0/24" }
  subnet { cidr = "fd00:168::/64" }
}
`

// TestCluster is the walk through an overlay: three hosts, all pairs, both families, and
// the way out.
func TestCluster(t *testing.T) {
	c := newCluster(t)
	topology := c.topology(threeHosts + demo + boxes("demo"))
	c.become(topology)
	c.pings(
		"a w0 192.168.0.3", "a w0 192.168.0.4", "b w1 192.168.0.2", "b w1 192.168.0.4", "c w2 192.168.0.2", "c w2 192.168.0.3",
		"a w0 fd00:168::3", "a w0 fd00:168::4", "b w1 fd00:168::2", "b w1 fd00:168::4", "c w2 fd00:168::2", "c w2 fd00:168::3",
		"a w0 192.168.0.1", "c w2 fd00:168::1", // the gateway is everywhere
		"a w0 192.0.2.9", "b w1 192.0.2.9", // out, under the host's address: nobody outside knows the way back
		"a w0 2001:db8::9", "c w2 2001:db8::9",
		"!a 192.168.0.2", "!a 192.168.0.3", "!b fd00:168::2", // the host is not on the network
		"!a w0 192.168.0.77", "!a w0 fd00:168::77",
	)
	c.transfer(c.path("a", "w0"), c.path("b", "w1"), "192.168.0.3", 64<<20)
	c.transfer(c.path("a", "w0"), c.path("c", "w2"), "fd00:168::4", 64<<20)
	hosts, err := os.ReadFile(c.hosts["b"].dir + "/etc/shop-w1/hosts")
	for _, name := range []string{"192.168.0.2\tdemo0 demo0.demo", "192.168.0.4\tdemo2 demo2.demo", "fd00:168::4\tdemo2"} {
		if err != nil || !strings.Contains(string(hosts), name) {
			t.Errorf("the hosts file of w1 does not name %s: %v\n%s", name, err, hosts)
		}
	}
	c.become(topology) // twice is once
	c.clear()
}

// TestClusterWire: what is on the underlay, and what never is.
func TestClusterWire(t *testing.T) {
	c := newCluster(t)
	c.become(c.topology(threeHosts + demo + boxes("demo")))
	lines := c.sniff("up-a", "udp port 4789", func() {
		c.Sh(c.in("a", "w0") + "ping -n -c 3 -i 0.2 192.168.0.3")
	})
	for _, packet := range [][]string{
		{"10.99.0.10.", " > 10.99.0.11.4789: VXLAN", "vni 256", "length 148"}, {"192.168.0.2 > 192.168.0.3: ICMP echo request"},
		{"10.99.0.11.", " > 10.99.0.10.4789: VXLAN", "vni 256", "length 148"}, {"192.168.0.3 > 192.168.0.2: ICMP echo reply"},
	} {
		if n := count(lines, packet...); n != 3 {
			t.Errorf("%d times %v:\n%s", n, packet, strings.Join(lines, "\n"))
		}
	}
	stray := c.sniff("up-a", "udp port 4789", func() {
		c.Sh(c.in("a", "w0") + "ip neigh replace 192.168.0.77 lladdr 02:42:c0:a8:00:4d dev eth0 nud permanent")
		script := ""
		for _, ping := range []string{"192.168.0.77", "192.168.0.78", "-b 192.168.0.255", "-I eth0 224.0.0.1", "-I eth0 ff02::1", "fd00:168::78"} {
			script += c.in("a", "w0") + "ping -n -c 2 -i 0.2 -W 1 " + ping + " >/dev/null 2>&1 &\n"
		}
		c.Sh(script + "wait")
	})
	if strings.Join(stray, "") != "" {
		t.Errorf("what nobody has is sent across:\n%s", strings.Join(stray, "\n"))
	}
	c.clear()
}

// TestClusterSubnets: subnets of one network reach each other by the gateway, which is on
// the host itself; each has its own VNI.
func TestClusterSubnets(t *testing.T) {
	c := newCluster(t)
	c.become(c.topology(threeHosts + `
network "demo" {
  driver   = "overlay"
  internal = true
  overlay {
    vnis = [5000, 5001]
    port = 4790
  }
  subnet { cidr = "192.168.0.0/24" }
  subnet { cidr = "192.168.1.0/24" }
  subnet { cidr = "fd00:168::/64" }
  subnet { cidr = "fd00:169::/64" }
}
sandbox "w0" {
  host = "a"
}
sandbox "w1" {
  host = "b"
}
sandbox "w2" {
  host = "b"
}
endpoint "w0" {
  network = network.demo
  sandbox = sandbox.w0
  ipv4    = "192.168.0.10"
  ipv6    = "fd00:168::10"
}
endpoint "w1" {
  network = network.demo
  sandbox = sandbox.w1
  ipv4    = "192.168.1.11"
  ipv6    = "fd00:169::11"
}
endpoint "w2" {
  network = network.demo
  sandbox = sandbox.w2
  ipv4    = "192.168.1.12"
  ipv6    = "fd00:168::12"
}
`))
	c.pings("a w0 192.168.1.11", "a w0 fd00:169::11", "b w1 192.168.0.10", "b w1 fd00:168::10", "b w1 fd00:168::12",
		"b w2 192.168.1.11", "b w2 192.168.0.10", "b w2 fd00:168::10", "a w0 192.168.1.12", "a w0 fd00:168::12",
		"!a w0 192.0.2.9")
	lines := c.sniff("up-a", "udp port 4790", func() {
		c.Sh(c.in("a", "w0") + "ping -n -c 2 -i 0.2 192.168.1.11")
	})
	if len(lines) < 4 {
		t.Errorf("the tunnels do not use their port:\n%s", strings.Join(lines, "\n"))
	}
	if out := c.Sh(c.in("a", "w0") + "ping -n -c 1 192.168.1.11"); !strings.Contains(out, "ttl=63") {
		t.Errorf("not by way of the gateway:\n%s", out)
	}
	c.transfer(c.path("a", "w0"), c.path("b", "w1"), "192.168.1.11", 8<<20)
	if out := c.Sh(c.in("a", "w0") + "ip -o link; " + c.in("a", "w0") + "ip route"); strings.Contains(out, "eth1") || strings.Contains(out, "default") {
		t.Errorf("an internal network has a way out:\n%s", out)
	}
	if out := c.Sh(c.in("a", "demo.overlay") + "ip -d link show type vxlan"); !strings.Contains(out, "id 5000 ") || !strings.Contains(out, "id 5001 ") {
		t.Errorf("the tunnels are\n%s", out)
	}
	c.clear()
}

// TestClusterOverIPv6: the underlay may be IPv6, and small.
func TestClusterOverIPv6(t *testing.T) {
	c := newCluster(t)
	hosts := strings.NewReplacer("10.99.0.1", "2001:db8::1").Replace(threeHosts)
	c.become(c.topology(strings.Replace(hosts, "vtep = \"2001:db8::11\"", "vtep = \"2001:db8::11\"\n  mtu = 1400", 1) + demo + boxes("demo")))
	c.pings("a w0 192.168.0.3", "b w1 192.168.0.4", "c w2 fd00:168::2", "a w0 192.0.2.9")
	for size, fits := range map[string]bool{"1302": true, "1303": false} { // 1400 - 70 - 28
		ping := c.in("a", "w0") + "ping -n -c 1 -W 1 -M do -s " + size + " 192.168.0.3"
		if fits { // in the end
			ping = "timeout 60 sh -c 'until " + ping + "; do sleep 0.1; done'"
		}
		if out, err := c.Try("sh", "-c", ping); (err == nil) != fits {
			t.Errorf("a ping with %s bytes: %v\n%s", size, err, out)
		}
	}
	lines := c.sniff("up-a", "ip6 and udp port 4789", func() {
		c.Sh(c.in("a", "w0") + "ping -n -c 2 -i 0.2 192.168.0.3")
	})
	if count(lines, "2001:db8::10.", "> 2001:db8::11.4789: VXLAN", "vni 256") != 2 {
		t.Errorf("the underlay carries\n%s", strings.Join(lines, "\n"))
	}
	c.transfer(c.path("a", "w0"), c.path("b", "w1"), "192.168.0.3", 8<<20)
	c.clear()
}

// TestGatewayBridge: a bridge that a host's sandboxes share keeps them apart, and is no way
// around networks that do not meet.
func TestGatewayBridge(t *testing.T) {
	c := newCluster(t)
	c.become(c.topology(threeHosts + `
network "one" {
  driver = "overlay"
  subnet { cidr = "192.168.1.0/24" }
  overlay { gateway_subnet = "172.30.0.0/24" }
}
network "two" {
  driver = "overlay"
  subnet { cidr = "192.168.2.0/24" }
}
sandbox "x" {
  host = "a"
}
sandbox "y" {
  host = "a"
}
sandbox "z" {
  host = "b"
}
endpoint "x" {
  network = network.one
  sandbox = sandbox.x
}
endpoint "y" {
  network = network.two
  sandbox = sandbox.y
}
endpoint "z1" {
  network = network.one
  sandbox = sandbox.z
}
endpoint "z2" {
  network = network.two
  sandbox = sandbox.z
}
`))
	c.pings("a x 192.0.2.9", "a y 192.0.2.9", "b z 192.0.2.9", "a x 172.30.0.1",
		"!a x 172.30.0.3", "!a y 172.30.0.2", "a x 192.168.1.3", "a y 192.168.2.3", "!a x 192.168.2.2")
	if out := c.Sh(c.in("b", "z") + "ip -o -4 addr"); strings.Count(out, "172.30.0.") != 1 || !strings.Contains(out, "eth2    inet 172.30.0.") {
		t.Errorf("a sandbox of two networks has one way out, after its own interfaces:\n%s", out)
	}
	if out, err := c.Try("sh", "-c", c.in("c", "")+"ip -o link show type bridge"); err != nil || out != "" {
		t.Errorf("a host without sandboxes has %s", out)
	}
	for _, ns := range []struct{ host, name, vni string }{{"a", "one.overlay", "256"}, {"a", "two.overlay", "257"}} {
		if out := c.Sh(c.in(ns.host, ns.name) + "ip -d link show vxlan0"); !strings.Contains(out, "vxlan id "+ns.vni+" ") {
			t.Errorf("the tunnel of %s is\n%s", ns.name, out)
		}
	}
	c.clear()
}

// TestMove: an endpoint that moves to another host, with its address, answers from every
// host again, the old one included; with a new MAC too.
func TestMove(t *testing.T) {
	c := newCluster(t)
	at := func(host, mac string) string {
		return threeHosts + demo + boxes("demo") + fmt.Sprintf(`
sandbox "m" {
  host = %q
}
endpoint "m" {
  network = network.demo
  sandbox = sandbox.m
  ipv4    = "192.168.0.100"
  ipv6    = "fd00:168::100"
  mac     = %q
}
`, host, mac)
	}
	for i, step := range []struct{ host, mac string }{
		{"a", "02:00:00:00:00:01"}, {"b", "02:00:00:00:00:01"}, {"c", "02:00:00:00:00:02"}, {"a", "02:00:00:00:00:03"}, {"a", "02:00:00:00:00:04"},
	} {
		c.become(c.topology(at(step.host, step.mac)))
		c.pings("a w0 192.168.0.100", "a w0 fd00:168::100", "b w1 192.168.0.100", "b w1 fd00:168::100", "c w2 192.168.0.100", "c w2 fd00:168::100")
		if t.Failed() {
			t.Fatalf("step %d, to host %s", i, step.host)
		}
	}
	c.become(c.topology(threeHosts + demo + boxes("demo")))
	c.clear()
}

// TestClusterRepair: whatever somebody does to the parts of an overlay, the next run puts
// them right, and afterwards everybody reaches everybody.
func TestClusterRepair(t *testing.T) {
	c := newCluster(t)
	topology := c.topology(threeHosts + demo + boxes("demo"))
	c.become(topology)
	in := c.in("a", "demo.overlay")
	for _, damage := range []string{
		in + "ip link del vxlan0",
		in + "ip link del br0",
		in + "ip link set br0 down",
		in + "ip link set br0 address 02:00:00:00:00:99",
		in + "ip link set vxlan0 nomaster",
		in + "ip link set vxlan0 type vxlan learning",
		in + "bridge link set dev vxlan0 neigh_suppress off",
		in + "bridge fdb del 02:42:c0:a8:00:03 dev vxlan0 self",
		in + "bridge fdb del 02:42:c0:a8:00:03 dev vxlan0 master",
		in + "bridge fdb replace 02:42:c0:a8:00:03 dev vxlan0 dst 10.99.0.12 self static",
		in + "bridge fdb add 00:00:00:00:00:00 dev vxlan0 dst 10.99.0.12 self permanent",
		in + "ip neigh flush nud permanent dev br0",
		in + "ip addr del 192.168.0.1/24 dev br0",
		in + "sysctl -qw net.ipv6.conf.br0.disable_ipv6=1",
		c.in("a", "w0") + "ip link del eth0",
		"umount -l " + c.path("a", "demo.overlay") + "; rm " + c.path("a", "demo.overlay"),
		"umount -l " + c.path("a", "w0") + "; rm " + c.path("a", "w0"),
	} {
		c.Sh(damage)
		c.converge("a", topology)
		c.pings("a w0 192.168.0.3", "a w0 192.168.0.4", "a w0 fd00:168::3", "b w1 192.168.0.2", "c w2 fd00:168::2", "a w0 192.168.0.1", "a w0 fd00:168::1")
		if t.Failed() {
			t.Fatalf("after %s", damage)
		}
	}
	c.clear()
}

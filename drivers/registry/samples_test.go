package registry_test

import (
	"encoding/json"
	"net/netip"

	. "github.com/cnmctl/cnmctl/drivers/drivertest"
	"github.com/cnmctl/cnmctl/state"
)

func records() *Records { return &Records{} }

func internal(n *state.Network) { n.Internal = true }

func hostNamespace(s *state.Sandbox) { s.Netns = "" }

var (
	four = []string{"10.1.0.0/24"}
	dual = []string{"10.1.0.0/24", "fd00:1::/64"}
	six  = []string{"fd00:1::/64"}
)

// pair is a network with two endpoints in two sandboxes.
func pair(r *Records, network string) *Records {
	return r.Sandbox("w0").Sandbox("w1").Attach(network, "w0").Attach(network, "w1")
}

func bridgeSamples() map[string]*Records {
	samples := map[string]*Records{
		"plain":       pair(records().Network("front", "bridge", four), "front"),
		"dual-stack":  pair(records().Network("front", "bridge", dual), "front"),
		"v6-only":     pair(records().Network("front", "bridge", six), "front"),
		"two-subnets": pair(records().Network("front", "bridge", []string{"10.1.0.0/24", "10.2.0.0/24"}), "front"),
		"no-subnet":   pair(records().Network("front", "bridge", nil), "front"),
		"empty":       records().Network("front", "bridge", four),
		"icc-off":     pair(records().Network("front", "bridge", dual, "icc = false"), "front"),
		"internal":    pair(records().Network("front", "bridge", dual).Change(internal), "front"),
		"isolated": pair(records().Network("front", "bridge", dual,
			`gateway_mode_ipv4 = "isolated"`, `gateway_mode_ipv6 = "isolated"`).Change(internal), "front"),
		"internal-icc-off": pair(records().Network("front", "bridge", four, "icc = false").Change(internal), "front"),
		"routed": pair(records().Network("front", "bridge", dual,
			`gateway_mode_ipv4 = "routed"`, `gateway_mode_ipv6 = "routed"`), "front"),
		"routed-v6":       pair(records().Network("front", "bridge", dual, `gateway_mode_ipv6 = "routed"`), "front"),
		"nat-unprotected": pair(records().Network("front", "bridge", four, `gateway_mode_ipv4 = "nat-unprotected"`), "front"),
		"snat":            pair(records().Network("front", "bridge", dual, `snat_ipv4 = "192.0.2.1"`, `snat_ipv6 = "2001:db8::1"`), "front"),
		"no-masquerade":   pair(records().Network("front", "bridge", dual, "masquerade = false"), "front"),
		"hairpin-mac-mtu": pair(records().Network("front", "bridge", four, "hairpin = true", `mac = "02:00:00:00:00:01"`).
			Change(func(n *state.Network) { n.MTU = 9000 }), "front"),
		"vlans": records().Network("front", "bridge", four, "vlan_filtering = true").Sandbox("w0").Sandbox("w1").Sandbox("w2").
			Attach("front", "w0", vlans("10")).Attach("front", "w1", vlans("null", 10, 20, 21)).Attach("front", "w2"),
		"inhibit": pair(records().Network("front", "bridge", dual, "inhibit_ipv4 = true"), "front"),
		"adopt":   pair(records().Network("front", "bridge", dual, "adopt = true"), "front"),
		"unisolated": pair(records().Network("front", "bridge", four, "isolation = false").
			Network("back", "bridge", []string{"10.2.0.0/24"}, "isolation = false", `gateway_mode_ipv4 = "routed"`).
			Network("alone", "bridge", []string{"10.3.0.0/24"}), "front").Attach("back", "w0"),
	}
	samples["ports"] = records().Network("front", "bridge", dual).Sandbox("w0").Sandbox("w1").Attach("front", "w0", publishing(
		state.Port{Protocol: "tcp", Host: 8080, Container: 80, Count: 2},
		state.Port{Protocol: "udp", Address: netip.MustParseAddr("192.0.2.1"), Host: 53, Container: 53, Count: 1},
		state.Port{Protocol: "sctp", Address: netip.MustParseAddr("::"), Host: 9000, Container: 9000, Count: 1},
	)).Attach("front", "w1", publishing(state.Port{Protocol: "tcp", Host: 80, Container: 80, Count: 1}))
	samples["ports-trusted"] = records().Network("front", "bridge", dual, `trusted_host_interfaces = ["eth1","eth2"]`).Sandbox("w0").
		Attach("front", "w0", publishing(state.Port{Protocol: "tcp", Host: 8080, Container: 80, Count: 1}))
	samples["ports-routed"] = records().Network("front", "bridge", dual, `gateway_mode_ipv6 = "routed"`, "icc = false").Sandbox("w0").
		Attach("front", "w0", publishing(state.Port{Protocol: "tcp", Host: 8080, Container: 80, Count: 1}))
	samples["link-local"] = records().Network("front", "bridge", four).Network("two", "bridge", []string{"10.2.0.0/24", "fd00:2::/64"}).Sandbox("w0").Sandbox("w1").
		Attach("front", "w0", linkLocal("169.254.7.1", "fe80::7")).Attach("front", "w1", nameless).Attach("two", "w0")
	samples["bridge-vrf"] = records().Network("front", "bridge", dual, `vrf = "red"`, "vrf_table = 10", "isolation = false").
		Network("back", "bridge", []string{"10.2.0.0/24"}, `vrf = "red"`, "vrf_table = 10", `gateway_mode_ipv4 = "routed"`).
		Network("inner", "bridge", []string{"10.3.0.0/24"}, `vrf = "red"`, "vrf_table = 10").Change(internal).
		Network("twin", "bridge", four, `vrf = "blue"`, "vrf_table = 20").
		Sandbox("w0").Sandbox("w1").Attach("front", "w0").Attach("back", "w1").Attach("twin", "w1")
	samples["vrf"] = records().Network("front", "bridge", dual).Network("back", "bridge", []string{"10.2.0.0/24"}).Network("side", "bridge", []string{"10.3.0.0/24"}).
		Sandbox("w0", vrfSandbox).Attach("front", "w0", inVRF("red")).Attach("back", "w0", inVRF("red")).Attach("side", "w0")
	samples["sandbox"] = records().Network("front", "bridge", dual).Network("back", "bridge", []string{"10.2.0.0/24"}).
		Sandbox("w0", fullSandbox).Attach("front", "w0", fullEndpoint).Attach("back", "w0", func(e *state.Endpoint) { e.Priority = 5 })
	return samples
}

func publishing(ports ...state.Port) func(e *state.Endpoint) {
	return func(e *state.Endpoint) { e.Ports = ports }
}

func linkLocal(ips ...string) func(e *state.Endpoint) {
	return func(e *state.Endpoint) {
		for _, ip := range ips {
			e.LinkLocal = append(e.LinkLocal, netip.MustParseAddr(ip))
		}
	}
}

func nameless(e *state.Endpoint) { e.Nameless = true }

func vlans(own string, trunk ...int) func(*state.Endpoint) {
	text, err := json.Marshal(trunk)
	if err != nil {
		panic(err)
	}
	return func(e *state.Endpoint) {
		e.Options = state.Options{"vlan": json.RawMessage(own), "trunk": text}
	}
}

func vrfSandbox(s *state.Sandbox) {
	s.VRFs = map[string]uint32{"red": 10, "blue": 20}
	s.Routes = []state.StaticRoute{
		{To: netip.MustParsePrefix("192.0.2.0/24"), Via: netip.MustParseAddr("10.2.0.9")},
		{To: netip.MustParsePrefix("198.51.100.0/24"), Dev: "eth0", Table: state.MainTable},
		{To: netip.MustParsePrefix("203.0.113.0/24"), Type: state.Blackhole, VRF: "blue"},
	}
}

func inVRF(name string) func(*state.Endpoint) { return func(e *state.Endpoint) { e.VRF = name } }

func fullEndpoint(e *state.Endpoint) {
	e.Aliases = []string{"database", "db"}
	e.Sysctls = map[string]string{"net.ipv4.conf.IFNAME.rp_filter": "2", "net/ipv6/conf/IFNAME/hop_limit": "9"}
}

func fullSandbox(s *state.Sandbox) {
	s.Hostname = "router"
	s.Loopback = []netip.Prefix{netip.MustParsePrefix("10.255.0.1/32"), netip.MustParsePrefix("fd00:ff::1/128")}
	s.Routes = []state.StaticRoute{
		{To: netip.MustParsePrefix("192.0.2.0/24"), Via: netip.MustParseAddr("10.2.0.9")},
		{To: netip.MustParsePrefix("198.51.100.0/24"), Dev: "eth0", Metric: 7, Table: 100, Src: netip.MustParseAddr("10.255.0.1")},
		{To: netip.MustParsePrefix("203.0.113.0/24"), Type: state.Blackhole},
	}
	s.Rules = []state.PolicyRule{{Priority: 1000, From: netip.MustParsePrefix("10.1.0.0/24"), Table: 100}}
	s.Neighbors = []state.StaticNeighbor{{Dev: "eth0", IP: netip.MustParseAddr("10.1.0.77"), MAC: state.MAC{2, 0, 0, 0, 0, 7}}}
	s.Sysctls = map[string]string{"net.ipv4.ip_forward": "1", "net.ipv4.conf.eth1.arp_ignore": "1"}
	s.ExtraHosts = map[string]netip.Addr{"registry": netip.MustParseAddr("192.0.2.7")}
	s.DNS = state.DNS{Servers: []netip.Addr{netip.MustParseAddr("192.0.2.53")}, Search: []string{"example.org"}, Options: []string{"ndots:2"}}
}

func ptpSamples() map[string]*Records {
	return map[string]*Records{
		"ptp-31":         pair(records().Network("link", "ptp", []string{"10.0.0.0/31"}), "link"),
		"ptp-127":        pair(records().Network("link", "ptp", []string{"fd00::/127"}), "link"),
		"ptp-dual":       pair(records().Network("link", "ptp", []string{"10.0.0.0/30", "fd00::/127"}).Change(func(n *state.Network) { n.MTU = 9000 }), "link"),
		"ptp-unnumbered": pair(records().Network("link", "ptp", nil).Change(func(n *state.Network) { n.IPv6 = true }), "link"),
		"ptp-host": records().Network("link", "ptp", []string{"10.0.0.0/31"}).Network("node", "host", nil).
			Sandbox("w0").Sandbox("node", hostNamespace).Attach("link", "w0").Attach("link", "node").Attach("node", "node"),
		"ptp-away": records().Network("link", "ptp", []string{"10.0.0.0/31"}),
	}
}

func nullSamples() map[string]*Records {
	return map[string]*Records{"null": pair(records().Network("none", "null", nil), "none")}
}

func hostSamples() map[string]*Records {
	return map[string]*Records{
		"host": records().Network("node", "host", nil).Sandbox("node", hostNamespace, func(s *state.Sandbox) {
			s.Loopback = []netip.Prefix{netip.MustParsePrefix("10.255.0.1/32")}
			s.Routes = []state.StaticRoute{{To: netip.MustParsePrefix("192.0.2.0/24"), Via: netip.MustParseAddr("10.9.0.1"), Dev: "uplink"}}
			s.Rules = []state.PolicyRule{{Priority: 1000, From: netip.MustParsePrefix("10.1.0.0/24"), Table: 100}}
		}).Attach("node", "node"),
	}
}

// on puts a sandbox on another host.
func on(host string) func(s *state.Sandbox) { return func(s *state.Sandbox) { s.Host = host } }

// overlaySamples are networks of three hosts, as host a sees them.
func overlaySamples() map[string]*Records {
	cluster := func(vteps ...string) *Records {
		return records().Cluster(vteps...).Sandbox("w0").Sandbox("w1").Sandbox("w2", on("b")).Sandbox("w3", on("c"))
	}
	attach := func(r *Records, network string) *Records {
		return r.Attach(network, "w0").Attach(network, "w1").Attach(network, "w2").Attach(network, "w3")
	}
	four4 := []string{"10.99.0.10", "10.99.0.11", "10.99.0.12"}
	return map[string]*Records{
		"overlay":      attach(cluster(four4...).Network("demo", "overlay", four).Change(internal), "demo"),
		"overlay-dual": attach(cluster(four4...).Network("demo", "overlay", dual).Change(internal), "demo"),
		"overlay-six":  attach(cluster("2001:db8::10", "2001:db8::11", "2001:db8::12").Network("demo", "overlay", six).Change(internal), "demo"),
		"overlay-subnets": attach(cluster(four4...).Network("demo", "overlay", []string{"10.1.0.0/24", "10.2.0.0/24", "fd00:1::/64", "fd00:2::/64"},
			"port = 4790", "checksum_offload = true").Change(internal), "demo"),
		"overlay-alone":     records().Network("demo", "overlay", four).Change(internal).Sandbox("w0", on("")).Attach("demo", "w0"),
		"overlay-elsewhere": cluster(four4...).Network("demo", "overlay", four).Attach("demo", "w2").Attach("demo", "w3"),
		"overlay-gateway": attach(cluster(four4...).Network("demo", "overlay", four), "demo").
			Network("gwbridge", "bridge", []string{"172.18.0.0/16"}, "icc = false").Attach("gwbridge", "w0", implied).Attach("gwbridge", "w2", implied),
		"overlay-ports": cluster(four4...).Network("demo", "overlay", four).
			Attach("demo", "w0", publishing(state.Port{Protocol: "tcp", Host: 8080, Container: 80, Count: 1})).
			Network("gwbridge", "bridge", []string{"172.18.0.0/16"}, "icc = false").Attach("gwbridge", "w0", implied),
		"overlay-host": attach(cluster(four4...).Network("demo", "overlay", []string{"10.1.0.0/24", "10.2.0.0/24"}).Change(internal), "demo").
			Network("node", "host", nil).Sandbox("node", hostNamespace).Attach("node", "node").
			Attach("demo", "node", func(e *state.Endpoint) { e.Interface = "ov0" }),
		"overlay-encrypted":     attach(cluster(four4...).Network("demo", "overlay", four, "encrypted = true").Change(internal), "demo"),
		"overlay-encrypted-six": attach(cluster("2001:db8::10", "2001:db8::11", "2001:db8::12").Network("demo", "overlay", dual, "encrypted = true", "port = 4790").Change(internal), "demo"),
		"bridge-elsewhere":      cluster(four4...).Network("front", "bridge", four).Attach("front", "w2"),
	}
}

func noMAC(e *state.Endpoint) { e.MAC = state.MAC{} }

func device(name string) func(n *state.Network) {
	return func(n *state.Network) { n.Device = name }
}

// macvlanSamples are networks on an interface, on a VLAN of it that two share, and on none.
func macvlanSamples() map[string]*Records {
	return map[string]*Records{
		"macvlan":         pair(records().Network("lan", "macvlan", dual, `parent = "uplink"`), "lan"),
		"macvlan-private": pair(records().Network("lan", "macvlan", four, `parent = "uplink"`, `mode = "private"`).Change(func(n *state.Network) { n.MTU = 1400 }), "lan"),
		"macvlan-passthru": records().Network("lan", "macvlan", four, `parent = "uplink"`, `mode = "passthru"`).
			Sandbox("w0").Attach("lan", "w0", noMAC),
		"macvlan-vlan": records().Network("lan", "macvlan", four, `parent = "uplink.10"`).
			Network("tan", "macvlan", []string{"10.2.0.0/24"}, `parent = "uplink.10"`, `mode = "vepa"`).
			Sandbox("w0").Sandbox("w1").Attach("lan", "w0").Attach("tan", "w1"),
		"macvlan-dummy":    pair(records().Network("lan", "macvlan", four).Change(internal).Change(device("dm-lan")), "lan"),
		"macvlan-unused":   records().Network("lan", "macvlan", four, `parent = "uplink.10"`),
		"macvlan-internal": pair(records().Network("lan", "macvlan", dual, `parent = "uplink"`).Change(internal), "lan"),
		"macvlan-host": pair(records().Network("lan", "macvlan", four, `parent = "uplink"`), "lan").
			Network("node", "host", nil).Sandbox("node", hostNamespace).Attach("node", "node").
			Attach("lan", "node", func(e *state.Endpoint) { e.Interface = "lan0" }),
	}
}

func ipvlanSamples() map[string]*Records {
	pair := func(r *Records) *Records {
		return r.Sandbox("w0").Sandbox("w1").Attach("lan", "w0", noMAC).Attach("lan", "w1", noMAC)
	}
	return map[string]*Records{
		"ipvlan":         pair(records().Network("lan", "ipvlan", dual, `parent = "uplink"`)),
		"ipvlan-l3":      pair(records().Network("lan", "ipvlan", dual, `parent = "uplink"`, `mode = "l3"`)),
		"ipvlan-l3s":     pair(records().Network("lan", "ipvlan", four, `parent = "uplink"`, `mode = "l3s"`, `flag = "vepa"`)),
		"ipvlan-private": pair(records().Network("lan", "ipvlan", four, `parent = "uplink.10"`, `flag = "private"`)),
		"ipvlan-dummy":   pair(records().Network("lan", "ipvlan", four).Change(device("di-lan")).Change(internal)),
	}
}

func implied(e *state.Endpoint) { e.Implied = true }

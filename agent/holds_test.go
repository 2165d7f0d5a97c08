package agent

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/cnmctl/cnmctl/state"
)

// What a host puts back into a store that has lost its data: what its kernel says, and of
// addresses of which that does not say the network, what it confirms.
func TestHolds(t *testing.T) {
	of := func(a state.Address) state.Owner { return state.Owner{Stack: "shop", Address: a} }
	ip := netip.MustParsePrefix
	web, lan := state.Netns("web"), of("endpoint.lan[\"a\"]")
	live, past := state.World{}, state.World{}
	live.Add(
		state.Link{Place: state.Host, Name: "br", Type: state.Bridge, Mark: of("network.front")},
		state.IPAddress{Place: state.Host, Link: "br", Prefix: ip("10.1.0.1/24"), Mark: of("network.front")},
		state.Link{Place: state.Host, Name: "v", Type: state.Veth, Mark: of("endpoint.web"), Master: "br", Peer: state.End{Place: web, Name: "eth0"}},
		state.Link{Place: web, Name: "eth0", Type: state.Veth, Mark: of("endpoint.web"), Peer: state.End{Place: state.Host, Name: "v"}},
		state.IPAddress{Place: web, Link: "eth0", Prefix: ip("10.1.0.5/24"), Mark: of("endpoint.web")},
		state.Link{Place: web, Name: "eth1", Type: state.Macvlan, Mark: lan},
		state.IPAddress{Place: web, Link: "eth1", Prefix: ip("192.0.2.5/24"), Mark: lan},
		state.IPAddress{Place: web, Link: "eth1", Prefix: ip("192.0.2.6/24"), Mark: lan}, // not the endpoint's
		state.IPAddress{Place: web, Link: "eth1", Prefix: ip("192.0.2.5/32"), Mark: lan}, // once more
		state.Link{Place: "ns/tunnel", Name: "vx0", Type: state.VXLAN, Mark: of("network.all"), Tunnel: state.Tunnel{VNI: 256}},
		state.Ruleset{Place: state.Host, Table: "cnm_shop", Sets: []state.Set{
			{Name: "ports4", Key: state.ProtoPort, Data: state.AddrPort4, Elements: []state.Element{
				{Key: "tcp . 8080", Data: "10.1.0.5 . 80", Owner: "endpoint.web"},
				{Key: "udp . 53", Data: "192.0.2.5 . 5353", Owner: "endpoint.lan['a']"},
				{Key: "tcp . 1", Data: "10.1.0.9 . 1", Owner: "endpoint.gone"},
			}},
			{Name: "ports6", Key: state.ProtoPort, Data: state.AddrPort6, Elements: []state.Element{{Key: "tcp . 8080", Data: "fd00::5 . 80", Owner: "endpoint.web"}}},
			{Name: "published4", Key: "ipv4_addr", Elements: []state.Element{{Key: "10.1.0.5 . tcp . 80", Owner: "endpoint.web"}}},
		}},
	)
	past.Add(state.Endpoint{Mark: lan, Network: "network.lan", IPv4: ip("192.0.2.5/24")},
		state.Endpoint{Mark: of("endpoint.off"), Network: "network.lan", IPv4: ip("192.0.2.7/24")})
	published := func(p state.Port, by state.Owner) string {
		return state.Claim{Port: p, OnHost: "b", Mark: by}.String() + " " + string(by.Address)
	}
	known := []string{
		"10.1.0.1 of network.front network.front", "10.1.0.5 of network.front endpoint.web", "VNI 256 network.all",
		published(state.Port{Protocol: "tcp", Host: 8080}, of("endpoint.web")), published(state.Port{Protocol: "udp", Host: 53}, lan),
	}
	h := Host{Stack: "shop", Name: "b"}
	for name, c := range map[string]struct {
		past state.World
		want []string
	}{
		"nothing known of before": {nil, known},
		"records of before":       {past, append(slices.Clone(known), "192.0.2.5 of network.lan "+string(lan.Address))},
	} {
		var got []string
		for _, c := range h.holds(live, c.past) {
			got = append(got, c.String()+" "+string(c.Mark.Address))
		}
		slices.Sort(got)
		slices.Sort(c.want)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q,\nwant %q", name, got, c.want)
		}
	}
}

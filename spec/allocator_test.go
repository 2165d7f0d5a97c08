package spec

import (
	"net/netip"
	"strconv"

	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// testAllocator chooses the simplest way: subnets 172.17.0.0/16 upwards, the first free
// address, MACs made from it. The real one is another room's.
type testAllocator struct{ exhausted bool }

func (a testAllocator) Networks(t *Topology) hcl.Diagnostics {
	if a.exhausted && len(t.Networks) > 0 {
		return hcl.Diagnostics{fault(&t.Networks[0].Range, "No free subnet", "All pools are used up.")}
	}
	for k, n := range t.Networks {
		if !n.NoIPv4 && !n.first(false).CIDR.IsValid() && n.Driver != "null" {
			n.Subnets = append(n.Subnets, state.Subnet{CIDR: netip.PrefixFrom(netip.AddrFrom4([4]byte{172, byte(17 + k), 0, 0}), 16)})
		}
		if n.IPv6 && !n.first(true).CIDR.IsValid() {
			n.Subnets = append(n.Subnets, state.Subnet{CIDR: netip.PrefixFrom(netip.AddrFrom16([16]byte{0xfd, byte(k)}), 64)})
		}
		for i, s := range n.Subnets {
			if !s.Gateway.IsValid() && n.Driver == "bridge" {
				n.Subnets[i].Gateway = s.CIDR.Addr().Next()
			}
		}
		n.Device = "br-" + n.Name
	}
	return nil
}

func (a testAllocator) Endpoints(t *Topology) hcl.Diagnostics {
	networks, taken, next := map[state.Address]*Network{}, map[netip.Addr]bool{}, map[netip.Prefix]netip.Addr{}
	for _, n := range t.Networks {
		networks[n.Mark.Address] = n
		for _, s := range n.Subnets {
			taken[s.Gateway] = true
			next[s.CIDR] = s.CIDR.Addr().Next()
		}
	}
	for _, e := range t.Endpoints {
		taken[e.IPv4.Addr()], taken[e.IPv6.Addr()] = true, true
	}
	links := map[state.Address]int{}
	for _, e := range t.Endpoints {
		for _, s := range networks[e.Network].Subnets {
			into := &e.IPv4
			if s.CIDR.Addr().Is6() {
				into = &e.IPv6
			}
			if s.CIDR.Contains(into.Addr()) {
				*into = netip.PrefixFrom(into.Addr(), s.CIDR.Bits())
			}
			for ; !into.IsValid(); next[s.CIDR] = next[s.CIDR].Next() {
				if at := next[s.CIDR]; !taken[at] {
					*into = netip.PrefixFrom(at, s.CIDR.Bits())
				}
			}
		}
		if e.MAC.IsZero() && e.IPv4.IsValid() {
			ip := e.IPv4.Addr().As4()
			e.MAC = state.MAC{2, 0x42, ip[0], ip[1], ip[2], ip[3]}
		}
		if e.Interface == "" && e.Sandbox != "" {
			e.Interface = networks[e.Network].Prefix + strconv.Itoa(links[e.Sandbox])
			links[e.Sandbox]++
		}
	}
	return nil
}

// testDrivers are drivers with options of all sorts.
func testDrivers() []DriverSchema {
	return []DriverSchema{
		{Name: "bridge", Doc: "A Linux bridge.",
			Network: Schema{Attrs: []AttrSchema{
				{Name: "icc", Type: cty.Bool, Default: cty.True, Doc: "Endpoints may talk to each other."},
				{Name: "name", Type: cty.String, Doc: "The bridge's name.", Check: onStrings(checkInterface)},
				{Name: "gateway_mode", Type: cty.String, Default: cty.StringVal("nat"), Doc: "How packets leave.", Check: oneOf("nat", "routed", "isolated")},
			}},
			Endpoint: Schema{
				Attrs:  []AttrSchema{{Name: "hairpin", Type: cty.Bool, Default: cty.False, Doc: "Reach yourself."}},
				Blocks: []BlockSchema{{Schema: Schema{Name: "publish", Attrs: []AttrSchema{{Name: "port", Type: cty.Number, Required: true, Doc: "The port."}}}}},
			}},
		{Name: "ptp", Doc: "Two endpoints joined."},
		{Name: "null", Doc: "Loopback only."},
	}
}

package drivers

import (
	"net/netip"
	"slices"

	"github.com/cnmctl/cnmctl/state"
)

// What only plugins know. Until a plugin has answered, the record of a network has no
// subnets and that of an endpoint names among Assigned what is still missing; then the
// answers, which are kept, are filled in. Both are done the same way whether the records
// come from a configuration or from a store.

// AutomaticPools are how many pools of each family the network wants beyond those that it
// names.
func AutomaticPools(n state.Network) (v4, v6 int) {
	v4, v6 = 1, 1
	for _, s := range n.Subnets {
		if s.CIDR.Addr().Is4() {
			v4 = 0
		} else {
			v6 = 0
		}
	}
	if n.NoIPv4 {
		v4 = 0
	}
	if !n.IPv6 {
		v6 = 0
	}
	return v4, v6
}

// Pools are the ranges that the network asks its IPAM plugin for.
func Pools(n state.Network, gateway, global bool) []state.Pool {
	basic := state.Pool{
		Mark: n.Mark, Plugin: n.IPAM.Driver, Space: n.IPAM.Space, Global: global, WithGateway: gateway,
		Options: n.IPAM.Options, Timeout: n.IPAM.Timeout,
	}
	var pools []state.Pool
	add := func(p state.Pool) {
		p.Number = len(pools)
		pools = append(pools, p)
	}
	for _, s := range n.Subnets {
		p := basic
		p.V6, p.Range, p.Reserved = s.CIDR.Addr().Is6(), s.Range, s.Reserved
		if !s.Given {
			p.CIDR = s.CIDR
		}
		if !s.GivenGateway {
			p.Gateway = s.Gateway
			p.WithGateway = p.WithGateway || s.Gateway.IsValid()
		}
		add(p)
	}
	v4, v6 := AutomaticPools(n)
	for range v4 {
		add(basic)
	}
	for range v6 {
		basic.V6 = true
		add(basic)
	}
	return pools
}

// PoolKeys are the keys of the ranges that the network asks its IPAM plugin for.
func PoolKeys(n state.Network) []state.Key {
	var keys []state.Key
	for _, p := range Pools(n, false, false) {
		keys = append(keys, p.Key())
	}
	return keys
}

// LeaseKeys are the keys of the addresses that the endpoint asks the IPAM plugin for.
func LeaseKeys(n state.Network, e state.Endpoint) []state.Key {
	var keys []state.Key
	for _, l := range leases(n, e) {
		keys = append(keys, l.Key())
	}
	return keys
}

// leases are the addresses that the endpoint asks the network's IPAM plugin for: one of
// each family.
func leases(n state.Network, e state.Endpoint) []state.Lease {
	var leases []state.Lease
	pools := Pools(n, false, false)
	for _, f := range []struct {
		v6    bool
		name  string
		asked netip.Prefix
	}{{false, "ipv4", e.IPv4}, {true, "ipv6", e.IPv6}} {
		l := state.Lease{
			Mark: e.Mark, Plugin: n.IPAM.Driver, Network: n.Mark.Address, V6: f.v6, Timeout: n.IPAM.Timeout, MAC: leaseMAC(e),
		}
		for _, p := range pools {
			if p.V6 == f.v6 {
				l.Pools = append(l.Pools, p.Key())
			}
		}
		if len(l.Pools) == 0 {
			continue
		}
		if !slices.Contains(e.Assigned, f.name) {
			l.IP = f.asked.Addr()
		}
		leases = append(leases, l)
	}
	return leases
}

// leaseMAC is the address that a plugin is told which wants to know one: the endpoint's, or
// one made of its name.
func leaseMAC(e state.Endpoint) state.MAC {
	if !e.MAC.IsZero() && !slices.Contains(e.Assigned, "mac") {
		return e.MAC
	}
	id := []byte(state.PluginID(e.Mark))
	mac := state.MAC{0x02, 0x42}
	for i := range 4 {
		mac[2+i] = hexDigit(id[2*i])<<4 | hexDigit(id[2*i+1])
	}
	return mac
}

func hexDigit(c byte) byte {
	if c >= 'a' {
		return c - 'a' + 10
	}
	return c - '0'
}

// AssignNetwork fills in the subnets that the network's IPAM plugin gave: all, or none.
func AssignNetwork(n *state.Network, answers state.World) {
	if !n.IPAM.Remote() {
		return
	}
	var subnets []state.Subnet
	for i, p := range Pools(*n, true, false) {
		got, ok := answers[p.Key()].(state.Pool)
		if !ok || got.Stage != state.Made {
			n.Assigned = true
			return
		}
		s := state.Subnet{CIDR: got.Got.CIDR, Given: true}
		if i < len(n.Subnets) {
			s = n.Subnets[i]
		}
		if s.Given {
			s.CIDR = got.Got.CIDR
		}
		if !s.Gateway.IsValid() || s.GivenGateway {
			s.Gateway, s.GivenGateway = got.Got.Gateway, got.Got.Gateway.IsValid()
		}
		subnets = append(subnets, s)
	}
	n.Subnets, n.Assigned = subnets, false
}

// AssignEndpoint fills in what the endpoint leaves to plugins, as far as they have said it.
// Plugin is the network plugin that carries its network, "" for none. What is written stays:
// it may be another value than the one that a plugin was asked for once.
func AssignEndpoint(n state.Network, e *state.Endpoint, plugin string, answers state.World) {
	left := func(name string) bool { return slices.Contains(e.Assigned, name) }
	take := func(ipv4, ipv6 netip.Prefix) {
		if left("ipv4") && ipv4.IsValid() {
			e.IPv4 = ipv4
		}
		if left("ipv6") && ipv6.IsValid() {
			e.IPv6 = ipv6
		}
	}
	if n.IPAM.Remote() {
		for _, l := range leases(n, *e) {
			got, ok := answers[l.Key()].(state.Lease)
			switch {
			case !ok || got.Stage != state.Made:
			case l.V6:
				take(netip.Prefix{}, got.Got.Address)
			default:
				take(got.Got.Address, netip.Prefix{})
			}
		}
	}
	given, ok := answers[state.PluginEndpointKey(plugin, e.Mark.Address)].(state.PluginEndpoint)
	if plugin == "" || !ok || given.Stage != state.Made {
		return
	}
	take(given.Joined.IPv4, given.Joined.IPv6)
	if left("mac") {
		e.MAC = given.Joined.MAC
	}
	if left("interface") {
		e.Interface = given.Joined.Interface
	}
}

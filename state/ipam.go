package state

import (
	"net/netip"
	"strconv"
)

// Pool is an address range that an IPAM plugin gives a network.
type Pool struct {
	Mark   Owner // the network
	Plugin string
	// Number counts the network's pools.
	Number int
	// Space is the plugin's address space; "" is its default, that of the cluster for a
	// Global network.
	Space  string `json:",omitempty"`
	Global bool   `json:",omitempty"`
	V6     bool   `json:",omitempty"`
	// CIDR and Range are what is asked for; zero: any.
	CIDR  netip.Prefix `json:",omitzero"`
	Range netip.Prefix `json:",omitzero"`
	// Gateway is asked for; when zero, and WithGateway, the plugin chooses one.
	Gateway     netip.Addr `json:",omitzero"`
	WithGateway bool       `json:",omitempty"`
	// Reserved are taken, by the name that says why.
	Reserved map[string]netip.Addr `json:",omitempty"`
	Options  map[string]string     `json:",omitempty"`
	// Timeout of each call in seconds; 0 is the default.
	Timeout int   `json:",omitempty"`
	Stage   Stage `json:",omitempty"`
	// Got is what the plugin answered.
	Got PoolGot `json:",omitzero"`
}

// PoolGot is what a plugin gives with a pool.
type PoolGot struct {
	ID      string       `json:",omitempty"`
	Space   string       `json:",omitempty"`
	CIDR    netip.Prefix `json:",omitzero"`
	Gateway netip.Addr   `json:",omitzero"`
	// Addresses are those that were requested with the pool, which go back with it.
	Addresses []netip.Addr `json:",omitempty"`
}

// PoolKey is the key of a network's pool.
func PoolKey(plugin string, network Address, number int) Key {
	return Key{KindPool, IPAM(plugin), string(network) + " " + strconv.Itoa(number)}
}

// Key, Owner, Needs and Inside make Pool an Object.
func (p Pool) Key() Key      { return PoolKey(p.Plugin, p.Mark.Address, p.Number) }
func (p Pool) Owner() Owner  { return p.Mark }
func (p Pool) Needs() []Key  { return nil }
func (p Pool) Inside() []Key { return nil }

// Reached, At and Answered make Pool Asked.
func (p Pool) Reached() Stage { return p.Stage }
func (p Pool) At(s Stage) Asked {
	p.Stage = s
	return p
}
func (p Pool) Answered(now Object) Asked {
	if live, ok := now.(Pool); ok {
		p.Got, p.Stage = live.Got, live.Stage
	}
	return p
}

func (p Pool) asked() []Attr {
	attrs := fixedAll(strAttr("plugin", p.Plugin), strAttr("call", "IpamDriver.RequestPool"))
	attrs = append(attrs, strAttr("address_space", p.Space).fixed().quiet(), boolAttr("ipv6", p.V6).fixed().quiet(),
		prefixAttr("pool", p.CIDR).fixed().quiet(), prefixAttr("range", p.Range).fixed().quiet(),
		strAttr("request_gateway", addrText(p.Gateway)).fixed().quiet(), boolAttr("with_gateway", p.WithGateway).fixed().quiet(),
		Attr{Name: "reserved", Value: mapText(p.Reserved), Fixed: true, Quiet: true},
		mapAttr("options", p.Options).fixed().quiet())
	return append(attrs, p.Stage.attr(), markAttr(p.Mark))
}

// Attrs are what is asked for, and what the plugin answers.
func (p Pool) Attrs() []Attr {
	known := p.Got.ID != ""
	attrs := append(p.asked(), answer("cidr", prefixText(p.Got.CIDR), known))
	if p.WithGateway {
		attrs = append(attrs, answer("gateway", addrText(p.Got.Gateway), known))
	}
	return attrs
}

// Differences compares what is asked for.
func (p Pool) Differences(live Object) []Field {
	return compared(p.asked(), live.Attrs())
}

// Lease is an address that an IPAM plugin gives an endpoint.
type Lease struct {
	Mark    Owner // the endpoint
	Plugin  string
	Network Address
	V6      bool `json:",omitempty"`
	// Pools are the network's of the family, in order; the address comes from the first one
	// that has it.
	Pools []Key
	// IP is asked for; zero: any.
	IP netip.Addr `json:",omitzero"`
	// MAC is told the plugin if it wants to know one.
	MAC     MAC
	Options map[string]string `json:",omitempty"`
	Timeout int               `json:",omitempty"`
	Stage   Stage             `json:",omitempty"`
	Got     LeaseGot          `json:",omitzero"`
}

// LeaseGot is what a plugin gives with an address.
type LeaseGot struct {
	Pool    string       `json:",omitempty"` // its ID
	Address netip.Prefix `json:",omitzero"`
	// MAC is the one that the plugin was told; zero: it did not want to know.
	MAC MAC `json:",omitzero"`
}

// LeaseKey is the key of an endpoint's address.
func LeaseKey(plugin string, endpoint Address, v6 bool) Key {
	family := " ipv4"
	if v6 {
		family = " ipv6"
	}
	return Key{KindLease, IPAM(plugin), string(endpoint) + family}
}

// Key, Owner, Needs and Inside make Lease an Object.
func (l Lease) Key() Key      { return LeaseKey(l.Plugin, l.Mark.Address, l.V6) }
func (l Lease) Owner() Owner  { return l.Mark }
func (l Lease) Needs() []Key  { return l.Pools }
func (l Lease) Inside() []Key { return nil }

// Reached, At and Answered make Lease Asked.
func (l Lease) Reached() Stage { return l.Stage }
func (l Lease) At(s Stage) Asked {
	l.Stage = s
	return l
}
func (l Lease) Answered(now Object) Asked {
	if live, ok := now.(Lease); ok {
		l.Got, l.Stage = live.Got, live.Stage
	}
	return l
}

// Follows: an address goes with its pool.
func (l Lease) Follows() []Key { return l.Pools }

func (l Lease) asked() []Attr {
	attrs := fixedAll(strAttr("plugin", l.Plugin), strAttr("call", "IpamDriver.RequestAddress"))
	attrs = append(attrs, strAttr("request", addrText(l.IP)).fixed().quiet(), strAttr("network", string(l.Network)).fixed().quiet(),
		mapAttr("options", l.Options).fixed().quiet())
	return append(attrs, l.Stage.attr(), markAttr(l.Mark))
}

// Attrs are what is asked for, and what the plugin answers.
func (l Lease) Attrs() []Attr {
	return append(l.asked(), answer("address", prefixText(l.Got.Address), l.Got.Address.IsValid()))
}

// Differences compares what is asked for.
func (l Lease) Differences(live Object) []Field { return compared(l.asked(), live.Attrs()) }

package state

import (
	"net/netip"
	"strconv"
	"strings"
)

// PluginNetwork is a network as a network plugin has it.
type PluginNetwork struct {
	Mark   Owner
	Plugin string
	ID     string
	// Global networks are allocated before they are made, once for all hosts.
	Global   bool
	Internal bool `json:",omitempty"`
	// Ranges are those of the network; for a network with IPAM of a plugin they are Pools.
	Ranges  []Subnet          `json:",omitempty"`
	Pools   []Key             `json:",omitempty"`
	IPv4    bool              `json:",omitempty"`
	IPv6    bool              `json:",omitempty"`
	Options map[string]string `json:",omitempty"`
	Timeout int               `json:",omitempty"`
	Stage   Stage             `json:",omitempty"`
}

// PluginNetworkKey is the key of a network in a plugin.
func PluginNetworkKey(plugin string, network Address) Key {
	return Key{KindPluginNetwork, Plugin(plugin), string(network)}
}

// Key, Owner, Needs and Inside make PluginNetwork an Object.
func (n PluginNetwork) Key() Key      { return PluginNetworkKey(n.Plugin, n.Mark.Address) }
func (n PluginNetwork) Owner() Owner  { return n.Mark }
func (n PluginNetwork) Inside() []Key { return nil }

// Needs are its pools and its allocation.
func (n PluginNetwork) Needs() []Key {
	if n.Global {
		return append([]Key{AllocationKey(n.Plugin, n.Mark.Address)}, n.Pools...)
	}
	return n.Pools
}

// Follows: a network goes with its pools.
func (n PluginNetwork) Follows() []Key { return n.Needs() }

// Reached, At and Answered make PluginNetwork Asked.
func (n PluginNetwork) Reached() Stage { return n.Stage }
func (n PluginNetwork) At(s Stage) Asked {
	n.Stage = s
	return n
}
func (n PluginNetwork) Answered(Object) Asked { return n }

func (n PluginNetwork) asked() []Attr {
	attrs := fixedAll(strAttr("plugin", n.Plugin), strAttr("call", "NetworkDriver.CreateNetwork"), strAttr("id", n.ID))
	return append(append(attrs, n.shape()...), n.Stage.attr(), markAttr(n.Mark))
}

// shape is what a plugin is told of the network.
func (n PluginNetwork) shape() (attrs []Attr) {
	for i, s := range n.Ranges {
		attrs = append(attrs, strAttr("subnet["+strconv.Itoa(i)+"]", s.String()))
	}
	attrs = append(attrs, intAttr("subnets", len(n.Ranges)), keysAttr("pools", n.Pools), boolAttr("global", n.Global),
		boolAttr("internal", n.Internal), boolAttr("ipv4", n.IPv4), boolAttr("ipv6", n.IPv6), mapAttr("options", n.Options))
	for i := range attrs {
		attrs[i].Quiet = true
	}
	return fixedAll(attrs...)
}

// Attrs are what is asked for.
func (n PluginNetwork) Attrs() []Attr { return n.asked() }

// Allocation is what a plugin reserves for a network in the whole cluster.
type Allocation struct {
	PluginNetwork
	// Got is what the plugin answered, which goes with each CreateNetwork.
	Got map[string]string `json:",omitempty"`
}

// AllocationKey is the key of a network's allocation.
func AllocationKey(plugin string, network Address) Key {
	return Key{KindAllocation, IPAM(plugin), string(network)}
}

// Key and Needs differ from those of the network that is made.
func (a Allocation) Key() Key       { return AllocationKey(a.Plugin, a.Mark.Address) }
func (a Allocation) Needs() []Key   { return a.Pools }
func (a Allocation) Follows() []Key { return a.Pools }

// Reached, At and Answered make Allocation Asked.
func (a Allocation) Reached() Stage { return a.Stage }
func (a Allocation) At(s Stage) Asked {
	a.Stage = s
	return a
}
func (a Allocation) Answered(now Object) Asked {
	if live, ok := now.(Allocation); ok {
		a.Got, a.Stage = live.Got, live.Stage
	}
	return a
}

func (a Allocation) asked() []Attr {
	attrs := fixedAll(strAttr("plugin", a.Plugin), strAttr("call", "NetworkDriver.AllocateNetwork"), strAttr("id", a.ID))
	return append(append(attrs, a.shape()...), a.Stage.attr(), markAttr(a.Mark))
}

// Attrs are what is asked for, and what the plugin answers.
func (a Allocation) Attrs() []Attr {
	return append(a.asked(), mapAttr("options_given", a.Got).quiet())
}

// Differences compares what is asked for.
func (a Allocation) Differences(live Object) []Field { return compared(a.asked(), live.Attrs()) }

func keysAttr(name string, keys []Key) Attr {
	texts := make([]string, len(keys))
	for i, k := range keys {
		texts[i] = k.Name
	}
	return listAttr(name, texts).fixed().quiet()
}

// PluginEndpoint is an endpoint as a network plugin has it, joined to its sandbox.
type PluginEndpoint struct {
	Mark    Owner
	Plugin  string
	Network Address
	// NetworkID and ID are what the plugin knows network and endpoint by.
	NetworkID, ID string
	// In is the sandbox, and Path where its namespace is in the file system.
	In   Place
	Path string
	// IPv4, IPv6 and MAC are what is asked for; zero is left to the plugin. Leases are
	// addresses that an IPAM plugin gives.
	IPv4   netip.Prefix `json:",omitzero"`
	IPv6   netip.Prefix `json:",omitzero"`
	MAC    MAC          `json:",omitzero"`
	Leases []Key        `json:",omitempty"`
	// Interface is the name in the sandbox; "" is the plugin's choice, which is none of
	// Taken.
	Interface string            `json:",omitempty"`
	Taken     []string          `json:",omitempty"`
	Options   map[string]string `json:",omitempty"`
	Labels    map[string]string `json:",omitempty"`
	Ports     []Port            `json:",omitempty"`
	Timeout   int               `json:",omitempty"`
	Stage     Stage             `json:",omitempty"`
	// Joined is what the plugin answered.
	Joined Joined `json:",omitzero"`
}

// Joined is what a network plugin says of an endpoint.
type Joined struct {
	// IPv4, IPv6 and MAC are the endpoint's: as asked for, or the plugin's choice.
	IPv4 netip.Prefix `json:",omitzero"`
	IPv6 netip.Prefix `json:",omitzero"`
	MAC  MAC          `json:",omitzero"`
	// Source is the interface on the host that is for the sandbox, Interface its name there.
	Source    string `json:",omitempty"`
	Interface string `json:",omitempty"`
	// Gateway4 and Gateway6 are next hops out of the sandbox.
	Gateway4 netip.Addr   `json:",omitzero"`
	Gateway6 netip.Addr   `json:",omitzero"`
	Routes   []GivenRoute `json:",omitempty"`
	// NoService: the sandbox needs no other way out.
	NoService bool `json:",omitempty"`
	// Info is what the plugin has to say beyond that.
	Info map[string]string `json:",omitempty"`
}

// GivenRoute is a route that a plugin wants in a sandbox; without Via, To is on the link.
type GivenRoute struct {
	To  netip.Prefix
	Via netip.Addr `json:",omitzero"`
}

// PluginEndpointKey is the key of an endpoint in a plugin.
func PluginEndpointKey(plugin string, endpoint Address) Key {
	return Key{KindPluginEndpoint, Plugin(plugin), string(endpoint)}
}

// Key, Owner and Inside make PluginEndpoint an Object.
func (e PluginEndpoint) Key() Key      { return PluginEndpointKey(e.Plugin, e.Mark.Address) }
func (e PluginEndpoint) Owner() Owner  { return e.Mark }
func (e PluginEndpoint) Inside() []Key { return nil }

// Needs are its network, its addresses, and the namespace that it joins.
func (e PluginEndpoint) Needs() []Key {
	keys := append([]Key{PluginNetworkKey(e.Plugin, e.Network)}, e.Leases...)
	if ns, ok := e.In.Netns(); ok {
		keys = append(keys, NamespaceKey(ns))
	}
	return keys
}

// Reached, At and Answered make PluginEndpoint Asked.
func (e PluginEndpoint) Reached() Stage { return e.Stage }
func (e PluginEndpoint) At(s Stage) Asked {
	e.Stage = s
	return e
}
func (e PluginEndpoint) Answered(now Object) Asked {
	if live, ok := now.(PluginEndpoint); ok {
		e.Joined, e.Stage = live.Joined, live.Stage
	}
	return e
}

// Follows: whatever it needs.
func (e PluginEndpoint) Follows() []Key { return e.Needs() }

func (e PluginEndpoint) asked() []Attr {
	attrs := fixedAll(strAttr("plugin", e.Plugin), strAttr("call", "NetworkDriver.CreateEndpoint, NetworkDriver.Join"),
		strAttr("id", e.ID), strAttr("network", e.NetworkID).quiet(), strAttr("sandbox", e.Path))
	attrs = append(attrs, prefixAttr("request_ipv4", e.IPv4).fixed().quiet(), prefixAttr("request_ipv6", e.IPv6).fixed().quiet(),
		strAttr("request_mac", e.MAC.String()).fixed().quiet(), keysAttr("leases", e.Leases),
		strAttr("request_interface", e.Interface).fixed().quiet(),
		mapAttr("options", e.Options).fixed().quiet(), mapAttr("labels", e.Labels).fixed().quiet(), portsAttr(e.Ports))
	return append(attrs, e.Stage.attr(), markAttr(e.Mark))
}

// Attrs are what is asked for, and what the plugin answers.
func (e PluginEndpoint) Attrs() []Attr {
	j, known := e.Joined, e.Joined.Interface != "" || e.Joined.Source != ""
	attrs := append(e.asked(), answer("source", j.Source, known), answer("gateway", addrText(j.Gateway4), known))
	if j.Gateway6.IsValid() {
		attrs = append(attrs, strAttr("gateway_ipv6", j.Gateway6.String()))
	}
	routes := make([]string, len(j.Routes))
	for i, r := range j.Routes {
		routes[i] = strings.TrimSuffix(r.To.String()+" via "+addrText(r.Via), " via ")
	}
	if !known {
		return append(attrs, Attr{Name: "routes", Value: Assigned})
	}
	attrs = append(attrs, listAttr("routes", routes))
	if j.NoService {
		attrs = append(attrs, boolAttr("disable_gateway_service", true).quiet())
	}
	return append(attrs, mapAttr("info", j.Info).quiet())
}

// Differences compares what is asked for.
func (e PluginEndpoint) Differences(live Object) []Field { return compared(e.asked(), live.Attrs()) }

// WayOut is an endpoint of a plugin being its sandbox's way out.
type WayOut struct {
	Mark          Owner // the endpoint
	Plugin        string
	NetworkID, ID string
	Options       map[string]string `json:",omitempty"`
	Ports         []Port            `json:",omitempty"`
	Timeout       int               `json:",omitempty"`
	Stage         Stage             `json:",omitempty"`
}

// Key, Owner and Inside make WayOut an Object.
func (w WayOut) Key() Key      { return Key{KindWayOut, Plugin(w.Plugin), string(w.Mark.Address)} }
func (w WayOut) Owner() Owner  { return w.Mark }
func (w WayOut) Inside() []Key { return nil }

// Needs is the endpoint.
func (w WayOut) Needs() []Key { return []Key{PluginEndpointKey(w.Plugin, w.Mark.Address)} }

// Reached, At and Answered make WayOut Asked.
func (w WayOut) Reached() Stage { return w.Stage }
func (w WayOut) At(s Stage) Asked {
	w.Stage = s
	return w
}
func (w WayOut) Answered(Object) Asked { return w }

// Follows: the endpoint.
func (w WayOut) Follows() []Key { return w.Needs() }

// Attrs are what is asked for.
func (w WayOut) Attrs() []Attr {
	attrs := fixedAll(strAttr("plugin", w.Plugin), strAttr("call", "NetworkDriver.ProgramExternalConnectivity"), strAttr("id", w.ID))
	return append(attrs, mapAttr("options", w.Options).fixed().quiet(), portsAttr(w.Ports), w.Stage.attr(), markAttr(w.Mark))
}

// portsAttr are the ports that a plugin is to publish.
func portsAttr(ports []Port) Attr {
	texts := make([]string, len(ports))
	for i, p := range ports {
		texts[i] = p.String()
	}
	return listAttr("ports", texts).fixed().quiet()
}

// Node is a host of the cluster that a network plugin was told of.
type Node struct {
	Mark    Owner // the host
	Plugin  string
	Address netip.Addr
	Self    bool
	Timeout int   `json:",omitempty"`
	Stage   Stage `json:",omitempty"`
}

// Key, Owner, Needs and Inside make Node an Object.
func (n Node) Key() Key      { return Key{KindNode, Plugin(n.Plugin), string(n.Mark.Address)} }
func (n Node) Owner() Owner  { return n.Mark }
func (n Node) Needs() []Key  { return nil }
func (n Node) Inside() []Key { return nil }

// Reached, At and Answered make Node Asked.
func (n Node) Reached() Stage { return n.Stage }
func (n Node) At(s Stage) Asked {
	n.Stage = s
	return n
}
func (n Node) Answered(Object) Asked { return n }

// Attrs are what the plugin is told.
func (n Node) Attrs() []Attr {
	attrs := fixedAll(strAttr("plugin", n.Plugin), strAttr("call", "NetworkDriver.DiscoverNew"), strAttr("address", n.Address.String()))
	return append(attrs, boolAttr("self", n.Self).fixed().quiet(), n.Stage.attr(), markAttr(n.Mark))
}

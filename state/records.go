package state

import (
	"encoding/json"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Options are a driver's own settings, by name, each as canonical JSON (which for the
// types that options have is also a literal of the language). They are checked against
// the driver's schema before they get here, and hold its defaults.
type Options map[string]json.RawMessage

// Decode fills v, the driver's typed options, whose json tags are the option names.
func (o Options) Decode(v any) error {
	text, err := json.Marshal(o)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, v)
}

// Network is the record of a network: what the configuration says, with everything that
// was left open chosen. Drivers read it, the store keeps it, a plan shows it. Before
// planner.Allocate, zero values stand for what is still to be chosen.
type Network struct {
	Mark   Owner
	Name   string
	Driver string
	// Device is the interface that carries the network on a host (the bridge), "" when
	// the driver has none.
	Device  string
	Subnets []Subnet
	// Internal: no way out.
	Internal bool
	// NoIPv4 and IPv6 say which families get automatic subnets.
	NoIPv4, IPv6 bool
	// MTU in bytes; 0: what the kernel gives new links.
	MTU int
	// VNIs are the VXLAN network identifiers of a network of tunnels: the first is that of
	// its first IPv4 and its first IPv6 subnet, and so on.
	VNIs []uint32 `json:",omitempty"`
	// Implied: nobody wrote the network; others need it.
	Implied bool `json:",omitempty"`
	// IPAM is who gives out the network's addresses.
	IPAM IPAMDriver `json:",omitzero"`
	// Assigned: a plugin is still to say which subnets the network has.
	Assigned bool `json:",omitempty"`
	// Prefix begins the names of interfaces in sandboxes: "eth".
	Prefix  string
	Options Options
	Labels  map[string]string
	// Protected: lifecycle { prevent_destroy = true }. Kept in the record, so that deleting
	// the block does not defeat it.
	Protected bool
	// Hidden are the arguments and nested blocks whose values came from something sensitive.
	Hidden []string `json:",omitempty"`
}

// IPAMDriver is a plugin that gives out addresses; the zero value is cnmctl itself.
type IPAMDriver struct {
	Driver  string
	Space   string            `json:",omitempty"`
	Options map[string]string `json:",omitempty"`
	// Timeout of each call in seconds; 0 is the default.
	Timeout int `json:",omitempty"`
}

// The names of IPAM drivers that are no plugins: cnmctl's own, and none at all.
const (
	IPAMDefault = "default"
	IPAMNull    = "null"
)

// Remote reports that a plugin gives out the addresses.
func (d IPAMDriver) Remote() bool {
	return d.Driver != "" && d.Driver != IPAMDefault && d.Driver != IPAMNull
}

// Subnet is one address range of a network.
type Subnet struct {
	CIDR netip.Prefix
	// Gateway is the host's address in the subnet; zero when the network has none.
	Gateway netip.Addr
	// Range is where automatic addresses come from; zero: all of CIDR.
	Range netip.Prefix
	// Reserved addresses are never handed out, by the name that says why.
	Reserved map[string]netip.Addr
	// Given and GivenGateway: a plugin chose CIDR, or Gateway.
	Given        bool `json:",omitempty"`
	GivenGateway bool `json:",omitempty"`
}

// Endpoint is the record of an endpoint: a sandbox's place in one network.
type Endpoint struct {
	Mark Owner
	// Name is what others on the network call it.
	Name    string
	Network Address
	// Sandbox is where it is attached, "" while it is only published.
	Sandbox Address
	// Host is the sandbox's.
	Host string `json:",omitempty"`
	// IPv4 and IPv6 are its addresses with the subnet's length; zero: none of the family.
	IPv4, IPv6 netip.Prefix
	// LinkLocal are further addresses, each good for the link alone.
	LinkLocal []netip.Addr `json:",omitempty"`
	MAC       MAC
	// Interface is the name inside the sandbox, HostInterface the name of the other end.
	Interface, HostInterface string
	Aliases                  []string
	// Nameless: nobody finds it by a name.
	Nameless bool `json:",omitempty"`
	// VRF is the one of its sandbox that its interface is in; "" for none.
	VRF string `json:",omitempty"`
	// Priority decides which of a sandbox's endpoints is its way out: the highest.
	Priority int
	// Sysctls of the interface: path below net/ with IFNAME for its name, dots or slashes.
	Sysctls map[string]string
	// Ports are those that it publishes on its sandbox's host.
	Ports []Port `json:",omitempty"`
	// Service is what it is registered as; nil: it is not.
	Service *Service `json:",omitempty"`
	// Bandwidth and Impairment are how fast and how badly it sends.
	Bandwidth  Bandwidth  `json:",omitzero"`
	Impairment Impairment `json:",omitzero"`
	Options    Options
	Labels     map[string]string
	Protected  bool
	// Hidden are as in Network.
	Hidden []string `json:",omitempty"`
	// Implied: nobody wrote the endpoint; its sandbox needs it. Nobody looks up its name.
	Implied bool `json:",omitempty"`
	// Assigned are the attributes that are a plugin's to give: ipv4, ipv6, mac, interface.
	Assigned []string `json:",omitempty"`
}

// Sandbox is the record of a sandbox: a network namespace with its routes and files.
type Sandbox struct {
	Mark Owner
	Name string
	// Host is where the sandbox lives, "" for the only host.
	Host string
	// Netns is the namespace's name in the netns directory; "" is the host's own namespace
	// (the host driver).
	Netns string
	// Foreign: the namespace is somebody else's, and Netns is how to find it (see Container).
	// Nothing is touched in it but what the stack has put there.
	Foreign bool `json:",omitempty"`
	// Shares is the sandbox whose namespace this one is too; "" for none.
	Shares   Address `json:",omitempty"`
	Hostname string
	// VRFs are routing tables of their own, by the names of the devices that stand for them.
	VRFs map[string]uint32 `json:",omitempty"`
	// Loopback are extra addresses on lo.
	Loopback  []netip.Prefix
	Routes    []StaticRoute
	Rules     []PolicyRule
	Neighbors []StaticNeighbor
	Sysctls   map[string]string
	// ExtraHosts are lines of the hosts file: name to address.
	ExtraHosts map[string]netip.Addr
	DNS        DNS
	Labels     map[string]string
	Protected  bool
	// Hidden are as in Network.
	Hidden []string `json:",omitempty"`
}

// StaticRoute is a route of a sandbox that its configuration asks for.
type StaticRoute struct {
	To     netip.Prefix `json:"to"`
	Via    netip.Addr   `json:"via,omitzero"`
	Dev    string       `json:"dev,omitempty"`
	Src    netip.Addr   `json:"src,omitzero"`
	Metric uint32       `json:"metric,omitempty"`
	Table  uint32       `json:"table"`
	VRF    string       `json:"vrf,omitempty"`
	Type   RouteType    `json:"type"`
	OnLink bool         `json:"on_link,omitempty"`
}

// PolicyRule is a policy routing rule of a sandbox.
type PolicyRule struct {
	Priority uint32       `json:"priority"`
	From     netip.Prefix `json:"from,omitzero"`
	To       netip.Prefix `json:"to,omitzero"`
	IPv6     bool         `json:"ipv6,omitempty"`
	Iif      string       `json:"iif,omitempty"`
	Oif      string       `json:"oif,omitempty"`
	FwMark   uint32       `json:"fwmark,omitempty"`
	Table    uint32       `json:"table"`
}

// StaticNeighbor is a permanent neighbor entry of a sandbox.
type StaticNeighbor struct {
	Dev string     `json:"dev"`
	IP  netip.Addr `json:"ip"`
	MAC MAC        `json:"mac"`
}

// DNS is what goes into a sandbox's resolv.conf; all empty: no file, the host's is seen.
type DNS struct {
	Servers []netip.Addr `json:"servers,omitempty"`
	Search  []string     `json:"search,omitempty"`
	Options []string     `json:"options,omitempty"`
}

// HasIPv6 reports that the endpoint takes part in IPv6.
func (e Endpoint) HasIPv6() bool {
	return e.IPv6.IsValid() || slices.ContainsFunc(e.LinkLocal, netip.Addr.Is6)
}

// Place is where the sandbox's objects live.
func (s Sandbox) Place() Place {
	if s.Netns == "" {
		return Host
	}
	return Netns(s.Netns)
}

// RecordKey is the key of the record of the block at address.
func RecordKey(kind Kind, a Address) Key { return Key{kind, Store, string(a)} }

// Key is the block's address.
func (n Network) Key() Key  { return RecordKey(KindNetwork, n.Mark.Address) }
func (e Endpoint) Key() Key { return RecordKey(KindEndpoint, e.Mark.Address) }
func (s Sandbox) Key() Key  { return RecordKey(KindSandbox, s.Mark.Address) }

// Owner is the block itself.
func (n Network) Owner() Owner  { return n.Mark }
func (e Endpoint) Owner() Owner { return e.Mark }
func (s Sandbox) Owner() Owner  { return s.Mark }

// Needs: an endpoint needs its network's record and its sandbox's.
func (n Network) Needs() []Key { return nil }
func (e Endpoint) Needs() []Key {
	keys := []Key{RecordKey(KindNetwork, e.Network)}
	if e.Sandbox != "" {
		keys = append(keys, RecordKey(KindSandbox, e.Sandbox))
	}
	return keys
}
func (s Sandbox) Needs() []Key { return nil }

// Inside is nothing: nothing in a store goes by itself.
func (n Network) Inside() []Key  { return nil }
func (e Endpoint) Inside() []Key { return nil }
func (s Sandbox) Inside() []Key  { return nil }

// Encrypted reports that what hosts send each other of the network is encrypted.
func (n Network) Encrypted() bool { return string(n.Options["encrypted"]) == "true" }

// Attrs of a record are what a user wrote or would have written, with the values chosen.
func (n Network) Attrs() []Attr {
	attrs := []Attr{strAttr("driver", n.Driver).fixed(), strAttr("name", n.Name)}
	if n.Device != "" {
		attrs = append(attrs, strAttr("device", n.Device))
	}
	for i, s := range n.Subnets {
		attrs = append(attrs, Attr{Name: "subnet[" + strconv.Itoa(i) + "]", Value: s.String()})
	}
	if n.Assigned {
		attrs = append(attrs, Attr{Name: "subnet", Value: Assigned})
	}
	if n.IPAM.Driver != "" {
		attrs = append(attrs, strAttr("ipam.driver", n.IPAM.Driver), strAttr("ipam.address_space", n.IPAM.Space).quiet(),
			mapAttr("ipam.options", n.IPAM.Options).quiet(), intAttr("ipam.timeout", n.IPAM.Timeout).quiet())
	}
	if len(n.VNIs) > 0 {
		attrs = append(attrs, numbersAttr("vnis", n.VNIs))
	}
	attrs = append(attrs, boolAttr("internal", n.Internal).quiet())
	attrs = append(attrs, boolAttr("no_ipv4", n.NoIPv4).quiet(), boolAttr("ipv6", n.IPv6).quiet())
	attrs = append(attrs, mtuAttr(n.MTU), strAttr("interface_prefix", n.Prefix).quiet())
	for _, name := range sortedKeys(n.Options) {
		attrs = append(attrs, Attr{Name: n.Driver + "." + name, Value: string(n.Options[name]), Quiet: true})
	}
	return hide(append(attrs, mapAttr("labels", n.Labels).quiet(), boolAttr("prevent_destroy", n.Protected).quiet()), n.Hidden)
}

// String is the subnet as a literal: { cidr = "10.1.0.0/24", gateway = "10.1.0.1" }.
func (s Subnet) String() string {
	var b strings.Builder
	b.WriteString("{ cidr = " + strconv.Quote(s.CIDR.String()))
	if s.Gateway.IsValid() {
		b.WriteString(", gateway = " + strconv.Quote(s.Gateway.String()))
	}
	if s.Range.IsValid() {
		b.WriteString(", range = " + strconv.Quote(s.Range.String()))
	}
	if len(s.Reserved) > 0 {
		b.WriteString(", reserved = " + mapText(s.Reserved))
	}
	return b.String() + " }"
}

func (e Endpoint) Attrs() []Attr {
	attrs := []Attr{
		strAttr("name", e.Name),
		{Name: "network", Value: string(e.Network), Fixed: true},
	}
	attrs = append(attrs, Attr{Name: "sandbox", Value: orNull(string(e.Sandbox))})
	if e.Host != "" {
		attrs = append(attrs, strAttr("host", e.Host).quiet())
	}
	if e.IPv4.IsValid() {
		attrs = append(attrs, strAttr("ipv4", e.IPv4.String()))
	}
	if e.IPv6.IsValid() {
		attrs = append(attrs, strAttr("ipv6", e.IPv6.String()))
	}
	if len(e.LinkLocal) > 0 {
		attrs = append(attrs, jsonAttr("link_local_ips", e.LinkLocal))
	}
	mac := strAttr("mac", e.MAC.String())
	mac.Quiet = e.MAC.IsZero()
	ifname := strAttr("interface", e.Interface)
	ifname.Quiet = e.Interface == ""
	attrs = append(attrs, mac, ifname)
	attrs = e.open(attrs)
	attrs = append(attrs, strAttr("host_interface", e.HostInterface).quiet())
	for i, p := range e.Ports {
		attrs = append(attrs, Attr{Name: "port[" + strconv.Itoa(i) + "]", Value: p.String()})
	}
	if e.VRF != "" {
		attrs = append(attrs, strAttr("vrf", e.VRF))
	}
	if e.Nameless {
		attrs = append(attrs, boolAttr("names", !e.Nameless))
	}
	attrs = append(attrs, listAttr("aliases", e.Aliases).quiet(), intAttr("gateway_priority", e.Priority).quiet())
	attrs = append(attrs, mapAttr("sysctls", e.Sysctls).quiet())
	for _, line := range []Attr{strAttr("bandwidth", e.Bandwidth.String()), strAttr("impairment", e.Impairment.String())} {
		line.Quiet = line.Value == `""`
		attrs = append(attrs, line)
	}
	for _, name := range sortedKeys(e.Options) {
		attrs = append(attrs, Attr{Name: "options." + name, Value: string(e.Options[name]), Quiet: true})
	}
	if e.Service != nil {
		attrs = append(attrs, Attr{Name: "service", Value: e.Service.String()})
	}
	return hide(append(attrs, mapAttr("labels", e.Labels).quiet(), boolAttr("prevent_destroy", e.Protected).quiet()), e.Hidden)
}

// Expects reports that the endpoint has an address of the family, or that a plugin is to give
// it one.
func (e Endpoint) Expects(ipv6 bool) bool {
	name, has := "ipv4", e.IPv4
	if ipv6 {
		name, has = "ipv6", e.IPv6
	}
	return has.IsValid() || slices.Contains(e.Assigned, name)
}

// Answered reports that the plugin has made the endpoint's interface. What it has not given
// by then, an address, it does not give.
func (e Endpoint) Answered() bool {
	return !e.MAC.IsZero() && slices.Contains(e.Assigned, "mac") || e.Interface != "" && slices.Contains(e.Assigned, "interface")
}

// open shows what a plugin is still to give.
func (e Endpoint) open(attrs []Attr) []Attr {
	given := map[string]bool{"ipv4": e.IPv4.IsValid(), "ipv6": e.IPv6.IsValid(), "mac": !e.MAC.IsZero(), "interface": e.Interface != ""}
	for _, name := range e.Assigned {
		if given[name] || e.Answered() {
			continue
		}
		a := Attr{Name: name, Value: Assigned}
		if i := slices.IndexFunc(attrs, func(a Attr) bool { return a.Name == name }); i >= 0 {
			attrs[i] = a
		} else {
			attrs = append(attrs, a)
		}
	}
	return attrs
}

func (s Sandbox) Attrs() []Attr {
	attrs := []Attr{strAttr("name", s.Name), strAttr("netns", s.Netns)}
	if s.Foreign {
		attrs = append(attrs, boolAttr("foreign", s.Foreign))
	}
	if s.Shares != "" {
		attrs = append(attrs, Attr{Name: "shares", Value: string(s.Shares)})
	}
	attrs = append(attrs, strAttr("hostname", s.Hostname).quiet())
	if s.Host != "" {
		attrs = append(attrs, strAttr("host", s.Host))
	}
	if len(s.VRFs) > 0 {
		attrs = append(attrs, Attr{Name: "vrfs", Value: tablesText(s.VRFs)})
	}
	attrs = append(attrs, jsonAttr("loopback", s.Loopback), jsonAttr("routes", s.Routes))
	attrs = append(attrs, jsonAttr("rules", s.Rules), jsonAttr("neighbors", s.Neighbors))
	attrs = append(attrs, mapAttr("sysctls", s.Sysctls).quiet(), jsonAttr("extra_hosts", s.ExtraHosts))
	attrs = append(attrs, jsonAttr("dns", s.DNS), mapAttr("labels", s.Labels).quiet())
	return hide(append(attrs, boolAttr("prevent_destroy", s.Protected).quiet()), s.Hidden)
}

// mtuAttr is null where the kernel chooses.
func mtuAttr(mtu int) Attr {
	if mtu == 0 {
		return Attr{Name: "mtu", Value: "null", Quiet: true}
	}
	return intAttr("mtu", mtu).quiet()
}

func sortedKeys[K ~string, V any](m map[K]V) []K {
	return slices.Sorted(maps.Keys(m))
}

func orNull(s string) string {
	if s == "" {
		return "null"
	}
	return s
}

func listAttr(name string, v []string) Attr {
	quoted := make([]string, len(v))
	for i, s := range v {
		quoted[i] = strconv.Quote(s)
	}
	return Attr{Name: name, Value: "[" + strings.Join(quoted, ", ") + "]"}
}

func numbersAttr(name string, v []uint32) Attr {
	texts := make([]string, len(v))
	for i, n := range v {
		texts[i] = strconv.FormatUint(uint64(n), 10)
	}
	return Attr{Name: name, Value: "[" + strings.Join(texts, ", ") + "]"}
}

func mapAttr(name string, m map[string]string) Attr {
	parts := make([]string, 0, len(m))
	for _, k := range sortedKeys(m) {
		parts = append(parts, strconv.Quote(k)+" = "+strconv.Quote(m[k]))
	}
	return Attr{Name: name, Value: "{" + strings.Join(parts, ", ") + "}"}
}

// tablesText are VRFs as a literal: { blue = 20, red = 10 }.
func tablesText(m map[string]uint32) string {
	parts := make([]string, 0, len(m))
	for _, k := range sortedKeys(m) {
		parts = append(parts, strconv.Quote(k)+" = "+strconv.FormatUint(uint64(m[k]), 10))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func mapText(m map[string]netip.Addr) string {
	text := make(map[string]string, len(m))
	for k, v := range m {
		text[k] = v.String()
	}
	return mapAttr("", text).Value
}

// jsonAttr shows a structured value as JSON; empty ones are "[]", whatever their type.
func jsonAttr(name string, v any) Attr {
	text, err := json.Marshal(v)
	if err != nil {
		panic("state: attribute " + name + ": " + err.Error())
	}
	if slices.Contains([]string{"null", "{}"}, string(text)) {
		text = []byte("[]")
	}
	return Attr{Name: name, Value: string(text), Quiet: true}
}

// Implied reports the record of a block that nobody wrote: no configuration is why it comes or
// goes, and none needs to have it.
func Implied(record Object) bool {
	switch r := record.(type) {
	case Network:
		return r.Implied
	case Endpoint:
		return r.Implied
	}
	return false
}

package bridge

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/cnmctl/cnmctl/drivers"
	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
	"github.com/zclconf/go-cty/cty"
)

// The gateway modes.
const (
	nat            = "nat"
	natUnprotected = "nat-unprotected"
	routed         = "routed"
	isolated       = "isolated"
)

// options are the network's, by the names in the schema.
type options struct {
	// Name is what was asked for; what the bridge is called is the network's Device.
	Name        string     `json:"name"`
	Adopt       bool       `json:"adopt"`
	ICC         bool       `json:"icc"`
	Masquerade  bool       `json:"masquerade"`
	SNAT4       netip.Addr `json:"snat_ipv4"`
	SNAT6       netip.Addr `json:"snat_ipv6"`
	Mode4       string     `json:"gateway_mode_ipv4"`
	Mode6       string     `json:"gateway_mode_ipv6"`
	Isolation   bool       `json:"isolation"`
	Hairpin     bool       `json:"hairpin"`
	InhibitIPv4 bool       `json:"inhibit_ipv4"`
	MAC         state.MAC  `json:"mac"`
	Filtering   bool       `json:"vlan_filtering"`
	VRF         string     `json:"vrf"`
	VRFTable    uint32     `json:"vrf_table"`
	// Trusted are interfaces of the host.
	Trusted []string `json:"trusted_host_interfaces"`
}

// decode reads the options over their defaults, so that a record without one of them (of
// an older version) means what it meant.
func decode(o state.Options) (options, error) {
	v := options{ICC: true, Masquerade: true, Mode4: nat, Mode6: nat, Isolation: true}
	if err := o.Decode(&v); err != nil {
		return v, fmt.Errorf("reading the bridge options: %w", err)
	}
	return v, nil
}

// Schema is what may be written in a bridge block.
func (Driver) Schema() spec.DriverSchema {
	return spec.DriverSchema{
		Name: "bridge",
		Doc: "A Linux bridge on the host. Each endpoint is a veth pair between its sandbox and a port of the bridge. " +
			"The bridge has the subnets' gateway addresses, the host forwards and (with `gateway_mode` `nat`) translates.\n\n" +
			"Networks are closed: nothing from outside of a network gets in that nobody inside has asked for, neither from other networks " +
			"nor from other stacks nor from the LAN. `gateway_mode` and `isolation` open them. Rules of others (a FORWARD policy of DROP, as Docker " +
			"sets it) still apply to the packets that cnmctl lets through.",
		Network:     spec.Schema{Name: "bridge", Doc: "Options of a bridge network.", Attrs: slices.Concat(deviceAttrs(), gatewayAttrs())},
		PortAddress: "host_binding",
		Endpoint:    spec.Schema{Name: "bridge", Doc: "Options of an endpoint of a bridge network.", Attrs: endpointAttrs()},
	}
}

func deviceAttrs() []spec.AttrSchema {
	return []spec.AttrSchema{
		{Name: "name", Type: cty.String, Check: onString(drivers.CheckInterfaceName),
			Doc: "Name of the bridge device. Made from the stack and the network when absent."},
		{Name: "adopt", Type: cty.Bool, Default: cty.False,
			Doc: "Use the bridge called `name` that somebody else has made. It must be there; it is never changed or deleted. " +
				"The gateway addresses are added to it, marked as cnmctl's, and removed with the network."},
		{Name: "icc", Type: cty.Bool, Default: cty.True,
			Doc: "Inter-container communication: endpoints of the network reach each other. With `false` their ports are isolated " +
				"(the bridge itself keeps them apart, without packet filter); they still reach the host and the way out. " +
				"Hosts files then name only a sandbox's own endpoints."},
		{Name: "hairpin", Type: cty.Bool, Default: cty.False,
			Doc: "Let a port send back out what came in by it, so that an endpoint can reach itself by an address that is translated."},
		{Name: "mac", Type: cty.String, Check: onString(checkMAC),
			Doc: "MAC address of the bridge. Made of the gateway's address when absent."},
		{Name: "inhibit_ipv4", Type: cty.Bool, Default: cty.False,
			Doc: "Put no IPv4 address on the bridge: somebody else on it has the gateway's address. The sandboxes' default route stays."},
		{Name: "vlan_filtering", Type: cty.Bool, Default: cty.False,
			Doc: "Make the bridge a switch with VLANs (IEEE 802.1Q): endpoints reach those in their own VLAN only, see `vlan` and `trunk` of " +
				"endpoints. The host and its gateway addresses are in VLAN 1, as is every endpoint that says nothing."},
		{Name: "vrf", Type: cty.String, Check: onString(drivers.CheckInterfaceName),
			Doc: "The VRF of the host that the bridge is in: the host routes the network by the VRF's table alone, so the network gets out only by what else " +
				"is in the VRF, and other networks may have the same subnet if they are in other VRFs. Ports cannot be published. " +
				"With `vrf_table` the VRF is made, and removed with the last network in it; without, it is somebody else's and must be there."},
		{Name: "vrf_table", Type: cty.Number, Check: spec.CheckVRFTable,
			Doc: "The number of the routing table of a VRF that cnmctl makes: all networks in it say the same."},
	}
}

func gatewayAttrs() []spec.AttrSchema {
	return []spec.AttrSchema{
		modeAttr("ipv4"), modeAttr("ipv6"),
		{Name: "masquerade", Type: cty.Bool, Default: cty.True,
			Doc: "In the modes `nat` and `nat-unprotected`, give what leaves the network the address of the interface that it leaves by."},
		{Name: "snat_ipv4", Type: cty.String, Check: onString(checkAddr(false)),
			Doc: "The IPv4 source address of what leaves the network, in place of that of the interface."},
		{Name: "snat_ipv6", Type: cty.String, Check: onString(checkAddr(true)),
			Doc: "The IPv6 source address of what leaves the network, in place of that of the interface."},
		{Name: "isolation", Type: cty.Bool, Default: cty.True,
			Doc: "Keep out what comes from other networks of the stack, whatever the gateway mode. Networks that all have `false` reach each other, " +
				"with their own addresses, in every mode; a network with `true` is closed to all others."},
		drivers.HostBinding(),
		{Name: "trusted_host_interfaces", Type: cty.List(cty.String), Check: checkTrusted,
			Doc: "Interfaces of the host, as in `[\"eth1\"]`. What comes in by them may go to published ports also by the endpoints' own addresses, which in the mode `nat` nobody else may."},
	}
}

func modeAttr(family string) spec.AttrSchema {
	return spec.AttrSchema{
		Name: "gateway_mode_" + family, Type: cty.String, Default: cty.StringVal(nat), Check: onString(checkMode),
		Doc: "What the host does for the network's traffic of the family. `nat`: what goes out gets the host's address, and nothing comes in that was not " +
			"asked for. `nat-unprotected`: the same, but everybody who has a route may come in. `routed`: addresses stay; everybody who has a route may ping, and come to the ports that endpoints publish. " +
			"In both, `isolation` still keeps other networks of the stack out. `isolated`: only for internal networks; the bridge has no address, so not even the host takes part.",
	}
}

func checkTrusted(v cty.Value) error {
	seen := map[string]bool{}
	for it := v.ElementIterator(); it.Next(); {
		_, e := it.Element()
		if e.IsNull() {
			return errors.New("an element is null; leave it out instead")
		}
		name := e.AsString()
		if err := drivers.CheckInterfaceName(name); err != nil {
			return err
		}
		if seen[name] {
			return fmt.Errorf("%q is in it twice", name)
		}
		seen[name] = true
	}
	return nil
}

func checkMode(s string) error {
	modes := []string{nat, natUnprotected, routed, isolated}
	if slices.Contains(modes, s) {
		return nil
	}
	return fmt.Errorf("%q is not one of %s", s, strings.Join(modes, ", "))
}

func checkMAC(s string) error {
	m, err := state.ParseMAC(s)
	switch {
	case err != nil:
		return fmt.Errorf("%q is not an Ethernet address, as in \"02:42:0a:01:00:01\"", s)
	case m.IsZero() || m[0]&1 == 1:
		return fmt.Errorf("%q is all zeros or has the multicast bit set (the lowest of its first byte), which no interface can have", s)
	}
	return nil
}

func checkAddr(ipv6 bool) func(string) error {
	return func(s string) error {
		family, example := "IPv4", "192.0.2.1"
		if ipv6 {
			family, example = "IPv6", "2001:db8::1"
		}
		a, err := netip.ParseAddr(s)
		if err != nil || a.Is6() != ipv6 || a.Is4In6() || a.Zone() != "" {
			return fmt.Errorf("%q is not an %s address, as in %q", s, family, example)
		}
		if a.IsUnspecified() || a.IsMulticast() || a.IsLoopback() {
			return fmt.Errorf("%q can be no source of packets to other hosts", s)
		}
		return nil
	}
}

func onString(check func(string) error) func(cty.Value) error {
	return func(v cty.Value) error { return check(v.AsString()) }
}

package bridge

import (
	"fmt"
	"maps"
	"slices"

	"github.com/cnmctl/cnmctl/drivers"
	"github.com/cnmctl/cnmctl/spec"
	"github.com/hashicorp/hcl/v2"
)

// Validate refuses options that contradict each other.
func (Driver) Validate(n *spec.Network, endpoints []*spec.Endpoint) hcl.Diagnostics {
	o, err := decode(n.Options)
	if err != nil {
		return hcl.Diagnostics{drivers.Refuse(n.At("driver"), "Unreadable options", err.Error())}
	}
	v := validator{n: n, options: o, diags: append(drivers.CheckMTU6(n), drivers.CheckHostBinding(n)...)}
	v.adoption()
	v.gatewayModes()
	v.families()
	v.translation()
	v.isolation()
	v.trust()
	v.domain()
	for _, e := range endpoints {
		v.ports(e)
		v.vlans(e)
	}
	return v.diags
}

type validator struct {
	n *spec.Network
	options
	diags hcl.Diagnostics
}

func (v *validator) refuse(attr, summary, format string, args ...any) {
	v.diags = append(v.diags, drivers.Refuse(v.n.At(attr), summary, fmt.Sprintf(format, args...)))
}

// adoption: somebody else's bridge is found by its name and stays as it is.
func (v *validator) adoption() {
	if !v.Adopt {
		return
	}
	if v.Name == "" {
		v.refuse("bridge.adopt", "Adopting a bridge without a name", "%s adopts a bridge but does not say which. Add its name, as in name = \"br0\".", v.n.Mark.Address)
	}
	if v.Filtering {
		v.refuse("bridge.vlan_filtering", "VLANs on a bridge that is not ours", "%s adopts its bridge, which is never changed, so cnmctl cannot have it keep VLANs apart. Remove vlan_filtering, or adopt.", v.n.Mark.Address)
	}
	if !v.MAC.IsZero() {
		v.refuse("bridge.mac", "MAC for a bridge that is not ours", "%s adopts its bridge, which is never changed, so it cannot get the MAC %s. Remove mac, or adopt.", v.n.Mark.Address, v.MAC)
	}
}

// gatewayModes: isolated is about networks without a way out.
func (v *validator) gatewayModes() {
	for _, f := range []struct{ name, mode string }{{"ipv4", v.Mode4}, {"ipv6", v.Mode6}} {
		if f.mode == isolated && !v.n.Internal {
			v.refuse("bridge.gateway_mode_"+f.name, "Isolated gateway for a network with a way out", "The gateway mode \"isolated\" takes the host out of the network, so nothing could leave %s. Add internal = true to the network, or choose nat, nat-unprotected or routed.", v.n.Mark.Address)
		}
	}
}

// families: what is said of a family is about a network that has it.
func (v *validator) families() {
	for _, f := range []struct {
		name, text string
		has        bool
		given      map[string]bool
	}{
		{"ipv4", "IPv4", !v.n.NoIPv4, map[string]bool{"gateway_mode_ipv4": v.Mode4 != nat, "snat_ipv4": v.SNAT4.IsValid(), "inhibit_ipv4": v.InhibitIPv4}},
		{"ipv6", "IPv6", v.n.IPv6 || drivers.Has(v.n.Network, true), map[string]bool{"gateway_mode_ipv6": v.Mode6 != nat, "snat_ipv6": v.SNAT6.IsValid()}},
	} {
		for _, attr := range slices.Sorted(maps.Keys(f.given)) {
			if f.given[attr] && !f.has {
				v.refuse("bridge."+attr, "Setting of a family that the network lacks", "%s has no %s, so %s is about nothing. Remove it, or give the network %[2]s (%[4]s = true).", v.n.Mark.Address, f.text, attr, f.name)
			}
		}
	}
}

// isolation: an internal network is closed to all others.
func (v *validator) isolation() {
	if v.n.Internal && !v.Isolation {
		v.refuse("bridge.isolation", "Open network without a way out", "%s is internal: nothing gets into it or out of it, also not to other networks. Remove isolation, or internal.", v.n.Mark.Address)
	}
}

// translation: a source address is of use only where addresses are translated.
func (v *validator) translation() {
	for _, f := range []struct {
		name, mode string
		given      bool
	}{{"ipv4", v.Mode4, v.SNAT4.IsValid()}, {"ipv6", v.Mode6, v.SNAT6.IsValid()}} {
		if !f.given {
			continue
		}
		attr := "bridge.snat_" + f.name
		switch {
		case v.n.Internal:
			v.refuse(attr, "Source address for a network without a way out", "%s is internal, so nothing leaves it that could get another source address. Remove snat_%s, or internal.", v.n.Mark.Address, f.name)
		case f.mode == routed:
			v.refuse(attr, "Source address for a routed network", "With gateway_mode_%s = \"routed\" addresses are not translated. Remove snat_%s, or choose nat.", f.name, f.name)
		case !v.Masquerade:
			v.refuse(attr, "Source address without translation", "With masquerade = false addresses are not translated. Remove snat_%s, or masquerade.", f.name)
		}
	}
}

// trust: interfaces are trusted where others are not.
func (v *validator) trust() {
	const attr = "bridge.trusted_host_interfaces"
	switch {
	case len(v.Trusted) == 0:
	case v.n.Internal:
		v.refuse(attr, "Trusted interfaces of a network without a way in", "%s is internal, so nothing outside of it gets in. Remove trusted_host_interfaces, or internal.", v.n.Mark.Address)
	case v.Mode4 != nat && v.Mode6 != nat:
		v.refuse(attr, "Trusted interfaces of an open network", "%s is in no family in the gateway mode \"nat\", so everybody may go to published ports by the endpoints' own addresses. Remove trusted_host_interfaces, or choose nat.", v.n.Mark.Address)
	}
}

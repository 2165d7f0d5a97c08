package spec

import (
	"cmp"
	"net/netip"
	"strings"
	"time"

	"github.com/cnmctl/cnmctl/state"
	"github.com/zclconf/go-cty/cty"
)

// fillEndpoint makes the record of an endpoint from its evaluated block.
func (i *instance) fillEndpoint(rd *reading, v *values) {
	i.on, i.in = rd.refs["network"], rd.refs["sandbox"]
	if i.on == nil || i.on.failed {
		rd.failed = true // reported where it was read
		return
	}
	rec := state.Endpoint{
		Mark:      i.owner(),
		Name:      v.text("name"),
		Network:   i.on.addr,
		IPv4:      single(v.addr("ipv4")),
		IPv6:      single(v.addr("ipv6")),
		MAC:       v.mac("mac"),
		Interface: v.text("interface"),
		LinkLocal: v.addrs("link_local_ips"),
		VRF:       v.text("vrf"),
		Nameless:  !v.flag("names"),
		Options:   rd.endpointOptions(i.on, v, i.addr),
		Protected: i.protected(rd),

		Bandwidth: bandwidth(v), Impairment: rd.impairment(v),
	}
	if rec.Name == "" && !rd.lost(v, "name") {
		rec.Name = strings.TrimRight(i.label, "-.") // of a key like "a*": no part of a host's name ends so
	}
	i.open = !rec.IPv4.IsValid() || !rec.IPv6.IsValid()
	if i.in != nil {
		rec.Sandbox = i.in.addr
	}
	if rec.VRF != "" {
		i.checkVRF(rd, rec.VRF)
	}
	rec.Service = rd.service(v, rec.Name)
	var from []state.PortRange
	for _, p := range v.of("port") {
		port, choice := rd.port(p, rd.portAddress(i.on.network))
		rec.Ports, from = append(rec.Ports, port), append(from, choice)
	}
	i.endpoint = &Endpoint{Endpoint: rec, PortsFrom: from, Decl: i.decl(rd, v)}
	i.fillLate(v, notRepetition)
	i.asked = i.endpoint.Endpoint
}

// service reads what the endpoint is registered as, nil for nothing.
func (rd *reading) service(v *values, endpoint string) *state.Service {
	given := v.of("service")
	if len(given) == 0 {
		return nil
	}
	p := given[0]
	s := &state.Service{Name: cmp.Or(p.text("name"), endpoint), Port: uint16(p.number("port")), Tags: p.texts("tags")}
	if err := checkServiceName(s.Name); err != nil && !p.bad {
		rd.fail(fault(p.header.Ptr(), "Not a service's name", "The service would be called as its endpoint, but %s. Give the service a name.", err))
	}
	if s.Check = p.text("check"); s.Check != "" {
		s.Interval, _ = time.ParseDuration(p.text("check_interval")) // it was looked at
		if s.Port == 0 && !p.bad {
			rd.fail(fault(p.header.Ptr(), "Check without a port", "The service %q shall be checked, but no port is given to connect to. Add port = 80, or whichever it listens on.", s.Name))
		}
	}
	return s
}

// endpointOptions are the options of the network's driver for the endpoint. Endpoints
// without a block of options share one value.
func (rd *reading) endpointOptions(on *instance, v *values, who state.Address) state.Options {
	driver := rd.c.lang.driver(on.network.Driver)
	if len(v.parts) > 0 || on.plainOptions == nil {
		out := rd.driverOptions(driver, &driver.Endpoint, v, on.addr+", which "+who+" is in,")
		if len(v.parts) == 0 {
			on.plainOptions = out
		}
		return out
	}
	return on.plainOptions
}

// fillLate sets the attributes that may depend on chosen addresses.
func (i *instance) fillLate(v *values, want func(string) bool) {
	e := &i.endpoint.Endpoint
	if want("aliases") {
		e.Aliases = v.texts("aliases")
	}
	if want("gateway_priority") {
		e.Priority = int(v.number("gateway_priority"))
	}
	if want("sysctls") {
		e.Sysctls = v.textMap("sysctls")
	}
	if want("labels") {
		e.Labels = v.textMap("labels")
	}
}

// single is an address as a prefix of full length: its subnet is chosen later.
func single(a netip.Addr) netip.Prefix {
	if !a.IsValid() {
		return netip.Prefix{}
	}
	return netip.PrefixFrom(a, a.BitLen())
}

func (i *instance) endpointValue() cty.Value {
	r, e := i.scope.run, i.endpoint
	chosen := r.endpointsChosen
	text := func(attr string) string { return endpointText(&e.Endpoint, &i.on.network.Network, attr) }
	choose := func(attr string) cty.Value { return i.choice(text(attr), attr, chosen) }
	computed := func(attr string) cty.Value {
		if !chosen {
			return i.choice("", attr, false)
		}
		return choose(attr)
	}
	sandbox := cty.NullVal(cty.DynamicPseudoType)
	if i.in != nil {
		sandbox = i.in.value()
	}
	return cty.ObjectVal(map[string]cty.Value{
		"address":      cty.StringVal(string(i.addr)),
		"name":         cty.StringVal(e.Name),
		"network":      i.on.value(),
		"sandbox":      sandbox,
		"ipv4":         choose("ipv4"),
		"ipv6":         choose("ipv6"),
		"ipv4_cidr":    computed("ipv4_cidr"),
		"ipv6_cidr":    computed("ipv6_cidr"),
		"mac":          choose("mac"),
		"interface":    choose("interface"),
		"gateway":      computed("gateway"),
		"gateway_ipv6": computed("gateway_ipv6"),
		"ports":        i.portsValue(!chosen),
		"aliases":      i.lateValue("aliases", cty.List(cty.String), func() cty.Value { return listValue(e.Aliases) }),
		"labels":       i.lateValue("labels", stringMap, func() cty.Value { return mapValue(e.Labels) }),
	})
}

// lateValue is the value of a late attribute, pending while it is.
func (i *instance) lateValue(name string, t cty.Type, value func() cty.Value) cty.Value {
	for _, late := range i.late {
		if late == name {
			return i.scope.pending(t, i.block, name)
		}
	}
	return value()
}

package spec

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/cnmctl/cnmctl/state"
	"github.com/zclconf/go-cty/cty"
)

// fillNetwork makes the record of a network from its evaluated block.
func (i *instance) fillNetwork(rd *reading, v *values) {
	if _, read := v.attrs["driver"]; !read {
		rd.failed = true // reported where it was read
		return
	}
	driver := rd.c.lang.driver(v.text("driver"))
	if driver == nil {
		names := rd.c.lang.driverNames()
		given := v.text("driver")
		rd.reject(i.body.attrs["driver"], "Unknown driver", "There is no driver %q.%s", given, didYouMean(given, names, "The drivers are"))
		return
	}
	rec := state.Network{
		Mark:      i.owner(),
		Name:      v.text("name"),
		Driver:    driver.Name,
		Internal:  v.flag("internal"),
		NoIPv4:    !v.flag("ipv4"),
		IPv6:      v.flag("ipv6"),
		MTU:       int(v.number("mtu")),
		Prefix:    v.text("interface_prefix"),
		Labels:    v.textMap("labels"),
		Options:   rd.driverOptions(driver, &driver.Network, v, i.addr),
		Protected: i.protected(rd),
	}
	if rec.Name == "" && !rd.lost(v, "name") {
		rec.Name = i.label
	}
	for _, p := range v.of("subnet") {
		if s, ok := rd.subnet(p, rec); ok {
			rec.Subnets = append(rec.Subnets, s)
		}
	}
	for _, p := range v.of("ipam") {
		rec.IPAM = rd.ipam(p)
	}
	i.explicit = slices.Clone(rec.Subnets)
	i.open = (&Network{Network: rec}).open()
	i.network = &Network{rec, i.decl(rd, v)}
	rd.networks[i.addr] = i
}

// driverOptions reads the block with the driver's name, and refuses those of others.
func (rd *reading) driverOptions(driver *DriverSchema, schema *Schema, v *values, who state.Address) state.Options {
	var given *values
	for _, p := range v.parts {
		switch {
		case p.schema.Name == driver.Name:
			given = p.values
		case rd.c.lang.driver(p.schema.Name) != nil:
			rd.fail(fault(p.header.Ptr(), "Options of another driver", "A %q block holds options of the driver %q, but the driver of %s is %q. Delete the block, or write the options into a %q block.", p.schema.Name, p.schema.Name, who, driver.Name, driver.Name))
		}
	}
	if given == nil {
		for _, a := range schema.Attrs {
			if a.Required {
				rd.fail(fault(v.src.end.Ptr(), "Missing options", "The driver %q needs a block %s { %s = … }: %s", driver.Name, driver.Name, a.Name, lowerFirst(a.Doc)))
			}
		}
	}
	out, err := options(schema, given)
	if err != nil {
		rd.fail(fault(v.src.end.Ptr(), "Invalid options", "Encoding the options of the driver %q: %s.", driver.Name, err))
	}
	return out
}

// ipam is who gives out addresses. What a plugin is told nobody else would hear.
func (rd *reading) ipam(p *partValues) state.IPAMDriver {
	d := state.IPAMDriver{Driver: p.text("driver"), Space: p.text("address_space"), Options: p.textMap("options"), Timeout: int(p.number("timeout"))}
	if d.Remote() || d.Driver == "" {
		return d // "" was reported where it was read
	}
	for _, name := range []string{"address_space", "options", "timeout"} {
		if arg := p.body.attrs[name]; arg != nil {
			rd.reject(arg, "Setting of an IPAM plugin", "The driver %q is no plugin that could be told %s. Delete it, or name a plugin.", d.Driver, name)
		}
	}
	if d.Driver == state.IPAMDefault {
		return state.IPAMDriver{} // what it is anyway
	}
	return state.IPAMDriver{Driver: d.Driver}
}

// subnet makes a subnet and checks it by itself.
func (rd *reading) subnet(p *partValues, n state.Network) (state.Subnet, bool) {
	s := state.Subnet{CIDR: p.prefix("cidr"), Gateway: p.addr("gateway"), Range: p.prefix("range"), Reserved: p.addrMap("reserved")}
	if !s.CIDR.IsValid() {
		return s, false // reported where it was read
	}
	family := "an IPv4"
	if s.CIDR.Addr().Is6() {
		family = "an IPv6"
	}
	arg := p.body.attrs
	switch {
	case s.CIDR.Addr().Is4() && n.NoIPv4:
		rd.reject(arg["cidr"], "IPv4 subnet without IPv4", "The network has ipv4 = false, but %s is an IPv4 subnet. Delete one of them.", s.CIDR)
	case s.CIDR.Addr().Is6() && n.MTU != 0 && n.MTU < 1280:
		rd.reject(arg["cidr"], "MTU too small for IPv6", "The network's mtu is %d, but IPv6 needs at least 1280. Raise the mtu or delete the IPv6 subnet.", n.MTU)
	}
	if s.Gateway.IsValid() {
		if why := notUsable(s.Gateway, s.CIDR); why != "" {
			rd.reject(arg["gateway"], "Gateway not in subnet", "%s %s. Choose %s address of %s.", s.Gateway, why, family, s.CIDR)
		}
	}
	if s.Range.IsValid() && (!s.CIDR.Contains(s.Range.Addr()) || s.Range.Bits() < s.CIDR.Bits()) {
		rd.reject(arg["range"], "Range not in subnet", "%s is not a part of the subnet %s. Choose a part, or delete the range to use all of it.", s.Range, s.CIDR)
	}
	owner := map[netip.Addr]string{}
	for _, name := range sortedNames(s.Reserved) {
		a := s.Reserved[name]
		switch first, taken := owner[a]; {
		case !s.CIDR.Contains(a):
			rd.reject(arg["reserved"], "Reserved address not in subnet", "The reserved address %s (%s) is not in %s, so nobody would be given it. Choose an address in it, or delete the reservation.", a, name, s.CIDR)
		case a == s.Gateway:
			rd.reject(arg["reserved"], "Reserved address is the gateway", "%s is reserved for %q, but it is the subnet's gateway, which nobody else gets anyway. Delete one of them.", a, name)
		case taken:
			rd.reject(arg["reserved"], "Address reserved twice", "%s is reserved for %q and for %q. Delete one of them.", a, first, name)
		}
		owner[a] = name
	}
	return s, true
}

// notUsable says why an interface cannot have the address in the subnet, "" if it can. In a
// /31 and /127 both addresses can be used (RFC 3021, RFC 6164).
func notUsable(a netip.Addr, subnet netip.Prefix) string {
	switch {
	case !subnet.Contains(a):
		return "is not in the subnet " + subnet.String()
	case subnet.Bits() >= a.BitLen()-1:
		return ""
	case a == subnet.Addr() && a.Is4():
		return "is the network's own address in " + subnet.String() + ", the first"
	case a == subnet.Addr():
		return "is the subnet-router anycast address of " + subnet.String() + ", the first"
	case a.Is4() && a == lastOf(subnet):
		return "is the broadcast address of " + subnet.String() + ", the last"
	}
	return ""
}

// lastOf is the last address of a prefix.
func lastOf(p netip.Prefix) netip.Addr {
	bytes := p.Masked().Addr().AsSlice()
	for bit := p.Bits(); bit < len(bytes)*8; bit++ {
		bytes[bit/8] |= 0x80 >> (bit % 8)
	}
	a, _ := netip.AddrFromSlice(bytes)
	return a
}

// choice is a value that the allocator may have to choose.
func (i *instance) choice(value, attr string, chosen bool) cty.Value {
	switch {
	case value != "":
		return cty.StringVal(value)
	case i.doubt:
		return cty.UnknownVal(cty.String).Mark(failedMark{})
	case !chosen:
		return i.scope.pending(cty.String, i.block, attr)
	case i.assigned(attr):
		return cty.StringVal(state.AssignedTo(i.addr, attr))
	}
	return cty.NullVal(cty.String)
}

// assigned reports that a plugin is still to give the attribute its value.
func (i *instance) assigned(attr string) bool {
	on := i.network
	if i.endpoint != nil {
		if slices.Contains(i.endpoint.Assigned, strings.TrimSuffix(attr, "_cidr")) {
			return !i.endpoint.Answered()
		}
		on = i.on.network
	}
	return on != nil && on.Assigned && (strings.HasPrefix(attr, "cidr") || strings.HasPrefix(attr, "gateway"))
}

func (i *instance) networkValue() cty.Value {
	r, n := i.scope.run, i.network
	choose := func(attr string) cty.Value {
		return i.choice(networkText(&n.Network, attr), attr, r.networksChosen)
	}
	return cty.ObjectVal(map[string]cty.Value{
		"address":      cty.StringVal(string(i.addr)),
		"name":         cty.StringVal(n.Name),
		"driver":       cty.StringVal(n.Driver),
		"device":       choose("device"),
		"cidr":         choose("cidr"),
		"cidr_ipv6":    choose("cidr_ipv6"),
		"cidrs":        i.cidrs(),
		"gateway":      choose("gateway"),
		"gateway_ipv6": choose("gateway_ipv6"),
		"mtu":          numberOrNull(n.MTU),
		"internal":     cty.BoolVal(n.Internal),
		"labels":       mapValue(n.Labels),
	})
}

// first is the first subnet of a family, the zero Subnet if there is none.
func (n *Network) first(six bool) state.Subnet {
	for _, s := range n.Subnets {
		if s.CIDR.Addr().Is6() == six {
			return s
		}
	}
	return state.Subnet{}
}

// open reports that the network leaves a subnet to be chosen.
func (n *Network) open() bool {
	return !n.NoIPv4 && !n.first(false).CIDR.IsValid() || n.IPv6 && !n.first(true).CIDR.IsValid()
}

func (i *instance) cidrs() cty.Value {
	r, n := i.scope.run, i.network
	switch {
	case i.doubt:
		return cty.UnknownVal(cty.List(cty.String)).Mark(failedMark{})
	case n.open() && !r.networksChosen:
		return i.scope.pending(cty.List(cty.String), i.block, "cidrs")
	}
	list := make([]string, len(n.Subnets))
	for k, s := range n.Subnets {
		list[k] = s.CIDR.String()
	}
	return listValue(list)
}

func numberOrNull(n int) cty.Value {
	if n == 0 {
		return cty.NullVal(cty.Number)
	}
	return cty.NumberIntVal(int64(n))
}

func addrText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func prefixText(p netip.Prefix) string {
	if !p.IsValid() {
		return ""
	}
	return p.String()
}

package spec

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/cnmctl/cnmctl/state"
	"github.com/zclconf/go-cty/cty"
)

// DynamicPorts is where the ports of the host come from that a configuration leaves open.
// Programs that let the kernel choose a port get one of net.ipv4.ip_local_port_range, by
// default 32768 to 60999: above it nobody is in the way by chance.
var DynamicPorts = state.PortRange{First: 61000, Last: 65535}

func portSchema() BlockSchema {
	return BlockSchema{Schema: Schema{
		Name: "port",
		Doc: "A port of the endpoint that is published on its sandbox's host: what comes to the host's port is sent to the endpoint's. " +
			"The others of the network, its own sandbox and the host itself get to it the same way.",
		Attrs: []AttrSchema{
			attr("container", cty.String, "The endpoint's port, or a range of them: `80`, `\"8000-8009\"`.").required().checked(onStrings(checkPortRange)),
			attr("host", cty.String, "The host's port, or a range. A range as long as that of `container` is used port by port; for less, "+
				"the first free ones of the range are taken and kept. Default: free ports from 61000 up.").checked(onStrings(checkPortRange)),
			attr("protocol", cty.String, "`tcp`, `udp` or `sctp`.").or(cty.StringVal("tcp")).checked(oneOf("tcp", "udp", "sctp")),
			attr("address", cty.String, "The host's address to publish on; `0.0.0.0` and `::` are all of one family, `127.0.0.1` is for programs on the host alone. "+
				"Default: that which the network says (`host_binding`), else all addresses, of the families that the endpoint has.").checked(onStrings(CheckPortAddress)),
		},
	}}
}

// checkPortRange allows a port or a range of them.
func checkPortRange(s string) error {
	_, err := parsePortRange(s)
	return err
}

// parsePortRange reads 80 or 8000-8009.
func parsePortRange(s string) (state.PortRange, error) {
	from, to, run := strings.Cut(s, "-")
	if !run {
		to = from
	}
	first, err1 := strconv.ParseUint(strings.TrimSpace(from), 10, 16)
	last, err2 := strconv.ParseUint(strings.TrimSpace(to), 10, 16)
	r := state.PortRange{First: uint16(first), Last: uint16(last)}
	switch {
	case err1 != nil || err2 != nil || r.First == 0:
		return r, fmt.Errorf("%q is not a port or a range of ports, as in 80 or \"8000-8009\"; ports are numbers from 1 to 65535", s)
	case r.Last < r.First:
		return r, fmt.Errorf("%q ends before it begins; write \"%d-%d\"", s, r.Last, r.First)
	case r == state.PortRange{First: 1, Last: 65535}:
		return r, fmt.Errorf("%q is every port there is, also those that the host needs for itself; publish fewer", s)
	}
	return r, nil
}

// CheckPortAddress allows an address of a host, or all of them.
func CheckPortAddress(s string) error {
	if err := checkAddr(s); err != nil {
		return err
	}
	a := netip.MustParseAddr(s)
	switch {
	case a.IsMulticast():
		return fmt.Errorf("%q is a multicast address, which no host has as its own", s)
	case a.Is6() && a.IsLoopback():
		return fmt.Errorf("%q alone cannot be published: the kernel routes the loopback address of IPv6 nowhere. Use \"127.0.0.1\", or \"::\"", s)
	case a.Is6() && a.IsLinkLocalUnicast():
		return fmt.Errorf("%q is link-local: it means another host on each link. Use an address that the host has once", s)
	}
	return nil
}

// portAddress is the host's address for the network's ports that name none.
func (rd *reading) portAddress(n *Network) netip.Addr {
	d := rd.c.lang.driver(n.Driver)
	if d == nil || d.PortAddress == "" {
		return netip.Addr{}
	}
	var a netip.Addr
	_ = json.Unmarshal(n.Options[d.PortAddress], &a) // absent, or checked when it was read
	return a
}

// port reads a port block, and where the host's port may be chosen from.
func (rd *reading) port(p *partValues, usual netip.Addr) (port state.Port, from state.PortRange) {
	port = state.Port{Protocol: p.text("protocol"), Address: usual}
	if given := p.addr("address"); given.IsValid() {
		port.Address = given
	}
	inside, err := parsePortRange(p.text("container"))
	if p.bad || err != nil {
		return port, from
	}
	port.Container, port.Count = inside.First, uint16(inside.Size())
	text := p.text("host")
	if text == "" {
		return port, DynamicPorts
	}
	from, _ = parsePortRange(text) // checked when it was read
	switch {
	case from.Size() == inside.Size():
		port.Host = from.First
	case from.Size() < inside.Size():
		rd.reject(p.body.attrs["host"], "Too few ports on the host", "The host's ports %s are fewer than the endpoint's %s. Give as many, or more to choose from, or leave host out.", from, inside)
	}
	return port, from
}

// portsValue is what references see of published ports.
func (i *instance) portsValue(pending bool) cty.Value {
	t := map[string]cty.Type{
		"host": cty.Number, "container": cty.Number, "count": cty.Number, "protocol": cty.String, "address": cty.String,
	}
	e := i.endpoint
	list := make([]cty.Value, len(e.Ports))
	for k, p := range e.Ports {
		host := cty.NumberUIntVal(uint64(p.Host))
		if p.Host == 0 {
			host = cty.NullVal(cty.Number)
			if pending {
				return i.scope.pending(cty.List(cty.Object(t)), i.block, "ports")
			}
		}
		list[k] = cty.ObjectVal(map[string]cty.Value{
			"host": host, "container": cty.NumberUIntVal(uint64(p.Container)), "count": cty.NumberUIntVal(uint64(p.Count)),
			"protocol": cty.StringVal(p.Protocol), "address": textOrNull(addrText(p.Address)),
		})
	}
	if len(list) == 0 {
		return cty.ListValEmpty(cty.Object(t))
	}
	return cty.ListVal(list)
}

// Publishes reports that some endpoint of the configuration may have published ports, so
// that it matters which ones others hold.
func (c *Config) Publishes() bool { return c.root != nil && c.root.publishes() }

func (m *module) publishes() bool {
	for _, o := range m.objects["endpoint"] {
		if o.body.dynamic || len(o.body.parts("port")) > 0 {
			return true
		}
	}
	for _, call := range m.calls {
		if call.module != nil && call.module.publishes() {
			return true
		}
	}
	return false
}

package spec

import (
	"net/netip"

	"github.com/cnmctl/cnmctl/state"
	"github.com/zclconf/go-cty/cty"
)

// fillIdentity makes the record of a sandbox as far as references see it.
func (i *instance) fillIdentity(rd *reading, v *values) {
	rec := state.Sandbox{
		Mark:      i.owner(),
		Name:      v.text("name"),
		Host:      v.text("host"),
		Hostname:  v.text("hostname"),
		VRFs:      v.tables("vrfs"),
		Labels:    v.textMap("labels"),
		Protected: i.protected(rd),
	}
	if rec.Name == "" && !rd.lost(v, "name") {
		rec.Name = i.label
	}
	i.settleIn(rd, v, &rec)
	if rec.Host != "" {
		i.checkHost(rd, rec.Host)
	}
	i.sandbox = &Sandbox{rec, i.decl(rd, v)}
	rd.sandboxes[i.addr] = i
}

// checkHost refuses a host that is not declared, if any is.
func (i *instance) checkHost(rd *reading, host string) {
	if len(rd.hosts) == 0 || rd.hosts[host] != nil || rd.misses("host") {
		return
	}
	rd.reject(i.body.attrs["host"], "Unknown host", "No host block is called %q.%s", host, didYouMean(host, sortedNames(rd.hosts), "There is"))
}

func (i *instance) sandboxValue() cty.Value {
	s := i.sandbox
	return cty.ObjectVal(map[string]cty.Value{
		"address":  cty.StringVal(string(i.addr)),
		"name":     cty.StringVal(s.Name),
		"netns":    cty.StringVal(s.Netns),
		"host":     textOrNull(s.Host),
		"hostname": cty.StringVal(s.Hostname),
		"labels":   mapValue(s.Labels),
	})
}

// fillSandbox adds to the record what is read when all addresses are chosen.
func (i *instance) fillSandbox(rd *reading, v *values) {
	s := &state.Sandbox{} // of a sandbox that failed already, only to check the rest
	if i.sandbox != nil {
		s = &i.sandbox.Sandbox
	}
	s.Sysctls = v.textMap("sysctls")
	s.ExtraHosts = v.addrMap("extra_hosts")
	for _, text := range v.texts("loopback") {
		p, _ := parseLoopback(text) // checked when it was read
		s.Loopback = append(s.Loopback, p)
	}
	for _, p := range v.of("route") {
		s.Routes = append(s.Routes, rd.route(p))
	}
	for _, p := range v.of("rule") {
		s.Rules = append(s.Rules, rd.rule(p))
	}
	for _, p := range v.of("neighbor") {
		s.Neighbors = append(s.Neighbors, state.StaticNeighbor{Dev: p.text("dev"), IP: p.addr("ip"), MAC: p.mac("mac")})
	}
	for _, p := range v.of("dns") {
		s.DNS = state.DNS{Servers: p.addrs("servers"), Search: p.texts("search"), Options: p.texts("options")}
	}
	i.checkLent(rd, s)
	i.checkVRFs(rd, s)
	if i.failed = i.failed || rd.failed; !i.failed {
		i.sandbox.Ranges = v.src.ranges()
		i.sandbox.Sensitive = append(i.sandbox.Sensitive, rd.sensitive...)
	}
}

// route reads a route block and checks that its parts fit together.
func (rd *reading) route(p *partValues) state.StaticRoute {
	r := state.StaticRoute{
		Via: p.addr("via"), Dev: p.text("dev"), Src: p.addr("src"), Metric: uint32(p.number("metric")),
		Table: uint32(p.number("table")), VRF: p.text("vrf"), Type: state.RouteType(p.text("type")), OnLink: p.flag("on_link"),
	}
	arg := p.body.attrs
	six := r.Via.Is6() || r.Src.Is6()
	r.To, _ = parseDestination(p.text("to"), six)
	if !r.To.IsValid() || p.bad {
		return r
	}
	drops := r.Type != state.Unicast && r.Type != ""
	switch {
	case drops && (r.Via.IsValid() || r.Dev != ""):
		rd.reject(arg["type"], "Route that drops has a way", "A %s route drops its packets, so it has no via and no dev. Delete them, or the type.", r.Type)
	case !drops && !r.Via.IsValid() && r.Dev == "":
		rd.fail(fault(p.header.Ptr(), "Route without a way", "The route to %s has neither via nor dev. Say where its packets go: via = \"10.1.0.1\" or dev = \"eth0\".", r.To))
	case r.Via.IsValid() && r.Via.Is6() != r.To.Addr().Is6():
		rd.reject(arg["via"], "Address families differ", "The next hop %s and the destination %s are of different families. A default route of the other family is written with the prefix, 0.0.0.0/0 or ::/0.", r.Via, r.To)
	case r.Src.IsValid() && r.Src.Is6() != r.To.Addr().Is6():
		rd.reject(arg["src"], "Address families differ", "The source %s and the destination %s are of different families.", r.Src, r.To)
	case r.Table != 0 && r.VRF != "":
		rd.reject(arg["vrf"], "Table said twice", "The route names a table and the VRF %q, which has one. Delete one of them.", r.VRF)
	case r.OnLink && (r.Dev == "" || !r.Via.IsValid()):
		rd.reject(arg["on_link"], "Incomplete on_link route", "on_link says that via can be reached on dev, so both are needed.")
	}
	return r
}

// rule reads a rule block and settles its family.
func (rd *reading) rule(p *partValues) state.PolicyRule {
	r := state.PolicyRule{
		Priority: uint32(p.number("priority")), Iif: p.text("iif"), Oif: p.text("oif"),
		FwMark: uint32(p.number("fwmark")), Table: uint32(p.number("table")), IPv6: p.text("family") == "ipv6",
	}
	for _, side := range []struct {
		name string
		into *netip.Prefix
	}{{"from", &r.From}, {"to", &r.To}} {
		text := p.text(side.name)
		if text == "" {
			continue
		}
		*side.into, _ = parseDestination(text, r.IPv6)
		if p.text("family") == "" && text != "default" {
			r.IPv6 = r.IPv6 || side.into.Addr().Is6()
		}
	}
	for _, side := range []netip.Prefix{r.From, r.To} {
		if p.bad {
			break
		}
		if side.IsValid() && side.Addr().Is6() != r.IPv6 {
			rd.fail(fault(p.header.Ptr(), "Address families differ", "The rule's family and the addresses in from and to must be the same: all IPv4 or all IPv6."))
			break
		}
	}
	return r
}

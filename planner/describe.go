package planner

import (
	"cmp"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/cnmctl/cnmctl/state"
)

// describe is an object in the words of those who know it from ip(8): what it is, where,
// and in parentheses what else it is worth saying when it comes or goes.
func describe(o state.Object) (what, details string) {
	place := " in " + o.Key().Place.String()
	switch o := o.(type) {
	case state.Namespace:
		return "namespace " + o.Name, ""
	case state.Link:
		return "link " + o.Name + place, linkDetails(o)
	case state.IPAddress:
		return "address " + o.Prefix.String() + " on " + o.Link + place, ""
	case state.Route:
		return "route " + routeText(o) + place, ""
	case state.Rule:
		return "rule " + ruleText(o) + place, ""
	case state.Neighbor:
		return "neighbor " + o.IP.String() + " at " + o.MAC.String() + " on " + o.Link + place, ""
	case state.FDB:
		return "fdb " + o.MAC.String() + " to " + o.VTEP.String() + " on " + o.Link + place, ""
	case state.Qdisc:
		return "qdisc " + o.Kinds() + " of " + o.Link + place, qdiscDetails(o)
	case state.Redirect:
		return "redirection of what " + o.Link + " gets to " + cmp.Or(o.To, "nothing") + place, ""
	case state.Sysctl:
		return "sysctl " + strings.ReplaceAll(o.Path, "/", ".") + " = " + o.Value + place, ""
	case state.Ruleset:
		return "nftables table " + o.Table + place, ""
	case state.File:
		return "file " + o.Name + " of " + o.Place.String(), ""
	case state.IPsecState:
		return fmt.Sprintf("IPsec state %s > %s, SPI %#x%s", o.Src, o.Dst, o.SPI, place), fmt.Sprintf("key %d", o.Generation)
	case state.IPsecPolicy:
		return fmt.Sprintf("IPsec policy %s > %s%s", o.Src, o.Dst, place), fmt.Sprintf("SPI %#x", o.SPI)
	case state.Keyring:
		return "keyring" + place, fmt.Sprintf("sends with key %d", o.Sending)
	case state.Claim:
		return "claim on " + o.String(), ""
	case state.Foreign:
		return o.K.String(), "not made by cnmctl: " + o.What
	case state.Pool, state.Lease, state.Allocation, state.PluginNetwork, state.PluginEndpoint, state.WayOut, state.Node:
		return string(o.Key().Kind) + place, ""
	case state.Output:
		return "output " + o.Name(), ""
	case state.Network, state.Sandbox, state.Endpoint, state.HostRecord, state.Policy:
		return "record of " + o.Key().Name, ""
	}
	return o.Key().String(), ""
}

// qdiscDetails are what a link may send, and what is done to it.
func qdiscDetails(q state.Qdisc) string {
	var parts []string
	for _, a := range q.Attrs() {
		if !a.Quiet {
			parts = append(parts, strings.ReplaceAll(a.Name, "netem_", "")+" "+strings.Trim(a.Value, `"`))
		}
	}
	return strings.Join(parts, ", ")
}

// linkDetails are what a link's name does not say.
func linkDetails(l state.Link) string {
	parts := []string{string(l.Type)}
	if l.Type == state.Veth {
		parts = append(parts, "peer "+l.Peer.Name+" in "+l.Peer.Place.String())
	}
	if l.Type == state.Given {
		parts = append(parts, l.From+" of the host")
	}
	if l.Type == state.VXLAN {
		parts = append(parts, fmt.Sprintf("VNI %d, UDP port %d of %s", l.Tunnel.VNI, l.Tunnel.Port, l.Tunnel.Underlay))
	}
	if l.Stacked() {
		parts = append(parts, stackedText(l)+"on "+l.On.Lower.Name)
	}
	if l.Master != "" {
		parts = append(parts, "port of "+l.Master)
	}
	if l.Type == state.VRF {
		parts = append(parts, "table "+strconv.FormatUint(uint64(l.Table), 10))
	}
	if l.VRF != "" {
		parts = append(parts, "in VRF "+l.VRF)
	}
	if l.MTU != 0 && l.MTU != state.EthernetMTU {
		parts = append(parts, "mtu "+strconv.Itoa(l.MTU))
	}
	if !l.MAC.IsZero() {
		parts = append(parts, "mac "+l.MAC.String())
	}
	return strings.Join(parts, ", ")
}

// stackedText is how a link uses the one below, with a blank behind it.
func stackedText(l state.Link) string {
	switch {
	case l.Type == state.VLAN:
		return fmt.Sprintf("tag %d ", l.On.VLAN)
	case l.On.Flag != "" && l.On.Flag != state.ModeBridge:
		return l.On.Mode + " " + l.On.Flag + " "
	}
	return l.On.Mode + " "
}

// routeText is a route as ip-route(8) writes it.
func routeText(r state.Route) string {
	var b strings.Builder
	if r.Type != state.Unicast && r.Type != "" {
		b.WriteString(string(r.Type) + " ")
	}
	if !r.Via.IsValid() && r.Dst.Addr().Is6() {
		b.WriteString(r.Dst.String()) // nothing else would say of which family a default is
	} else {
		b.WriteString(destination(r.Dst))
	}
	if r.Via.IsValid() {
		b.WriteString(" via ")
		if r.Via.Is6() && r.Dst.Addr().Is4() {
			b.WriteString("inet6 ")
		}
		b.WriteString(r.Via.String())
	}
	if r.Dev != "" {
		b.WriteString(" dev " + r.Dev)
	}
	if r.Table != state.MainTable && r.Table != 0 {
		b.WriteString(" table " + strconv.FormatUint(uint64(r.Table), 10))
	}
	if r.Metric != 0 && !(r.Metric == 1024 && r.Dst.Addr().Is6()) {
		b.WriteString(" metric " + strconv.FormatUint(uint64(r.Metric), 10))
	}
	if r.Src.IsValid() {
		b.WriteString(" src " + r.Src.String())
	}
	if r.OnLink {
		b.WriteString(" onlink")
	}
	return b.String()
}

// destination is a prefix, and "default" for the one that covers all.
func destination(p netip.Prefix) string {
	if p.Bits() == 0 {
		return "default"
	}
	return p.String()
}

// ruleText is a policy rule as ip-rule(8) writes it.
func ruleText(r state.Rule) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d: from %s", r.Priority, orAll(r.From))
	if r.To.IsValid() {
		b.WriteString(" to " + r.To.String())
	}
	if r.Iif != "" {
		b.WriteString(" iif " + r.Iif)
	}
	if r.Oif != "" {
		b.WriteString(" oif " + r.Oif)
	}
	if r.FwMark != 0 {
		fmt.Fprintf(&b, " fwmark %#x", r.FwMark)
	}
	fmt.Fprintf(&b, " lookup %d", r.Table)
	return b.String()
}

func orAll(p netip.Prefix) string {
	if !p.IsValid() {
		return "all"
	}
	return p.String()
}

// size is a number of bytes for people.
func size(n int) string {
	switch {
	case n >= 10<<20:
		return strconv.Itoa(n>>20) + " MB"
	case n >= 10<<10:
		return strconv.Itoa(n>>10) + " KB"
	}
	return strconv.Itoa(n) + " bytes"
}

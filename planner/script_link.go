package planner

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/cnmctl/cnmctl/state"
)

func (s *script) link(op state.Op, l state.Link) {
	if renames(op) {
		s.line("%s link set dev %s name %s", ip(l.Place), shell(op.Before.Key().Name), shell(l.Name))
		return
	}
	switch op.Action {
	case state.Create:
		s.makeLink(l, op.Along)
	case state.Update:
		s.changeLink(op.Before.(state.Link), l)
	case state.Delete:
		if l.Type == state.Given {
			s.returnLink(l)
			return
		}
		s.line("%s link del dev %s", ip(l.Place), shell(l.Name))
	}
}

// makeLink makes a link, and its other end with it, born in its namespace.
func (s *script) makeLink(l state.Link, along []state.Object) {
	ends := []state.Link{l}
	for _, o := range along {
		if other, ok := o.(state.Link); ok {
			ends = append(ends, other)
		}
	}
	// ip(8) can name a namespace for the other end, but not the host.
	if len(ends) == 2 && ends[0].Place != state.Host && ends[1].Place == state.Host {
		ends[0], ends[1] = ends[1], ends[0]
	}
	if l.Type == state.Given {
		s.takeLink(l)
		return
	}
	command := ip(ends[0].Place) + " link add" + born(ends[0]) + " type " + string(l.Type)
	switch l.Type {
	case state.VXLAN:
		command = newTunnel(l)
	case state.Bridge:
		command += " forward_delay 0" // ports send at once
		if l.Filtering {
			command += " vlan_filtering 1"
		}
	case state.VRF:
		command += fmt.Sprintf(" table %d", l.Table)
	case state.Macvlan, state.IPvlan, state.VLAN:
		s.newStacked(l)
		s.finishLink(l)
		return
	}
	if len(ends) == 2 {
		command += " peer" + born(ends[1])
		if ns, ok := ends[1].Place.Netns(); ok && ends[1].Place != ends[0].Place {
			command += " netns " + netnsFile(ns)
		}
	}
	s.line("%s", command)
	for _, end := range ends {
		s.finishLink(end)
	}
}

// takeLink moves a link that a plugin gave into its sandbox.
func (s *script) takeLink(l state.Link) {
	s.line("ip link set dev %s down alias %s group %#x", shell(l.From), shell(l.Mark.GivenMark(l.From)), state.LinkGroup(l.Mark.Stack))
	if ns, ok := l.Place.Netns(); ok {
		s.line("ip link set dev %s netns %s name %s", shell(l.From), shell(ns), shell(l.Name))
	} else {
		s.line("ip link set dev %s name %s", shell(l.From), shell(l.Name))
	}
	if l.NoIPv6 {
		s.ipv6(l)
	}
	set := ""
	if l.MTU != 0 {
		set += fmt.Sprintf(" mtu %d", l.MTU)
	}
	if !l.MAC.IsZero() {
		set += " address " + l.MAC.String()
	}
	s.line("%s link set dev %s%s up", ip(l.Place), shell(l.Name), set)
}

// returnLink gives a link back to the plugin that gave it.
func (s *script) returnLink(l state.Link) {
	s.line("%s link set dev %s down", ip(l.Place), shell(l.Name))
	if l.Place == state.Host {
		s.line("ip link set dev %s name %s", shell(l.Name), shell(l.From))
	} else {
		s.line("%s link set dev %s netns 1 name %s", ip(l.Place), shell(l.Name), shell(l.From))
	}
	s.line("ip link set dev %s alias '' group 0", shell(l.From))
}

// born are the arguments of a link's creation.
func born(l state.Link) string {
	text := " name " + shell(l.Name)
	if l.MTU != 0 && l.Type != state.Bridge {
		text += fmt.Sprintf(" mtu %d", l.MTU)
	}
	if !l.MAC.IsZero() {
		text += " address " + l.MAC.String()
	}
	if l.Type == state.Veth {
		text += " numtxqueues 1 numrxqueues 1" // as the kernel takes the others away again, see state/kernel
	}
	return text
}

// finishLink does what a creation cannot, and brings the link up last.
func (s *script) finishLink(l state.Link) {
	if l.NoIPv6 || s.foreign(l.Place) { // whose owner may have switched it off for new links
		s.ipv6(l)
	}
	set := marks(l.Mark)
	if above := l.Above(); above != "" {
		set += " master " + shell(above)
	}
	if l.MTU != 0 && l.Type == state.Bridge {
		set += fmt.Sprintf(" mtu %d", l.MTU) // one that it is born with goes with its last port
	}
	s.line("%s link set dev %s%s", ip(l.Place), shell(l.Name), set)
	s.portFlags(l, l.Hairpin || l.Isolated || l.Quiet)
	s.vlans(l, defaultVLAN)
	if l.Tunnel.Checksums {
		s.offload(l)
	}
	if l.Up {
		s.line("%s link set dev %s up", ip(l.Place), shell(l.Name))
	}
}

// changeLink changes what differs.
func (s *script) changeLink(from, to state.Link) {
	if !from.NoIPv6 && to.NoIPv6 {
		s.ipv6(to)
	}
	set := ""
	if to.MTU != 0 && from.MTU != to.MTU {
		set += fmt.Sprintf(" mtu %d", to.MTU)
	}
	if !to.MAC.IsZero() && from.MAC != to.MAC && !to.KeepsMAC() {
		set += " address " + to.MAC.String()
	}
	if from.Mark != to.Mark || from.HalfMade {
		set += marks(to.Mark)
	}
	switch {
	case from.Above() == to.Above():
	case to.Above() == "":
		set += " nomaster"
	default:
		set += " master " + shell(to.Above())
	}
	if from.Up != to.Up {
		set += map[bool]string{true: " up", false: " down"}[to.Up]
	}
	if set != "" {
		s.line("%s link set dev %s%s", ip(to.Place), shell(to.Name), set)
	}
	if from.NoIPv6 && !to.NoIPv6 || from.BelowIPv6() {
		s.ipv6(to) // now that the link has the MAC to make an address of, and the MTU
	}
	s.moveLinkLocal(from, to)
	s.portFlags(to, from.Master != to.Master || from.Hairpin != to.Hairpin || from.Isolated != to.Isolated || from.Quiet != to.Quiet)
	if to.Type == state.Bridge && from.Filtering != to.Filtering {
		s.line("%s link set dev %s type bridge vlan_filtering %d", ip(to.Place), shell(to.Name), bit(to.Filtering))
	}
	s.vlans(to, cmp.Or(from.VLANs, defaultVLAN))
	if from.Tunnel.Local != to.Tunnel.Local || from.Tunnel.Learning != to.Tunnel.Learning {
		s.line("%s link set dev %s type vxlan%s", ip(to.Place), shell(to.Name), tunnelSettings(to.Tunnel))
	}
	if from.On != to.On && to.Type != state.VLAN {
		s.line("%s link set dev %s%s", ip(to.Place), shell(to.Name), stackedSettings(to))
	}
	if from.Tunnel.Checksums != to.Tunnel.Checksums {
		s.offload(to)
	}
}

// moveLinkLocal has the kernel give a link the link-local address of its new MAC, if it
// has that of the old one: it makes them when a link comes up, or begins to want them.
func (s *script) moveLinkLocal(from, to state.Link) {
	if from.MAC == to.MAC || from.MAC.IsZero() || to.MAC.IsZero() || from.NoIPv6 || to.NoIPv6 {
		return
	}
	const none, eui64 = 1, 0 // linux/if_link.h, IN6_ADDR_GEN_MODE_*
	mode := func(mode int) string {
		return inside(to.Place, "sysctl -qw "+shell(fmt.Sprintf("net/ipv6/conf/%s/addr_gen_mode=%d", to.Name, mode)))
	}
	s.line("if %s -6 address del %s/64 dev %s 2>/dev/null; then %s; %s; fi",
		ip(to.Place), from.MAC.LinkLocal(), shell(to.Name), mode(none), mode(eui64))
}

// portFlags sets the flags of a bridge's port.
func (s *script) portFlags(l state.Link, differ bool) {
	if l.Master == "" || !differ {
		return
	}
	flags := ""
	if l.Quiet || l.Type == state.VXLAN {
		flood := onOff(!l.Quiet)
		flags = fmt.Sprintf(" learning %s flood %s mcast_flood %s bcast_flood %s neigh_suppress %s", flood, flood, flood, flood, onOff(l.Quiet))
	}
	s.line("%s link set dev %s hairpin %s isolated %s%s", in("bridge", l.Place), shell(l.Name), onOff(l.Hairpin), onOff(l.Isolated), flags)
}

// defaultVLAN is what a port is in unless something else is said.
const defaultVLAN = "1 pvid untagged"

// vlans takes a port from the VLANs that it has into those that it is to have.
func (s *script) vlans(l state.Link, have string) {
	if l.VLANs == "" || l.VLANs == have {
		return
	}
	for _, step := range []struct{ verb, text string }{{"del", have}, {"add", l.VLANs}} {
		if step.text == "none" {
			continue
		}
		for vlan := range strings.SplitSeq(step.text, ", ") {
			id, flags, _ := strings.Cut(vlan, " ")
			if step.verb == "del" {
				flags = ""
			}
			s.line("%s vlan %s dev %s vid %s", in("bridge", l.Place), step.verb, shell(l.Name), strings.TrimSpace(id+" "+flags))
		}
	}
}

// newTunnel makes a VXLAN device in its namespace, by a command to its underlay.
func newTunnel(l state.Link) string {
	command := ip(l.Tunnel.Underlay) + " link add" + born(l)
	if ns, ok := l.Place.Netns(); ok && l.Place != l.Tunnel.Underlay {
		command += " netns " + netnsFile(ns)
	}
	return command + fmt.Sprintf(" type vxlan id %d dstport %d", l.Tunnel.VNI, l.Tunnel.Port) + tunnelSettings(l.Tunnel)
}

// newStacked makes a link on another one, in its namespace, by a command to where that is.
// Kernels before 6.13 do not let it have a name there that is taken where the other one is.
func (s *script) newStacked(l state.Link) {
	command := ip(l.On.Lower.Place) + " link add link " + shell(l.On.Lower.Name)
	ns, ok := l.Place.Netns()
	if !ok || l.Place == l.On.Lower.Place {
		s.line("%s%s%s", command, born(l), stackedSettings(l))
		return
	}
	passing := l
	passing.Name = state.PassingName(l)
	s.line("%s%s netns %s%s", command, born(passing), shell(ns), stackedSettings(l))
	s.line("%s link set dev %s name %s", ip(l.Place), passing.Name, shell(l.Name))
}

// stackedSettings are what is particular to a link on another one.
func stackedSettings(l state.Link) string {
	switch l.Type {
	case state.VLAN:
		return fmt.Sprintf(" type vlan id %d", l.On.VLAN)
	case state.IPvlan:
		return " type ipvlan mode " + l.On.Mode + " " + l.On.Flag
	}
	return " type macvlan mode " + l.On.Mode
}

// tunnelSettings are what a VXLAN device can change.
func tunnelSettings(t state.Tunnel) string {
	text := ""
	if t.Local.IsValid() {
		text = " local " + t.Local.String()
	}
	if t.Learning {
		return text + " learning"
	}
	return text + " nolearning"
}

// offload says who computes checksums for a tunnel.
func (s *script) offload(l state.Link) {
	s.line("%s", inside(l.Place, "ethtool -K "+shell(l.Name)+" tx-checksum-ip-generic "+onOff(!l.Tunnel.Checksums)))
}

func (s *script) ipv6(l state.Link) {
	if l.BelowIPv6() {
		return // there is no such setting
	}
	s.line("%s", inside(l.Place, fmt.Sprintf("sysctl -qw %s", shell(fmt.Sprintf("net/ipv6/conf/%s/disable_ipv6=%d", l.Name, bit(l.NoIPv6))))))
}

func onOff(b bool) string { return map[bool]string{true: "on", false: "off"}[b] }

func bit(b bool) int { return map[bool]int{true: 1, false: 0}[b] }

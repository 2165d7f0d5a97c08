package drivers

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
	"github.com/zclconf/go-cty/cty"
)

// Networks of some drivers sit on an interface of the host, their parent: its own or a VLAN
// sub-interface of it, which is made where it is missing; or, without one, on a dummy.

// ParentAttr is the option that names the parent.
func ParentAttr() spec.AttrSchema {
	return spec.AttrSchema{
		Name: "parent", Type: cty.String, Check: func(v cty.Value) error { return checkParent(v.AsString()) },
		Doc: "The interface of the host that the network sits on, as in `eth0`. It must be there, and is never changed or deleted. `eth0.10` is the VLAN 10 of `eth0`: " +
			"an interface of that name is used if there is one; otherwise it is made when the first endpoint needs it, and removed with the last one. " +
			"Without a parent, the network has an interface of its own that leads nowhere (a dummy), and its endpoints reach each other only.",
	}
}

// ParentDoc is what is true of all networks on a parent.
const ParentDoc = "The host itself and its endpoints do not reach each other through the parent, that is how the kernel makes it. " +
	"To have the host take part, attach the host's sandbox (a `host` network) to the network too."

// ParentAddressDoc is how their endpoints get an MTU, and which addresses they do not get.
const ParentAddressDoc = "Without an `mtu`, endpoints have that of the parent, and follow it. Addresses that the host has itself are not given to endpoints."

// maxVLAN is the highest tag (IEEE 802.1Q); 0 and 4095 mean something else.
const maxVLAN = 4094

func checkParent(name string) error {
	base, tag, dotted := cutTag(name)
	for _, part := range []string{name, base} {
		if part == "lo" {
			return fmt.Errorf("%q leads to the host itself, and the kernel puts nothing on it; name an Ethernet interface, or leave parent out", name)
		}
	}
	if err := CheckInterfaceName(name); err != nil {
		return err
	}
	if dotted && (tag < 1 || tag > maxVLAN) {
		return fmt.Errorf("%q has the VLAN %d; tags are 1 to %d", name, tag, maxVLAN)
	}
	return nil
}

// cutTag splits the name of a VLAN sub-interface, as eth0.10; dotted is false for others.
func cutTag(name string) (base string, tag int, dotted bool) {
	i := strings.LastIndexByte(name, '.')
	if i <= 0 {
		return name, 0, false
	}
	tag, err := strconv.Atoi(name[i+1:])
	if err != nil || tag < 0 {
		return name, 0, false
	}
	return name[:i], tag, true
}

// SplitParent splits the name of a VLAN sub-interface into that of the interface below and
// the tag, which is 0 for other names.
func SplitParent(name string) (base string, tag uint16) {
	base, n, dotted := cutTag(name)
	if !dotted || n < 1 || n > maxVLAN {
		return name, 0
	}
	return base, uint16(n)
}

// onHost is what the network's endpoints sit on: the objects that have to be there for it,
// and where it is. A network without a parent has its device for one.
func onHost(n state.Network, name string) (objects []state.Object, lower state.End) {
	if name == "" {
		return []state.Object{dummy(n)}, state.End{Place: state.Host, Name: n.Device}
	}
	base, tag := SplitParent(name)
	lower = state.End{Place: state.Host, Name: name}
	objects = []state.Object{state.Adopted{K: state.LinkKey(state.Host, base), Asker: n.Mark}}
	if tag == 0 {
		return objects, lower
	}
	return append(objects, state.Link{
		Place: state.Host, Name: name, Mark: n.Mark, Type: state.VLAN, Up: true, NoIPv6: true,
		On: state.Stacked{Lower: state.End{Place: state.Host, Name: base}, VLAN: tag},
	}), lower
}

// dummy leads nowhere. Its MAC is nobody's: it has to be set, see Link.MAC.
func dummy(n state.Network) state.Link {
	return state.Link{
		Place: state.Host, Name: n.Device, Mark: n.Mark, Type: state.Dummy, MTU: MTU(n),
		MAC: seededMAC(0x45, n.Mark.Stack+"\x00"+n.Device), Up: true, NoIPv6: true,
	}
}

// OnParent makes what the network's endpoints sit on, as far as it is ours, and their
// interfaces on it, which are born in their sandboxes: nothing on a host without endpoints.
// What the interfaces are on, below says but for the parent.
func OnParent(v View, parent string, t state.LinkType, below state.Stacked, offer func(Attached) Offer) Expansion {
	if len(v.Endpoints) == 0 {
		return Expansion{}
	}
	out := Expansion{Offers: make(map[state.Address]Offer, len(v.Endpoints))}
	out.Objects, below.Lower = onHost(v.Network, parent)
	for _, e := range v.Endpoints {
		// Without an MTU of the network's, the interface has that of the parent.
		out.Objects = append(out.Objects, state.Link{
			Place: e.In.Place(), Name: e.Interface, Mark: e.Mark, Type: t,
			MTU: v.Network.MTU, MAC: e.MAC, Up: true, NoIPv6: !e.HasIPv6(), On: below,
		})
		for _, o := range Addresses(e) {
			a := o.(state.IPAddress)
			a.Sole = t == state.IPvlan // the kernel finds the interface by the address
			out.Objects = append(out.Objects, a)
		}
		out.Objects = append(out.Objects, InterfaceSysctls(e)...)
		given := offer(e)
		given.Link, given.Internal = e.Interface, v.Network.Internal
		out.Offers[e.Mark.Address] = given
	}
	return out
}

// OutsideGateway is the way out by a gateway on the parent's wire, unless nobody is to get out.
func OutsideGateway(n state.Network, e Attached) Offer {
	if n.Internal {
		return Offer{}
	}
	return Offer{Gateway4: Gateway(n, e.IPv4), Gateway6: Gateway(n, e.IPv6)}
}

package drivers

import (
	"fmt"

	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/hcl/v2"
)

// shaping is how the endpoint's interface sends, and the host's end of it: what the one
// sends is what the endpoint sends, what the other sends is what it gets. Where the host has no
// end, what the interface gets is sent by a device before it, an IFB.
func (x *expander) shaping(n *network, a Attached) []state.Object {
	if a.Bandwidth == (state.Bandwidth{}) && a.Impairment == (state.Impairment{}) {
		return nil
	}
	shape := func(rate uint64) state.Shape { return state.NewShape(rate, a.Bandwidth.Burst, MTU(n.Network)) }
	intake := a.Bandwidth.Ingress != 0 && !n.traits.HostLinks
	var objects []state.Object
	if intake {
		objects = intakeOf(a, shape(a.Bandwidth.Ingress))
	}
	link, made := x.world[state.LinkKey(a.In.Place(), a.Interface)].(state.Link)
	if !made { // a plugin has yet to give it
		return objects
	}
	own := state.Qdisc{Place: link.Place, Link: link.Name, Mark: a.Mark, Shape: shape(a.Bandwidth.Egress), Netem: a.Impairment}
	if own.Kinds() != "" {
		objects = append(objects, own)
	}
	switch {
	case intake:
		objects = append(objects, state.Redirect{Place: link.Place, Link: link.Name, To: state.IntakeName(a.Mark), Mark: a.Mark})
	case a.Bandwidth.Ingress != 0:
		objects = append(objects, state.Qdisc{Place: link.Peer.Place, Link: link.Peer.Name, Mark: a.Mark, Shape: shape(a.Bandwidth.Ingress)})
	}
	return objects
}

// intakeOf is the device before the endpoint's interface, and how it sends. It is there
// before the interface is, and stays when that is made anew.
func intakeOf(a Attached, shape state.Shape) []state.Object {
	place, name := a.In.Place(), state.IntakeName(a.Mark)
	return []state.Object{
		state.Link{
			Place: place, Name: name, Mark: a.Mark, Type: state.IFB, Up: true, NoIPv6: true,
			MAC: seededMAC(0x46, a.Mark.Stack+"\x00"+name),
		},
		state.Qdisc{Place: place, Link: name, Mark: a.Mark, Shape: shape},
	}
}

// validateShaping refuses what the network's driver has no interface for, and a bucket that
// no frame fits in.
func validateShaping(n *spec.Network, e *spec.Endpoint, t Traits) hcl.Diagnostics {
	var diags hcl.Diagnostics
	refuse := func(attr, summary, format string, args ...any) {
		diags = append(diags, Refuse(e.At(attr), summary, string(e.Mark.Address)+fmt.Sprintf(format, args...)))
	}
	const none = ", but networks of the driver %s "
	rate := "bandwidth.ingress"
	if e.Bandwidth.Ingress == 0 {
		rate = "bandwidth.egress"
	}
	frame := state.FrameSize(MTU(n.Network))
	switch b := e.Bandwidth; {
	case !t.Links && b != (state.Bandwidth{}):
		refuse(rate, "Bandwidth without an interface", " has a bandwidth"+none+"give it no interface. Remove the block bandwidth, or choose another driver.", n.Driver)
	case t.Of(n.Network).Unseen && b.Ingress != 0:
		refuse(rate, "Nobody to hold traffic back", " limits what it gets, but in the mode of %s that does not come by its interface, where it could be held back. Choose another mode, or set egress where it comes from.", n.Mark.Address)
	case b.Burst != 0 && b.Ingress == 0 && b.Egress == 0:
		refuse("bandwidth.burst", "Burst without a rate", " says how much goes through at once, but not how much in the long run. Add ingress or egress, or remove burst.")
	case b.Burst != 0 && b.Burst < frame:
		refuse("bandwidth.burst", "Burst smaller than a frame", " lets %d bytes through at once, but a frame of %s has up to %d and would never get through. Raise burst to %[3]db at least, or remove it.",
			b.Burst, n.Mark.Address, frame)
	}
	if !t.Links && e.Impairment != (state.Impairment{}) {
		refuse("impairment."+e.Impairment.Attr(), "Impairment without an interface", " has an impairment"+none+"give it no interface. Remove the block impairment, or choose another driver.", n.Driver)
	}
	return diags
}

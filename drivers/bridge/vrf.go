package bridge

import (
	"github.com/cnmctl/cnmctl/drivers"
	"github.com/cnmctl/cnmctl/state"
)

var _ drivers.Domain = Driver{}

// Domain is the VRF that the bridge is in.
func (Driver) Domain(n state.Network) (vrf string, table uint32) {
	o, err := decode(n.Options)
	if err != nil {
		return "", 0
	}
	return o.VRF, o.VRFTable
}

// refiner: the host cannot lead ports into a VRF. What comes to its own addresses is routed
// by the table main before and behind the translation, and so are the answers.
type refiner struct{}

func (refiner) Refine(t drivers.Traits, n state.Network) drivers.Traits {
	t.Ports = drivers.OptionText(n.Options, "vrf") == ""
	return t
}

// vrf is the VRF that the bridge is in: made, or somebody else's.
func (n network) vrf() []state.Object {
	switch {
	case n.VRF == "":
		return nil
	case n.VRFTable == 0:
		return []state.Object{state.Adopted{K: state.LinkKey(state.Host, n.VRF), Type: state.VRF, Asker: n.Mark}}
	}
	return drivers.NewVRF(state.Host, n.VRF, n.VRFTable, n.hasIPv6(), n.Mark)
}

// domain refuses what contradicts a VRF. That networks agree about it is looked at for all of
// them together.
func (v *validator) domain() {
	switch {
	case v.VRF == "" && v.VRFTable != 0:
		v.refuse("bridge.vrf_table", "Table of no VRF", "%s has vrf_table, but is in no VRF. Add its name, as in vrf = \"red\", or remove vrf_table.", v.n.Mark.Address)
	case v.VRF == "":
	case v.Adopt:
		v.refuse("bridge.vrf", "VRF for a bridge that is not ours", "%s adopts its bridge, which is never changed, so cnmctl cannot put it into a VRF. Remove vrf, or adopt.", v.n.Mark.Address)
	case len(v.Trusted) > 0:
		v.refuse("bridge.trusted_host_interfaces", "Trusted interfaces of a network without ports", "%s is in the VRF %q, so no port of it can be published that they might go to. Remove trusted_host_interfaces, or vrf.", v.n.Mark.Address, v.VRF)
	}
}

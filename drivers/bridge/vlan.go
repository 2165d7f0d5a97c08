package bridge

import (
	"fmt"
	"math/big"
	"slices"

	"github.com/cnmctl/cnmctl/drivers"
	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
	"github.com/zclconf/go-cty/cty"
)

// endpointOptions are an endpoint's, by the names in the schema.
type endpointOptions struct {
	VLAN  uint16   `json:"vlan"`
	Trunk []uint16 `json:"trunk"`
}

func decodeEndpoint(o state.Options) (endpointOptions, error) {
	var v endpointOptions
	if err := o.Decode(&v); err != nil {
		return v, fmt.Errorf("reading the bridge options: %w", err)
	}
	return v, nil
}

func endpointAttrs() []spec.AttrSchema {
	return []spec.AttrSchema{
		{Name: "vlan", Type: cty.Number, Check: checkVLAN,
			Doc: "The VLAN that the endpoint is in, from 1 to 4094: the bridge keeps its frames from other VLANs, and the endpoint sees no tags. " +
				"1 when neither `vlan` nor `trunk` is said. The network needs `vlan_filtering`. Outside of VLAN 1 there is no gateway, and no published port."},
		{Name: "trunk", Type: cty.List(cty.Number), Check: checkTrunk,
			Doc: "VLANs whose frames the endpoint gets and sends with their tags (IEEE 802.1Q), for a router or switch in its sandbox. " +
				"What it sends without a tag is in `vlan`, or dropped when there is none."},
	}
}

func checkVLAN(v cty.Value) error {
	n := v.AsBigFloat()
	if !n.IsInt() || n.Cmp(big.NewFloat(state.FirstVLAN)) < 0 || n.Cmp(big.NewFloat(state.MaxVLAN)) > 0 {
		return fmt.Errorf("%s is no VLAN: those are whole numbers from %d to %d", n.Text('f', -1), state.FirstVLAN, state.MaxVLAN)
	}
	return nil
}

func checkTrunk(v cty.Value) error {
	for it := v.ElementIterator(); it.Next(); {
		_, id := it.Element()
		switch {
		case !id.IsKnown():
			continue
		case id.IsNull():
			return fmt.Errorf("null is no VLAN: those are whole numbers from %d to %d", state.FirstVLAN, state.MaxVLAN)
		}
		if err := checkVLAN(id); err != nil {
			return err
		}
	}
	return nil
}

// vlans are those of the endpoint's port.
func (o endpointOptions) vlans() string {
	var all []state.PortVLAN
	if own := o.own(); own != 0 {
		all = append(all, state.PortVLAN{ID: own, PVID: true, Untagged: true})
	}
	for _, id := range o.Trunk {
		all = append(all, state.PortVLAN{ID: id})
	}
	return state.VLANText(all)
}

// own is the VLAN of what has no tag, 0 for none.
func (o endpointOptions) own() uint16 {
	if o.VLAN == 0 && len(o.Trunk) == 0 {
		return state.FirstVLAN
	}
	return o.VLAN
}

// besideHost reports that the endpoint is in the VLAN of the host.
func (o endpointOptions) besideHost() bool { return o.own() == state.FirstVLAN }

// vlans refuses VLANs where nobody keeps them apart, and one twice.
func (v *validator) vlans(e *spec.Endpoint) {
	o, err := decodeEndpoint(e.Options)
	refuse := func(attr, summary, format string, args ...any) {
		v.diags = append(v.diags, drivers.Refuse(e.At(attr), summary, fmt.Sprintf(format, args...)))
	}
	if err != nil {
		refuse("network", "Unreadable options", "%s", err)
		return
	}
	attr := "bridge.vlan"
	if o.VLAN == 0 {
		attr = "bridge.trunk"
	}
	if !v.Filtering && (o.VLAN != 0 || len(o.Trunk) > 0) {
		refuse(attr, "VLAN on a bridge without VLANs", "The bridge of %s does not keep VLANs apart, so %s would reach all of it. Add vlan_filtering = true to the bridge block of %s, or remove %s.",
			v.n.Mark.Address, e.Mark.Address, v.n.Mark.Address, attr[len("bridge."):])
	}
	if v.Filtering && !o.besideHost() && len(e.Ports) > 0 {
		refuse("port[0].container", "Published port out of the host's reach", "%s publishes a port on the host, but it is not in VLAN %d, where the host is, so that nobody would get through. Remove the port, or let the endpoint be in VLAN %d.",
			e.Mark.Address, state.FirstVLAN, state.FirstVLAN)
	}
	seen := []uint16{o.VLAN}
	for _, id := range o.Trunk {
		if slices.Contains(seen, id) {
			refuse("bridge.trunk", "VLAN said twice", "%s is in VLAN %d twice. A VLAN is either the endpoint's own (vlan), without tags, or one of its trunk.", e.Mark.Address, id)
			return
		}
		seen = append(seen, id)
	}
}

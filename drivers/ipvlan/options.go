package ipvlan

import (
	"fmt"
	"strconv"

	"github.com/cnmctl/cnmctl/drivers"
	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// options are the network's, by the names in the schema.
type options struct {
	Parent string `json:"parent"`
	Mode   string `json:"mode"`
	Flag   string `json:"flag"`
}

// routed reports that the host routes between its own network and the endpoints.
func (o options) routed() bool { return o.Mode != state.ModeL2 }

// decode reads the options over their defaults, so that a record without one of them (of
// an older version) means what it meant.
func decode(o state.Options) (options, error) {
	v := options{Mode: state.ModeL2, Flag: state.ModeBridge}
	if err := o.Decode(&v); err != nil {
		return v, fmt.Errorf("reading the ipvlan options: %w", err)
	}
	return v, nil
}

// Schema is what may be written in an ipvlan block.
func (Driver) Schema() spec.DriverSchema {
	return spec.DriverSchema{
		Name: "ipvlan",
		Doc: "Endpoints on the host's own network, under the MAC of an interface of the host: each has an interface with addresses of its own on it. " +
			"It works where a switch lets only one MAC through. There is no bridge, no address translation and no packet filter.\n\n" +
			drivers.ParentDoc + " An endpoint cannot have a `mac`. " + drivers.ParentAddressDoc,
		Network: spec.Schema{Name: "ipvlan", Doc: "Options of an ipvlan network.", Attrs: []spec.AttrSchema{
			drivers.ParentAttr(),
			{Name: "mode", Type: cty.String, Default: cty.StringVal(state.ModeL2), Check: drivers.OneOf(state.ModeL2, state.ModeL3, state.ModeL3S),
				Doc: "How endpoints use the parent. `l2`: they ask for neighbors themselves, and the gateway is the network's router. " +
					"`l3`: the host routes for them; they have a default route without a gateway, and no multicast or broadcast, and machines outside need a route to the subnets by way of the host. " +
					"`l3s`: the same, with the host's packet filter and connection tracking in between. Networks on one parent have the same mode. It is changed in place."},
			{Name: "flag", Type: cty.String, Default: cty.StringVal(state.ModeBridge), Check: drivers.OneOf(state.ModeBridge, state.ModePrivate, state.ModeVEPA),
				Doc: "Who of the endpoints on the parent reach each other. `bridge`: all, directly. `private`: none. `vepa`: only by way of a switch that sends their frames back. " +
					"Networks on one parent have the same flag. It is changed in place."},
		}},
		Endpoint: spec.Schema{Name: "ipvlan", Doc: "An endpoint of an ipvlan network has no options of its own."},
	}
}

// Validate refuses what does not go with the mode, and MACs. What networks share is checked
// together, see drivers.Validate.
func (Driver) Validate(n *spec.Network, endpoints []*spec.Endpoint) hcl.Diagnostics {
	o, err := decode(n.Options)
	if err != nil {
		return hcl.Diagnostics{drivers.Refuse(n.At("driver"), "Unreadable options", err.Error())}
	}
	diags := append(drivers.CheckMTU6(n), drivers.RefuseMACs(endpoints, "on an ipvlan network all endpoints have the MAC of their parent")...)
	for i, s := range n.Subnets {
		if o.routed() && s.Gateway.IsValid() {
			diags = append(diags, drivers.Refuse(n.At("subnet["+strconv.Itoa(i)+"].gateway"), "Gateway of a routed network", fmt.Sprintf(
				"In mode %s the host routes for the endpoints of %s: their default route has no gateway. Remove gateway, or choose the mode l2.", o.Mode, n.Mark.Address)))
		}
	}
	return diags
}

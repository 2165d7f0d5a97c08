package macvlan

import (
	"fmt"

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
}

// decode reads the options over their defaults, so that a record without one of them (of
// an older version) means what it meant.
func decode(o state.Options) (options, error) {
	v := options{Mode: state.ModeBridge}
	if err := o.Decode(&v); err != nil {
		return v, fmt.Errorf("reading the macvlan options: %w", err)
	}
	return v, nil
}

// Schema is what may be written in a macvlan block.
func (Driver) Schema() spec.DriverSchema {
	return spec.DriverSchema{
		Name: "macvlan",
		Doc: "Endpoints on the host's own network: each has an interface with a MAC of its own on an interface of the host, so that machines on that network see it as one of them. " +
			"There is no bridge, no address translation and no packet filter, and the gateway is the network's router.\n\n" +
			drivers.ParentDoc + " " +
			"Many wireless interfaces and virtual switches let only one MAC through: choose `ipvlan` there. " + drivers.ParentAddressDoc,
		Network: spec.Schema{Name: "macvlan", Doc: "Options of a macvlan network.", Attrs: []spec.AttrSchema{
			drivers.ParentAttr(),
			{Name: "mode", Type: cty.String, Default: cty.StringVal(state.ModeBridge),
				Check: drivers.OneOf(state.ModeBridge, state.ModePrivate, state.ModeVEPA, state.ModePassthru),
				Doc: "Who reaches whom on the parent. `bridge`: endpoints reach each other directly. `private`: they do not, even if a switch sends their frames back. " +
					"`vepa`: only by way of a switch that sends them back (hairpin, IEEE 802.1Qbg). `passthru`: one endpoint has the parent to itself, and the parent's MAC. " +
					"`bridge`, `private` and `vepa` are changed in place."},
		}},
		Endpoint: spec.Schema{Name: "macvlan", Doc: "An endpoint of a macvlan network has no options of its own."},
	}
}

// Validate refuses what does not go with the mode. What networks share is checked together,
// see drivers.Validate.
func (Driver) Validate(n *spec.Network, endpoints []*spec.Endpoint) hcl.Diagnostics {
	o, err := decode(n.Options)
	if err != nil {
		return hcl.Diagnostics{drivers.Refuse(n.At("driver"), "Unreadable options", err.Error())}
	}
	diags := drivers.CheckMTU6(n)
	if o.Mode != state.ModePassthru {
		return diags
	}
	if o.Parent == "" {
		diags = append(diags, drivers.Refuse(n.At("macvlan.mode"), "Passthru of nothing", fmt.Sprintf(
			"%s is to hand its parent to one endpoint, but has none. Add parent, as in parent = \"eth0\", or choose another mode.", n.Mark.Address)))
	}
	return append(diags, drivers.RefuseMACs(endpoints, fmt.Sprintf("in passthru mode an endpoint has the MAC of %s", o.Parent))...)
}

package overlay

import (
	"fmt"

	"github.com/cnmctl/cnmctl/drivers"
	"github.com/cnmctl/cnmctl/spec"
	"github.com/hashicorp/hcl/v2"
)

// maxNetns is how long a namespace's name may be, as for sandboxes.
const maxNetns = 200

// Validate refuses what a network across hosts cannot have. Hosts are checked together, see
// drivers.Validate; VNIs while they are chosen.
func (Driver) Validate(n *spec.Network, _ []*spec.Endpoint) hcl.Diagnostics {
	o, err := decode(n.Options)
	if err != nil {
		return hcl.Diagnostics{drivers.Refuse(n.At("driver"), "Unreadable options", err.Error())}
	}
	diags := append(drivers.CheckMTU6(n), drivers.CheckHostBinding(n)...)
	refuse := func(attr, summary, format string, args ...any) {
		diags = append(diags, drivers.Refuse(n.At(attr), summary, fmt.Sprintf(format, args...)))
	}
	if o.GatewaySubnet != "" && n.Internal {
		refuse("overlay.gateway_subnet", "Gateway for a network without a way out", "%s is internal, so its sandboxes have no way out that could need a subnet. Remove gateway_subnet, or internal.", n.Mark.Address)
	}
	if name := Namespace(n.Mark.Stack, n.Name); len(name) > maxNetns {
		refuse("name", "Name too long", "The namespace of %s would be called %q, which has %d bytes; at most %d are allowed. Set a shorter name.", n.Mark.Address, name, len(name), maxNetns)
	}
	return diags
}

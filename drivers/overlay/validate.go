package overlay

import (
	"fmt"

	"github.com/cnmctl/cnmctl/drivers"
	"github.com/cnmctl/cnmctl/spec"
	"github.com/hashicorp/hcl/v2"
)

const (
	// minMTU6 is the smallest MTU that IPv6 allows (RFC 8200, section 5).
	minMTU6 = 1280
	// maxNetns is how long a namespace's name may be, as for sandboxes.
	maxNetns = 200
)

// Validate refuses what a network across hosts cannot have. Hosts are checked together, see
// drivers.Validate; VNIs while they are chosen.
func (Driver) Validate(n *spec.Network, _ []*spec.Endpoint) hcl.Diagnostics {
	o, err := decode(n.Options)
	if err != nil {
		return hcl.Diagnostics{drivers.Refuse(n.At("driver"), "Unreadable options", err.Error())}
	}
	var diags hcl.Diagnostics
	refuse := func(attr, summary, format string, args ...any) {
		diags = append(diags, drivers.Refuse(n.At(attr), summary, fmt.Sprintf(format, args...)))
	}
	if n.MTU != 0 && n.MTU < minMTU6 && (n.IPv6 || drivers.Has(n.Network, true)) {
		refuse("mtu", "MTU too small for IPv6", "%s has IPv6, which needs an MTU of at least %d; %d would make the kernel switch IPv6 off on its interfaces. Raise the MTU, or leave IPv6 out.",
			n.Mark.Address, minMTU6, n.MTU)
	}
	if o.GatewaySubnet != "" && n.Internal {
		refuse("overlay.gateway_subnet", "Gateway for a network without a way out", "%s is internal, so its sandboxes have no way out that could need a subnet. Remove gateway_subnet, or internal.", n.Mark.Address)
	}
	if name := Namespace(n.Mark.Stack, n.Name); len(name) > maxNetns {
		refuse("name", "Name too long", "The namespace of %s would be called %q, which has %d bytes; at most %d are allowed. Set a shorter name.", n.Mark.Address, name, len(name), maxNetns)
	}
	return diags
}

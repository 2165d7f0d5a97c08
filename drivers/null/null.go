// Package null is the network without a network: its sandboxes have their loopback and
// nothing else.
package null

import (
	"github.com/cnmctl/cnmctl/drivers"
	"github.com/cnmctl/cnmctl/spec"
	"github.com/hashicorp/hcl/v2"
)

// Driver is the null driver.
type Driver struct{}

var _ drivers.Driver = Driver{}

// Schema has no options.
func (Driver) Schema() spec.DriverSchema {
	return spec.DriverSchema{
		Name:     "null",
		Doc:      "No network: a sandbox on it has its loopback interface and, if it is on no other network, nothing else.",
		Network:  spec.Schema{Name: "null", Doc: "A null network has no options."},
		Endpoint: spec.Schema{Name: "null", Doc: "An endpoint of a null network has no options."},
	}
}

// Traits are none.
func (Driver) Traits() drivers.Traits { return drivers.Traits{} }

// Validate refuses addresses and interfaces, which there are none of.
func (Driver) Validate(n *spec.Network, endpoints []*spec.Endpoint) hcl.Diagnostics {
	return drivers.RefuseLinks(n, endpoints, "a null network has no interfaces")
}

// Expand has nothing to make.
func (Driver) Expand(drivers.View) (drivers.Expansion, error) { return drivers.Expansion{}, nil }

// Package host makes a sandbox the host's own network namespace.
package host

import (
	"github.com/cnmctl/cnmctl/drivers"
	"github.com/cnmctl/cnmctl/spec"
	"github.com/hashicorp/hcl/v2"
)

// Driver is the host driver.
type Driver struct{}

var _ drivers.Driver = Driver{}

// Schema has no options.
func (Driver) Schema() spec.DriverSchema {
	return spec.DriverSchema{
		Name: "host",
		Doc: "The host's own network namespace as a sandbox, so that the host can be an end of a `ptp` cable, have routes and rules of the stack, " +
			"or simply be named. What is there already is never changed; what is added bears cnmctl's mark. The sandbox gets no default route and no files in /etc.",
		Network:  spec.Schema{Name: "host", Doc: "A host network has no options."},
		Endpoint: spec.Schema{Name: "host", Doc: "An endpoint of a host network has no options."},
	}
}

// Traits: the namespace is the host's.
func (Driver) Traits() drivers.Traits { return drivers.Traits{HostNamespace: true} }

// Validate refuses addresses and interfaces: the host has its own.
func (Driver) Validate(n *spec.Network, endpoints []*spec.Endpoint) hcl.Diagnostics {
	return drivers.RefuseLinks(n, endpoints, "the host's interfaces and addresses are its own")
}

// Expand has nothing to make.
func (Driver) Expand(drivers.View) (drivers.Expansion, error) { return drivers.Expansion{}, nil }

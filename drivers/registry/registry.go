// Package registry is the one visible list of all drivers.
package registry

import (
	"github.com/cnmctl/cnmctl/drivers"
	"github.com/cnmctl/cnmctl/drivers/bridge"
	"github.com/cnmctl/cnmctl/drivers/host"
	"github.com/cnmctl/cnmctl/drivers/ipvlan"
	"github.com/cnmctl/cnmctl/drivers/macvlan"
	"github.com/cnmctl/cnmctl/drivers/null"
	"github.com/cnmctl/cnmctl/drivers/overlay"
	"github.com/cnmctl/cnmctl/drivers/ptp"
	"github.com/cnmctl/cnmctl/drivers/remote"
	"github.com/cnmctl/cnmctl/spec"
)

// All are the drivers, the default one first.
func All() []drivers.Driver {
	return []drivers.Driver{
		bridge.Driver{}, ptp.Driver{}, null.Driver{}, host.Driver{}, overlay.Driver{}, macvlan.Driver{}, ipvlan.Driver{}, remote.Driver{},
	}
}

// Schemas are what the language needs to know of them.
func Schemas() []spec.DriverSchema {
	var schemas []spec.DriverSchema
	for _, d := range All() {
		schemas = append(schemas, d.Schema())
	}
	return schemas
}

// Traits are what planning needs to know of them, by name.
func Traits() map[string]drivers.Traits {
	traits := map[string]drivers.Traits{}
	for _, d := range All() {
		traits[d.Schema().Name] = d.Traits()
	}
	return traits
}

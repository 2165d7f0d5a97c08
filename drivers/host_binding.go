package drivers

import (
	"github.com/cnmctl/cnmctl/spec"
	"github.com/zclconf/go-cty/cty"
)

// HostBinding is the option for the host's address of published ports that name none.
func HostBinding() spec.AttrSchema {
	return spec.AttrSchema{
		Name: "host_binding", Type: cty.String, Check: func(v cty.Value) error { return spec.CheckPortAddress(v.AsString()) },
		Doc: "The host's address to publish on, for `port` blocks of the network's endpoints that have no `address`: `127.0.0.1` keeps them for programs on the host. " +
			"An address of one family leaves out the other. All addresses when absent.",
	}
}

package drivers

import (
	"fmt"

	"github.com/cnmctl/cnmctl/spec"
	"github.com/hashicorp/hcl/v2"
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

// CheckHostBinding refuses an address to publish on where nothing is published.
func CheckHostBinding(n *spec.Network) hcl.Diagnostics {
	if !n.Internal || OptionText(n.Options, "host_binding") == "" {
		return nil
	}
	return hcl.Diagnostics{Refuse(n.At(n.Driver+".host_binding"), "Published ports of a network without a way in", fmt.Sprintf(
		"%s is internal, so no port of it is published on any address. Remove host_binding, or internal.", n.Mark.Address))}
}

package spec

import (
	"fmt"

	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// ParseMove reads the two addresses of a move from text, as a command line gives them.
func ParseMove(from, to string) (Move, error) {
	m := Move{}
	for _, side := range []struct {
		text string
		into *state.Address
	}{{from, &m.From}, {to, &m.To}} {
		t, diags := hclsyntax.ParseTraversalAbs([]byte(side.text), "", hcl.InitialPos)
		address, ok := addressText(t)
		if diags.HasErrors() || !ok {
			return m, fmt.Errorf("%q is no address of a network, a sandbox, an endpoint or a module, "+
				"as in sandbox.web, 'endpoint.web[\"a\"]' or module.lab", side.text)
		}
		*side.into = address
	}
	if kindOf(m.From) != kindOf(m.To) {
		return m, fmt.Errorf("%s is not of the same kind as %s, so it cannot take its place", m.To, m.From)
	}
	return m, nil
}

package cli

import (
	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"
)

func (w writer) policy(p state.Policy) {
	for _, r := range p.Rules {
		in := w.nested(r.Word())
		in.peers("from", r.From)
		in.peers("to", r.To)
		in.text("protocol", r.Protocol)
		ports := make([]string, len(r.Ports))
		for i, port := range r.Ports {
			ports[i] = port.String()
		}
		in.texts("ports", ports)
	}
	w.common(p.Labels, p.Protected)
}

// peers writes a list of references and of ranges.
func (w writer) peers(name string, peers []state.Peer) {
	list := make([]hclwrite.Tokens, len(peers))
	for i, p := range peers {
		if p.Block == "" {
			list[i] = hclwrite.TokensForValue(cty.StringVal(p.String()))
			continue
		}
		list[i] = hclwrite.TokensForTraversal(w.traversal(p.Block))
	}
	w.SetAttributeRaw(name, hclwrite.TokensForTuple(list))
}

// traversal is the reference to another block, under the label that it has here.
func (w writer) traversal(a state.Address) hcl.Traversal {
	kind, _ := blockKind(a)
	to := w.labels.of[a]
	if to == "" {
		to = label(a)
	}
	return hcl.Traversal{hcl.TraverseRoot{Name: kind}, hcl.TraverseAttr{Name: to}}
}

package planner

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/hcl/v2"
)

// unmoved finds blocks that go while others come that are just like them: somebody gave
// them another name and did not say so. The warning shows how to.
func (d *diff) unmoved() hcl.Diagnostics {
	if d.opts.Destroy {
		return nil
	}
	gone := d.blocksLike(func(n *node) bool { return n.want == nil && n.dead && d.moved[n.live.Owner().Address] == "" })
	if len(gone) == 0 {
		return nil
	}
	come := d.blocksLike(func(n *node) bool { return n.live == nil && n.made })
	var diags hcl.Diagnostics
	for _, like := range slices.Sorted(maps.Keys(gone)) {
		if len(gone[like]) != 1 || len(come[like]) != 1 {
			continue // not clear which became which
		}
		from, to := gone[like][0], come[like][0]
		diags = append(diags, &hcl.Diagnostic{
			Severity: hcl.DiagWarning,
			Summary:  "Renamed without a moved block?",
			Detail: fmt.Sprintf("%s would be destroyed, and %s created, which is just like it. If it is the same under another name, say so, and nothing of it is made anew:\n\n"+
				"  moved {\n    from = %s\n    to   = %s\n  }", from, to, from, to),
			Subject: d.opts.at(to),
		})
	}
	return diags
}

// blocksLike are the blocks that have records in one world alone, by what they are like.
func (d *diff) blocksLike(only func(*node) bool) map[string][]state.Address {
	like, other := map[state.Address][]string{}, map[state.Address]bool{}
	for _, n := range d.all {
		switch n.key.Kind {
		case state.KindNetwork, state.KindSandbox, state.KindEndpoint:
		default:
			continue
		}
		o := n.live
		if o == nil {
			o = n.want
		}
		block, key := blockOf(o.Owner().Address)
		if only(n) {
			like[block] = append(like[block], key+" "+likeness(o))
		} else {
			other[block] = true // some of it stays
		}
	}
	out := map[string][]state.Address{}
	for block, list := range like {
		if kind, _ := labelsOf(block); !other[block] {
			slices.Sort(list)
			name := kind + " " + strings.Join(list, "\n")
			out[name] = append(out[name], block)
		}
	}
	return out
}

// likeness is what a block is, without the names that follow from its own and without what
// is chosen for it.
func likeness(o state.Object) string {
	switch o := o.(type) {
	case state.Network:
		subnets := make([]string, len(o.Subnets))
		for i, s := range o.Subnets {
			subnets[i] = s.CIDR.String()
		}
		return fmt.Sprint(o.Driver, subnets, o.Internal, o.IPv6, o.MTU)
	case state.Sandbox:
		return fmt.Sprint(o.Host, o.Hostname, o.Loopback, len(o.Routes), o.Rules, o.Sysctls, o.ExtraHosts, o.DNS)
	case state.Endpoint:
		return fmt.Sprint(o.Network, o.Sandbox, o.LinkLocal, o.Aliases, o.Nameless, o.Priority, o.Sysctls)
	}
	return ""
}

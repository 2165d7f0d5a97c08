package planner

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/hcl/v2"
)

// spaces are the namespaces of others in which something changes.
func (d *diff) spaces() []Space {
	others := map[state.Place]string{}
	for _, n := range d.all {
		if there, foreign := n.live.(state.Foreign); foreign && n.key.Kind == state.KindNamespace {
			others[state.Netns(n.key.Name)] = there.What
		}
	}
	if len(others) == 0 {
		return nil
	}
	found := map[string]Space{}
	for _, n := range d.changes {
		if what, ok := others[n.key.Place]; ok {
			name, _ := n.key.Place.Netns()
			found[name] = Space{name, what}
		}
	}
	return slices.SortedFunc(maps.Values(found), func(a, b Space) int { return strings.Compare(a.Name, b.Name) })
}

// spaces says which namespaces of others the plan goes into.
func (out *printer) spaces() {
	if len(out.plan.Spaces) == 0 {
		return
	}
	out.put(out.paint(bold, "Namespaces of others, in which nothing is changed but what is listed below"), "\n\n")
	for _, s := range out.plan.Spaces {
		out.put("  # ", s.Name, " (", s.Is, ")\n")
	}
	out.put("\n")
}

// spaceFailure says why a sandbox cannot be in a namespace of somebody else.
func (d *diff) spaceFailure(asker state.Owner, n *node) *hcl.Diagnostic {
	what, why := &hcl.Diagnostic{
		Severity: hcl.DiagError,
		Summary:  "Namespace of somebody else cannot be joined",
		Subject:  d.opts.at(asker.Address),
	}, ""
	switch o := n.live.(type) {
	case state.Foreign:
		why = o.Barred
	case nil:
		why = "there is none"
	default:
		why = fmt.Sprintf("it is that of %s: write shares = %[1]s", o.Owner().Address)
	}
	what.Detail = fmt.Sprintf("%s is to be %s, but %s.", asker.Address, n.key.Name, why)
	return what
}

// keptOut warns of new endpoints that are not the way out of a namespace of somebody else
// because that has one.
func (d *diff) keptOut() hcl.Diagnostics {
	var diags hcl.Diagnostics
	for _, r := range d.yielded {
		link := d.nodes[state.LinkKey(r.Place, r.Dev)]
		if link == nil || !link.made || link.dead {
			continue
		}
		diags = append(diags, &hcl.Diagnostic{
			Severity: hcl.DiagWarning,
			Summary:  "Somebody else's default route stays",
			Detail: fmt.Sprintf("%s has a default route (%s) that cnmctl did not make, so %s is not its way out and its gateway %s stays unused. Add a route to the sandbox for what is to go that way.",
				capital(r.Place.String()), r.Dst, r.Mark.Address, r.Via),
			Subject: d.opts.at(r.Mark.Address),
		})
	}
	slices.SortFunc(diags, func(a, b *hcl.Diagnostic) int { return strings.Compare(a.Detail, b.Detail) })
	return diags
}

package planner

import (
	"fmt"
	"slices"

	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/hcl/v2"
)

// checkPointToPoint checks that each network of two has two, in two sandboxes.
func (w *wiring) checkPointToPoint() hcl.Diagnostics {
	ends := map[state.Address][]*spec.Endpoint{}
	for _, e := range w.endpoints {
		if w.of(e).PointToPoint {
			ends[e.Network] = append(ends[e.Network], e)
		}
	}
	var diags hcl.Diagnostics
	for _, n := range w.networks {
		if w.traits[n.Driver].PointToPoint {
			diags = append(diags, w.checkEnds(n, ends[n.Mark.Address])...)
		}
	}
	return diags
}

func (w *wiring) checkEnds(n *spec.Network, ends []*spec.Endpoint) hcl.Diagnostics {
	var diags hcl.Diagnostics
	if len(ends) < 2 && !n.Partial {
		diags = append(diags, failure(n.At("driver"), "Link without two ends", fmt.Sprintf(
			"%s joins two sandboxes and has %s. Declare two endpoints on it, each in a sandbox of its own.", n.Mark.Address, listEnds(ends))))
	}
	if len(ends) > 2 {
		diags = append(diags, failure(ends[2].At("network"), "Link with more than two ends", fmt.Sprintf(
			"%s joins two sandboxes and has %s. Remove what is too many, or use a bridge network.", n.Mark.Address, listEnds(ends))))
	}
	for _, e := range ends {
		if e.Sandbox == "" {
			diags = append(diags, failure(e.At("sandbox"), "Loose end", fmt.Sprintf(
				"%s is on %s, whose link exists only between two sandboxes, but it has no sandbox. Attach it to one.", e.Mark.Address, n.Mark.Address)))
		}
	}
	if len(ends) == 2 && ends[0].Sandbox != "" && w.spaceOf(ends[0].Sandbox) == w.spaceOf(ends[1].Sandbox) {
		diags = append(diags, failure(ends[1].At("sandbox"), "Link from a sandbox to itself", fmt.Sprintf(
			"%s and %s (%s), the ends of %s, are both in %s. Attach them to two sandboxes.",
			ends[1].Mark.Address, ends[0].Mark.Address, line(ends[0].At("sandbox")), n.Mark.Address, ends[0].Sandbox)))
	}
	return diags
}

// listEnds names a link's endpoints, where they are declared.
func listEnds(ends []*spec.Endpoint) string {
	switch len(ends) {
	case 0:
		return "no endpoint"
	case 1:
		return fmt.Sprintf("one endpoint, %s (%s)", ends[0].Mark.Address, line(&ends[0].Range))
	}
	text := fmt.Sprintf("%d endpoints:", len(ends))
	for i, e := range ends {
		if i > 0 {
			text += ","
		}
		text += fmt.Sprintf(" %s (%s)", e.Mark.Address, line(&e.Range))
	}
	return text
}

// enterHost makes the sandboxes that are on a host network the host's own namespace. There
// is one of it on each host, so there can be one such sandbox; and it has its own way out,
// which an endpoint with a gateway would cut.
func (w *wiring) enterHost() hcl.Diagnostics {
	var diags hcl.Diagnostics
	first := map[string]*spec.Endpoint{}
	for _, s := range w.sandboxes {
		if s.Shares != "" {
			continue
		}
		attached := w.inside[s.Mark.Address]
		i := slices.IndexFunc(attached, func(e *spec.Endpoint) bool { return w.of(e).HostNamespace })
		if i < 0 {
			continue
		}
		entry := attached[i]
		if s.Foreign {
			diags = append(diags, failure(entry.At("sandbox"), "Somebody else's namespace is not the host's", fmt.Sprintf(
				"%s is %s, and %s would make it the host's own namespace. Use another sandbox for the host.", s.Mark.Address, s.Netns, entry.Mark.Address)))
			continue
		}
		s.Netns = ""
		if other := first[s.Host]; other != nil {
			diags = append(diags, failure(entry.At("sandbox"), "Two sandboxes for the host's namespace", fmt.Sprintf(
				"%s makes %s the host's own namespace, which %s is already by %s (%s). Use one sandbox for both.",
				entry.Mark.Address, s.Mark.Address, other.Sandbox, other.Mark.Address, line(other.At("sandbox")))))
		}
		first[s.Host] = entry
		for j, e := range attached {
			switch {
			case j == i:
			case w.of(e).HostNamespace:
				diags = append(diags, failure(e.At("sandbox"), "Two host endpoints in one sandbox", fmt.Sprintf(
					"%s is the host's own namespace by %s (%s) already. Remove %s.", s.Mark.Address, entry.Mark.Address, line(&entry.Range), e.Mark.Address)))
			case w.of(e).Dummy != "": // on the host's own wire, which has its way out already
			case w.hasWayOut(e):
				diags = append(diags, failure(e.At("network"), "Endpoint would take the host's default route", fmt.Sprintf(
					"%s is the host's own namespace by %s (%s), and %s has a gateway, which would become the host's. The host reaches a network through its gateway address; remove %s, or make the network internal.",
					s.Mark.Address, entry.Mark.Address, line(&entry.Range), e.Network, e.Mark.Address)))
			}
		}
	}
	for _, s := range w.sandboxes {
		if first := w.sandbox[s.Shares]; first != nil {
			s.Netns = first.Netns
		}
	}
	return diags
}

// hasWayOut reports that the endpoint's network offers its sandbox a default route.
func (w *wiring) hasWayOut(e *spec.Endpoint) bool {
	n := w.network[e.Network]
	traits := w.of(e)
	if n == nil || n.Internal || traits.WayOut != "" {
		return false
	}
	return traits.Direct || slices.ContainsFunc(n.Subnets, func(s state.Subnet) bool { return s.Gateway.IsValid() })
}

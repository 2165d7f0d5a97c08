package drivers

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// Sharer is implemented by drivers whose networks sit on an interface of the host, which
// several may share.
type Sharer interface {
	// Share is what a network takes of its parent.
	Share(state.Network) Share
}

// Share is what a network takes of its parent.
type Share struct {
	// Parent is the interface's name; "" for none, which nobody shares.
	Parent string
	// Type is what is put on it. The kernel allows one type on an interface.
	Type state.LinkType
	// Sole: one endpoint has the parent to itself.
	Sole bool
	// Setting is what all on the parent have in common, in words.
	Setting string
}

// sharing is a network that sits on a parent.
type sharing struct {
	Share
	n *spec.Network
	// on are the hosts where it has endpoints, with their number; "" is whichever.
	on map[string]int
}

// validateParents checks what networks on one interface of a host have to agree about.
func validateParents(t *spec.Topology, all []Driver) hcl.Diagnostics {
	hosts := map[state.Address]string{}
	for _, s := range t.Sandboxes {
		hosts[s.Mark.Address] = s.Host
	}
	var on []sharing
	for _, n := range t.Networks {
		i := slices.IndexFunc(all, func(d Driver) bool { return d.Schema().Name == n.Driver })
		if i < 0 {
			continue
		}
		d, ok := all[i].(Sharer)
		if !ok {
			continue
		}
		s := sharing{Share: d.Share(n.Network), n: n, on: map[string]int{}}
		for _, e := range t.Endpoints {
			if e.Network == n.Mark.Address && e.Sandbox != "" {
				s.on[hosts[e.Sandbox]]++
			}
		}
		if s.Parent != "" {
			on = append(on, s)
		}
	}
	var diags hcl.Diagnostics
	for i, s := range on {
		diags = append(diags, s.alone()...)
		for _, other := range on[:i] {
			if s.Parent == other.Parent && s.meets(other) {
				diags = append(diags, s.agree(other)...)
			}
		}
	}
	return diags
}

// meets reports that both networks have endpoints on one host.
func (s sharing) meets(other sharing) bool {
	if len(s.on) == 0 || len(other.on) == 0 {
		return false
	}
	for host := range s.on {
		if other.on[host] > 0 || other.on[""] > 0 || host == "" {
			return true
		}
	}
	return false
}

func (s sharing) refuse(attr, summary, format string, args ...any) hcl.Diagnostics {
	return hcl.Diagnostics{Refuse(s.n.At(s.n.Driver+"."+attr), summary, fmt.Sprintf(format, args...))}
}

// alone: what has the parent to itself is one endpoint.
func (s sharing) alone() hcl.Diagnostics {
	for _, count := range s.on {
		if s.Sole && count > 1 {
			return s.refuse("mode", "Several endpoints in passthru mode", "%s hands %s to one endpoint, and has %d on one host. Keep one, or choose another mode.",
				s.n.Mark.Address, s.Parent, count)
		}
	}
	return nil
}

func (s sharing) agree(other sharing) hcl.Diagnostics {
	mine, theirs := s.n.Mark.Address, other.n.Mark.Address
	at := other.n.At(other.n.Driver + ".parent")
	where := lineOf(at)
	switch {
	case s.Type != other.Type:
		return s.refuse("parent", "Parent of two types of network", "%s puts %ss on %s, and %s (%s) %ss: the kernel allows one type on an interface. Give one of the networks another parent.",
			mine, s.Type, s.Parent, theirs, where, other.Type)
	case s.Sole || other.Sole:
		return s.refuse("parent", "Parent in passthru mode is shared", "%s and %s (%s) both have %s for a parent, and one of them in passthru mode, which needs all of it. Give one of them another parent, or another mode to that one.",
			mine, theirs, where, s.Parent)
	case s.Setting != other.Setting:
		return s.refuse("parent", "Parent with two settings", "%s puts endpoints on %s with %s, and %s (%s) with %s: the kernel has one setting for all on an interface. Write the same, or give one of the networks another parent.",
			mine, s.Parent, s.Setting, theirs, where, other.Setting)
	}
	return nil
}

// RefuseMACs refuses MACs of endpoints that cannot have one of their own.
func RefuseMACs(endpoints []*spec.Endpoint, why string) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for _, e := range endpoints {
		if !e.MAC.IsZero() {
			diags = append(diags, Refuse(e.At("mac"), "Endpoint without a MAC of its own", fmt.Sprintf(
				"%s asks for the MAC %s, but %s. Remove mac, or choose another driver or mode for %s.", e.Mark.Address, e.MAC, why, e.Network)))
		}
	}
	return diags
}

// minMTU6 is the smallest MTU that IPv6 allows (RFC 8200, section 5).
const minMTU6 = 1280

// CheckMTU6 refuses an MTU by which the kernel would take IPv6 off the interfaces.
func CheckMTU6(n *spec.Network) hcl.Diagnostics {
	if n.MTU == 0 || n.MTU >= minMTU6 || !n.IPv6 && !Has(n.Network, true) {
		return nil
	}
	return hcl.Diagnostics{Refuse(n.At("mtu"), "MTU too small for IPv6", fmt.Sprintf(
		"%s has IPv6, which needs an MTU of at least %d; %d would make the kernel switch IPv6 off on its interfaces. Raise the MTU, or leave IPv6 out.",
		n.Mark.Address, minMTU6, n.MTU))}
}

// OneOf checks that an option is one of the words.
func OneOf(words ...string) func(cty.Value) error {
	return func(v cty.Value) error {
		if given := v.AsString(); !slices.Contains(words, given) {
			return fmt.Errorf("%q is not one of %s", given, strings.Join(words, ", "))
		}
		return nil
	}
}

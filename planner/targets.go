package planner

import (
	"fmt"
	"maps"
	"slices"

	"github.com/agext/levenshtein"
	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/hcl/v2"
)

// Targets restricts what is wanted to some blocks: the others are wanted as they are now.
// A target brings the blocks that it needs, and, where it goes, those that need it. What
// is excluded keeps those that need it out as well, and, where it was to go, those that it
// needs. An address may be a block instance, a block or a module; one that nobody knows is
// an error, and so is a block to replace that is not chosen.
func Targets(live, want state.World, targets, excludes, replace []state.Address) (state.World, hcl.Diagnostics) {
	if len(targets) == 0 && len(excludes) == 0 {
		return want, nil
	}
	known := owners(live, want)
	diags := append(unknown("-target", targets, known), unknown("-exclude", excludes, known)...)
	if len(targets) > 0 && len(excludes) > 0 {
		diags = append(diags, &hcl.Diagnostic{
			Severity: hcl.DiagError,
			Summary:  "Both -target and -exclude",
			Detail:   "-target says what alone is planned, -exclude what is not: use one of them.",
		})
	}
	if diags.HasErrors() {
		return nil, diags
	}
	chosen := map[state.Address]bool{"": true}
	r := relate(live, want)
	if len(targets) > 0 {
		r.follow(chosen, matching(known, targets), r.needs, r.users)
	} else {
		out := map[state.Address]bool{}
		r.follow(out, matching(known, excludes), r.users, r.needs)
		for a := range known {
			chosen[a] = !out[a]
		}
	}
	if left := leftOut(chosen, matching(known, replace)); left != nil {
		return nil, hcl.Diagnostics{left}
	}
	chooseOutputs(want, chosen, known)
	return restricted(live, want, chosen), nil
}

// leftOut speaks of blocks to replace that are not chosen, nil for none.
func leftOut(chosen map[state.Address]bool, replace []state.Address) *hcl.Diagnostic {
	left := slices.DeleteFunc(replace, func(a state.Address) bool { return chosen[a] })
	if len(left) == 0 {
		return nil
	}
	return &hcl.Diagnostic{
		Severity: hcl.DiagError,
		Summary:  "Replacing what is left out",
		Detail: fmt.Sprintf("-replace asks for %s anew, which -target or -exclude leaves as it is. Choose it there too, or replace it in a run of its own.",
			slices.Min(left)),
	}
}

// chooseOutputs chooses the outputs that speak of chosen blocks alone.
func chooseOutputs(want state.World, chosen, known map[state.Address]bool) {
	for _, o := range want {
		if o, ok := o.(state.Output); ok {
			chosen[o.Mark.Address] = !slices.ContainsFunc(matching(known, o.Of), func(a state.Address) bool { return !chosen[a] })
		}
	}
}

// restricted is the wanted world for the chosen blocks and the live one for the others.
func restricted(live, want state.World, chosen map[state.Address]bool) state.World {
	result := make(state.World, len(want))
	for k, o := range live {
		if _, foreign := o.(state.Foreign); !foreign && !chosen[o.Owner().Address] {
			result[k] = o
		}
	}
	for k, o := range want {
		if chosen[o.Owner().Address] {
			result[k] = o
		}
	}
	return result
}

// owners are the blocks of both worlds.
func owners(worlds ...state.World) map[state.Address]bool {
	known := map[state.Address]bool{}
	for _, w := range worlds {
		for k, o := range w {
			if a := o.Owner().Address; a != "" && k.Kind != state.KindOutput {
				known[a] = true
			}
		}
	}
	return known
}

func matching(known map[state.Address]bool, asked []state.Address) []state.Address {
	covered := within(asked)
	var found []state.Address
	for a := range known {
		if covered(a) {
			found = append(found, a)
		}
	}
	return found
}

// relations say which blocks' objects need which blocks' objects.
type relations struct {
	wanted       map[state.Address]bool
	needs, users map[state.Address]map[state.Address]bool
}

// relate finds which blocks need which: as wanted, and for those that go, as they are.
func relate(live, want state.World) relations {
	r := relations{owners(want), map[state.Address]map[state.Address]bool{}, map[state.Address]map[state.Address]bool{}}
	for _, w := range []state.World{live, want} {
		for _, o := range w {
			for _, k := range o.Needs() {
				if x, ok := w[k]; ok {
					r.note(o.Owner().Address, x.Owner().Address)
				}
			}
		}
	}
	return r
}

func (r relations) note(user, needed state.Address) {
	if user == needed || user == "" || needed == "" {
		return
	}
	for _, e := range []struct {
		by   map[state.Address]map[state.Address]bool
		a, b state.Address
	}{{r.needs, user, needed}, {r.users, needed, user}} {
		if e.by[e.a] == nil {
			e.by[e.a] = map[state.Address]bool{}
		}
		e.by[e.a][e.b] = true
	}
}

// follow adds to the chosen blocks those given and what they lead to: a wanted block to
// its relatives of the first kind, one that goes to those of the second that go too.
func (r relations) follow(chosen map[state.Address]bool, from []state.Address, wanted, going map[state.Address]map[state.Address]bool) {
	for len(from) > 0 {
		a := from[len(from)-1]
		from = from[:len(from)-1]
		if chosen[a] {
			continue
		}
		chosen[a] = true
		for b := range wanted[a] {
			if r.wanted[a] && r.wanted[b] {
				from = append(from, b)
			}
		}
		for b := range going[a] {
			if !r.wanted[a] && !r.wanted[b] {
				from = append(from, b)
			}
		}
	}
}

// unknown finds addresses given on the command line that no block has.
func unknown(flag string, asked []state.Address, known map[state.Address]bool) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for _, a := range asked {
		if len(matching(known, []state.Address{a})) > 0 {
			continue
		}
		detail := fmt.Sprintf("%s=%s: there is no such block, neither in the configuration nor on this host.", flag, a)
		if near := nearest(a, known); near != "" {
			detail += fmt.Sprintf(" Did you mean %s?", near)
		}
		diags = append(diags, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Unknown address", Detail: detail})
	}
	return diags
}

// nearest is the known address that differs least from a, "" when none is near.
func nearest(a state.Address, known map[state.Address]bool) state.Address {
	best, distance := state.Address(""), 4
	for _, k := range slices.Sorted(maps.Keys(known)) {
		block, _ := blockOf(k)
		for _, name := range []state.Address{k, block} {
			if n := levenshtein.Distance(string(a), string(name), nil); n < distance {
				best, distance = name, n
			}
		}
	}
	return best
}

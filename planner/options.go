package planner

import (
	"slices"
	"strings"

	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/hcl/v2"
)

// Options is what Diff has to know beyond the two worlds.
type Options struct {
	Stack string
	// Host is the one that the plan is made on; "": it is not divided by hosts.
	Host string
	// Decls says where each block was declared and what of it is ignored, by address.
	Decls map[state.Address]spec.Decl
	// Moves and Removals are the blocks of these names.
	Moves    []spec.Move
	Removals []spec.Removal
	// Replace are blocks whose kernel objects are made anew although nothing differs.
	Replace []state.Address
	// Destroy: that things are not wanted is what was asked for, so it is not explained.
	Destroy bool
	// back: what is wanted is what once was read, see Restore.
	back bool
}

// OptionsFrom takes from a topology what Diff has to know of it.
func OptionsFrom(t *spec.Topology) Options {
	n := len(t.Networks) + len(t.Sandboxes) + len(t.Endpoints)
	o := Options{Stack: t.Stack, Moves: t.Moves, Removals: t.Removals, Decls: make(map[state.Address]spec.Decl, n)}
	for _, b := range t.Networks {
		o.Decls[b.Mark.Address] = b.Decl
	}
	for _, b := range t.Sandboxes {
		o.Decls[b.Mark.Address] = b.Decl
	}
	for _, b := range t.Endpoints {
		o.Decls[b.Mark.Address] = b.Decl
	}
	return o
}

// at is the place in the configuration to point at for a block, nil when there is none.
func (o Options) at(a state.Address) *hcl.Range {
	if d, ok := o.Decls[a]; ok && d.Range.Filename != "" {
		return &d.Range
	}
	return nil
}

// unignored are the fields of a delta without those that the block's ignore_changes names.
// The mark is never ignored: it is not the user's to change.
func (o Options) unignored(owner state.Address, d state.Delta) state.Delta {
	if d.Same() {
		return d
	}
	names := o.Decls[owner].IgnoreChanges
	if len(names) == 0 {
		return d
	}
	var kept state.Delta
	for _, f := range d.Fields {
		if f.Name == ownerField || !ignored(names, f.Name) {
			kept.Fields = append(kept.Fields, f)
			kept.Replace = kept.Replace || f.Fixed
		}
	}
	return kept
}

// ownerField is the attribute that holds an object's mark.
const ownerField = "owner"

// ignored reports that one of the names, an attribute or a block around it, covers field.
func ignored(names []string, field string) bool {
	return slices.ContainsFunc(names, func(n string) bool {
		return n == "all" || n == field || strings.HasPrefix(field, n+".") || strings.HasPrefix(field, n+"[")
	})
}

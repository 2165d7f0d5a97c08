package spec

import (
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// attr is the attribute called name, nil when there is none.
func (s *Schema) attr(name string) *AttrSchema {
	i := slices.IndexFunc(s.Attrs, func(a AttrSchema) bool { return a.Name == name })
	if i < 0 {
		return nil
	}
	return &s.Attrs[i]
}

// block is the nested block called name, nil when there is none.
func (s *Schema) block(name string) *BlockSchema {
	i := slices.IndexFunc(s.Blocks, func(b BlockSchema) bool { return b.Name == name })
	if i < 0 {
		return nil
	}
	return &s.Blocks[i]
}

// names are those of all attributes and blocks, for messages.
func (s *Schema) names() []string {
	names := make([]string, 0, len(s.Attrs)+len(s.Blocks))
	for _, a := range s.Attrs {
		names = append(names, a.Name)
	}
	for _, b := range s.Blocks {
		names = append(names, b.Name)
	}
	return names
}

// hcl is the schema as the parser wants it. Nothing is required here: the message about a
// missing attribute can say more where its type is known.
func (s *Schema) hcl() *hcl.BodySchema {
	out := &hcl.BodySchema{}
	for _, a := range s.Attrs {
		out.Attributes = append(out.Attributes, hcl.AttributeSchema{Name: a.Name})
	}
	for _, b := range s.Blocks {
		out.Blocks = append(out.Blocks, hcl.BlockHeaderSchema{Type: b.Name, LabelNames: b.Labels})
	}
	return out
}

// language is all that may be written: the core blocks, and in them the blocks of the
// drivers.
type language struct {
	drivers []DriverSchema
	top     Schema
}

// newLanguage joins the core blocks with the drivers' options.
func newLanguage(drivers []DriverSchema) *language {
	drivers = slices.SortedFunc(slices.Values(drivers), func(a, b DriverSchema) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	l := &language{drivers: drivers}
	l.top = Schema{Name: "configuration", Blocks: []BlockSchema{
		cnmSchema(), variableSchema(), localsSchema(), outputSchema(), moduleSchema(),
		networkSchema(drivers), sandboxSchema(), endpointSchema(drivers), policySchema(), hostSchema(),
		movedSchema(), removedSchema(),
	}}
	return l
}

// driver is the driver called name, nil when there is none.
func (l *language) driver(name string) *DriverSchema {
	i := slices.IndexFunc(l.drivers, func(d DriverSchema) bool { return d.Name == name })
	if i < 0 {
		return nil
	}
	return &l.drivers[i]
}

// driverNames are those of all drivers.
func (l *language) driverNames() []string {
	names := make([]string, len(l.drivers))
	for i, d := range l.drivers {
		names[i] = d.Name
	}
	return names
}

// The constructors below keep the tables of blocks.go readable.

func attr(name string, t cty.Type, doc string) AttrSchema {
	return AttrSchema{Name: name, Type: t, Default: cty.NilVal, Doc: doc}
}

func (a AttrSchema) required() AttrSchema                           { a.Required = true; return a }
func (a AttrSchema) or(v cty.Value) AttrSchema                      { a.Default = v; return a }
func (a AttrSchema) late() AttrSchema                               { a.Late = true; return a }
func (a AttrSchema) static() AttrSchema                             { a.Static = true; return a }
func (a AttrSchema) ref(block string) AttrSchema                    { a.Ref = block; return a }
func (a AttrSchema) checked(check func(cty.Value) error) AttrSchema { a.Check = check; return a }

// Blocks describes the blocks of the language, with the drivers' options in them.
func Blocks(drivers []DriverSchema) []BlockSchema { return newLanguage(drivers).top.Blocks }

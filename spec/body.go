package spec

import (
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/dynblock"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// body is the content of a block, opened against its schema: what there is to evaluate.
type body struct {
	schema *Schema
	attrs  map[string]*argument
	blocks []*part
	// raw is kept for bodies with dynamic blocks, which are opened anew where the values
	// are known that they are made from.
	raw     hcl.Body
	dynamic bool
	// end is where a missing argument could be added.
	end hcl.Range
	// where is what ranges returns.
	where map[string]hcl.Range
}

// argument is one attribute as written.
type argument struct {
	schema *AttrSchema
	expr   hcl.Expression
	rng    hcl.Range // name to value
	name   hcl.Range
}

// part is a nested block as written.
type part struct {
	schema *BlockSchema
	labels []string
	header hcl.Range
	// labelRanges are where the labels are.
	labelRanges []hcl.Range
	body        *body
}

// openBody sorts the content of a block by the schema, and reports what does not belong.
func openBody(raw hcl.Body, schema *Schema) (*body, hcl.Diagnostics) {
	out := &body{schema: schema, raw: raw, attrs: map[string]*argument{}, end: raw.MissingItemRange()}
	if schema.Name == "locals" || schema.Name == "module" {
		return openFree(out)
	}
	want := schema.hcl()
	want.Blocks = append(want.Blocks, hcl.BlockHeaderSchema{Type: "dynamic", LabelNames: []string{"type"}})
	content, diags := raw.Content(want)
	for _, d := range diags {
		explainContent(d, schema)
	}
	for name, a := range content.Attributes {
		out.attrs[name] = &argument{schema.attr(name), a.Expr, a.Range, a.NameRange}
	}
	count := map[string]int{}
	for _, b := range content.Blocks {
		if b.Type == "dynamic" {
			out.dynamic = true
			diags = append(diags, checkDynamic(b, schema)...)
			continue
		}
		p, more := openPart(b, schema.block(b.Type))
		diags = append(diags, more...)
		out.dynamic = out.dynamic || p.body.dynamic
		out.blocks = append(out.blocks, p)
		if count[b.Type]++; p.schema.Max > 0 && count[b.Type] == p.schema.Max+1 {
			diags = append(diags, fault(b.DefRange.Ptr(), "Too many blocks", "%s block takes at most %d %s block. Put all into one.", upperFirst(withArticle(schema.Name)), p.schema.Max, b.Type))
		}
	}
	return out, diags
}

// openPart opens a nested block.
func openPart(b *hcl.Block, schema *BlockSchema) (*part, hcl.Diagnostics) {
	inner, diags := openBody(b.Body, &schema.Schema)
	return &part{schema, b.Labels, b.DefRange, b.LabelRanges, inner}, diags
}

// openFree opens the bodies whose attributes are named by the user.
func openFree(out *body) (*body, hcl.Diagnostics) {
	var diags hcl.Diagnostics
	if native, ok := out.raw.(*hclsyntax.Body); ok {
		for _, b := range native.Blocks {
			diags = append(diags, fault(b.TypeRange.Ptr(), "Unsupported block type", "A %s block holds arguments only, as in %s = { … }.", out.schema.Name, b.Type))
		}
		for name, a := range native.Attributes {
			out.attrs[name] = &argument{out.schema.attr(name), a.Expr, a.SrcRange, a.NameRange}
		}
		return out, diags
	}
	attrs, diags := out.raw.JustAttributes()
	for name, a := range attrs {
		out.attrs[name] = &argument{out.schema.attr(name), a.Expr, a.Range, a.NameRange}
	}
	return out, diags
}

// checkDynamic checks a dynamic block as far as it can be without its values: that it
// makes blocks that may be made here.
func checkDynamic(b *hcl.Block, schema *Schema) hcl.Diagnostics {
	inner := schema.block(b.Labels[0])
	if inner == nil || schema.Name == "configuration" || inner.Name == "lifecycle" {
		return hcl.Diagnostics{fault(b.LabelRanges[0].Ptr(), "Unsupported block type", "A dynamic block cannot make blocks of type %q here.%s", b.Labels[0], didYouMean(b.Labels[0], blockNames(schema), upperFirst(withArticle(schema.Name))+" block takes"))}
	}
	content, _, diags := b.Body.PartialContent(&hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{{Type: "content"}}})
	for _, c := range content.Blocks {
		_, more := openBody(c.Body, &inner.Schema)
		diags = append(diags, more...)
	}
	return diags
}

// expanded is the body with those dynamic blocks made that want accepts, for one instance.
// The others may need what is not known yet.
func (b *body) expanded(ctx *hcl.EvalContext, want func(name string) bool) (*body, hcl.Diagnostics) {
	if !b.dynamic {
		return b, nil
	}
	wanted := b.schema.wantedBlocks(want)
	if len(wanted.Blocks) == 0 {
		return b, nil
	}
	content, _, diags := dynblock.Expand(b.raw, ctx).PartialContent(wanted)
	out := &body{schema: b.schema, attrs: b.attrs, raw: b.raw, end: b.end}
	for _, inner := range content.Blocks {
		p, more := openMade(inner, b.schema.block(inner.Type))
		diags = append(diags, more...)
		out.blocks = append(out.blocks, p)
	}
	return out, diags
}

// openMade opens a block that a dynamic block may have made: its expressions know their
// iterator.
func openMade(b *hcl.Block, schema *BlockSchema) (*part, hcl.Diagnostics) {
	content, diags := b.Body.Content(schema.hcl())
	out := &body{schema: &schema.Schema, attrs: map[string]*argument{}, raw: b.Body, end: b.Body.MissingItemRange()}
	for name, a := range content.Attributes {
		out.attrs[name] = &argument{schema.attr(name), a.Expr, a.Range, a.NameRange}
	}
	for _, inner := range content.Blocks {
		p, more := openMade(inner, schema.block(inner.Type))
		diags = append(diags, more...)
		out.blocks = append(out.blocks, p)
	}
	return &part{schema, b.Labels, b.DefRange, b.LabelRanges, out}, diags
}

// parts are the nested blocks of one type.
func (b *body) parts(name string) []*part {
	var out []*part
	for _, p := range b.blocks {
		if p.schema.Name == name {
			out = append(out, p)
		}
	}
	return out
}

// traversals are the references in the attributes and nested blocks that want accepts, in
// the order of the source.
func (b *body) traversals(want func(name string) bool) []hcl.Traversal {
	var out []hcl.Traversal
	for name, a := range b.attrs {
		if (a.schema == nil || !a.schema.Static) && want(name) {
			out = append(out, a.expr.Variables()...)
		}
	}
	for _, p := range b.blocks {
		if want(p.schema.Name) {
			out = append(out, p.body.traversals(all)...)
		}
	}
	if b.dynamic {
		out = append(out, dynamicTraversals(dynblock.WalkVariables(b.raw), b.schema, want)...)
	}
	slices.SortStableFunc(out, func(x, y hcl.Traversal) int {
		r, s := x.SourceRange(), y.SourceRange()
		if r.Filename != s.Filename {
			return strings.Compare(r.Filename, s.Filename)
		}
		return r.Start.Byte - s.Start.Byte
	})
	return out
}

// dynamicTraversals are the references in the nested blocks of a body with dynamic blocks.
func dynamicTraversals(n dynblock.WalkVariablesNode, schema *Schema, want func(string) bool) []hcl.Traversal {
	wanted := schema.wantedBlocks(want)
	if len(wanted.Blocks) == 0 {
		return nil // Visit sees dynamic blocks of every type, wanted or not
	}
	out, children := n.Visit(wanted)
	for _, child := range children {
		if b := schema.block(child.BlockTypeName); b != nil && want(b.Name) {
			out = append(out, wholeTraversals(child.Node, &b.Schema)...)
		}
	}
	return out
}

// wantedBlocks are the nested blocks that want accepts, as the parser wants them.
func (s *Schema) wantedBlocks(want func(name string) bool) *hcl.BodySchema {
	blocks := slices.DeleteFunc(s.hcl().Blocks, func(b hcl.BlockHeaderSchema) bool { return !want(b.Type) })
	return &hcl.BodySchema{Blocks: blocks}
}

// wholeTraversals are all references in a nested block of a body with dynamic blocks.
func wholeTraversals(n dynblock.WalkVariablesNode, schema *Schema) []hcl.Traversal {
	out, children := n.Visit(schema.hcl())
	for _, child := range children {
		if b := schema.block(child.BlockTypeName); b != nil {
			out = append(out, wholeTraversals(child.Node, &b.Schema)...)
		}
	}
	return out
}

func all(string) bool { return true }

// blockNames are the types of blocks that a body may hold.
func blockNames(s *Schema) []string {
	names := make([]string, len(s.Blocks))
	for i, b := range s.Blocks {
		names[i] = b.Name
	}
	return names
}

// explainContent adds to the parser's message about something that does not belong: what
// does.
func explainContent(d *hcl.Diagnostic, s *Schema) {
	if strings.Contains(d.Detail, "Did you mean") {
		return
	}
	where := upperFirst(withArticle(s.Name)) + " block takes"
	if s.Name == "configuration" {
		where = "A configuration is made of blocks of type"
	}
	switch d.Summary {
	case "Unsupported argument", "Unsupported block type", "Extraneous JSON object property":
		d.Detail += didYouMean("", s.names(), where)
	}
}

// sortedNames are a map's keys in order.
func sortedNames[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

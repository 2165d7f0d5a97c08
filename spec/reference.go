package spec

import (
	"fmt"
	"io"
	"strings"

	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// Reference writes the language reference as Markdown, from the schemas that decode
// configurations.
func Reference(w io.Writer, drivers []DriverSchema) error {
	l := newLanguage(drivers)
	p := &manual{}
	p.line("# Language reference\n")
	p.line("A configuration is a folder of `*.hcl` files, read as one; `*.hcl.json` files hold the same in JSON. This page is")
	p.line("printed from the tables that the program reads configurations with.\n")
	p.line("## Blocks\n")
	for _, b := range l.top.Blocks {
		p.block(3, &b, l)
	}
	p.line("## Drivers\n")
	for _, d := range l.drivers {
		p.driver(&d)
	}
	p.values()
	p.functions()
	_, err := io.WriteString(w, strings.TrimRight(p.text.String(), "\n")+"\n")
	return err
}

// manual writes Markdown.
type manual struct{ text strings.Builder }

func (p *manual) line(format string, args ...any) {
	fmt.Fprintf(&p.text, format+"\n", args...)
}

// block describes a block and those in it, except the drivers', which have a chapter.
func (p *manual) block(level int, b *BlockSchema, l *language) {
	p.line("%s `%s`\n", strings.Repeat("#", min(level, 6)), header(b))
	p.line("%s\n", b.Doc)
	p.attributes(b.Attrs)
	for i := range b.Blocks {
		inner := &b.Blocks[i]
		if l != nil && l.driver(inner.Name) != nil {
			continue
		}
		if inner.Name == "lifecycle" && b.Name != "network" && b.Name != "removed" {
			p.line("It may hold a `lifecycle` block as that of [network](#network-name) is.\n")
			continue
		}
		p.block(level+1, inner, l)
	}
}

// header is a block's type and labels, and how often it may stand.
func header(b *BlockSchema) string {
	text := b.Name
	for _, label := range b.Labels {
		text += fmt.Sprintf(" %q", label)
	}
	return text
}

func (p *manual) attributes(attrs []AttrSchema) {
	if len(attrs) == 0 {
		return
	}
	p.line("| Argument | Type | Default | |")
	p.line("|---|---|---|---|")
	for _, a := range attrs {
		p.line("| `%s` | %s | %s | %s |", a.Name, cell(typeName(&a)), cell(defaultText(&a)), cell(a.Doc))
	}
	p.line("")
}

// typeName is an attribute's type as people say it.
func typeName(a *AttrSchema) string {
	switch {
	case a.Ref != "":
		return "a " + a.Ref
	case a.Static && a.Type == cty.DynamicPseudoType:
		return "as written"
	case a.Name == "for_each":
		return "map or set of string"
	}
	return "`" + typeexpr.TypeString(a.Type) + "`"
}

func defaultText(a *AttrSchema) string {
	switch {
	case a.Required:
		return "*required*"
	case a.Default == cty.NilVal || a.Default.IsNull():
		return ""
	}
	return "`" + shortValue(a.Default) + "`"
}

// cell is text in a table.
func cell(s string) string { return strings.ReplaceAll(s, "|", "\\|") }

// driver describes a driver's options.
func (p *manual) driver(d *DriverSchema) {
	p.line("### `%s`\n", d.Name)
	p.line("%s\n", d.Doc)
	for _, part := range []struct {
		in     string
		schema Schema
	}{{"network", d.Network}, {"endpoint", d.Endpoint}} {
		if len(part.schema.Attrs)+len(part.schema.Blocks) == 0 {
			p.line("It has no options for %ss.\n", part.in)
			continue
		}
		p.line("In %s: `%s { … }`\n", withArticle(part.in), d.Name)
		if part.schema.Doc != "" {
			p.line("%s\n", part.schema.Doc)
		}
		p.attributes(part.schema.Attrs)
		for i := range part.schema.Blocks {
			p.block(4, &part.schema.Blocks[i], nil)
		}
	}
}

// values describes what references stand for.
func (p *manual) values() {
	p.line("## References\n")
	p.line("| Reference | Value |")
	p.line("|---|---|")
	for _, row := range [][2]string{
		{"network.NAME", "`address`, `name`, `driver`, `device`, `cidr`, `cidr_ipv6`, `cidrs`, `gateway`, `gateway_ipv6`, `mtu`, `internal`, `labels`"},
		{"sandbox.NAME", "`address`, `name`, `netns`, `host`, `hostname`, `labels`"},
		{"endpoint.NAME", "`address`, `name`, `network`, `sandbox`, `ipv4`, `ipv6`, `ipv4_cidr`, `ipv6_cidr`, `mac`, `interface`, `gateway`, `gateway_ipv6`, `ports` (a list of `host`, `container`, `count`, `protocol`, `address`), `aliases`, `labels`"},
		{"host.NAME", "`address`, `name`, `vtep`, `mtu`"},
		{"var.NAME", "the variable's value"},
		{"local.NAME", "the local value"},
		{"module.NAME.OUTPUT", "the module's output"},
		{"each.key, each.value", "the element, in a block with `for_each`"},
		{"count.index", "the number from 0, in a block with `count`"},
		{"self", "the block itself, in a `postcondition`"},
		{"path.module, path.root, path.cwd", "folders: of the file, of the configuration, where the program was started"},
		{"cnm.stack", "the stack's name"},
	} {
		p.line("| `%s` | %s |", row[0], row[1])
	}
	p.line("\nA block with `for_each` is an object of its instances by key, `sandbox.web[\"a\"]`; one with `count` a list, `sandbox.web[0]`.")
	p.line("Addresses, MACs and names that the configuration leaves open are chosen before they are looked at: references always")
	p.line("have a value. What decides an address cannot be made of another that is still to be chosen, and says so.\n")
}

// functions lists what can be called.
func (p *manual) functions() {
	p.line("## Functions\n")
	p.line("| Function | |")
	p.line("|---|---|")
	funcs := Functions(".")
	for _, name := range sortedNames(funcs) {
		p.line("| `%s` | %s |", signature(name, funcs[name]), cell(firstSentence(funcs[name].Description())))
	}
	p.line("")
}

// signature is how a function is called: cidrhost(prefix, hostnum).
func signature(name string, f function.Function) string {
	var params []string
	for _, param := range f.Params() {
		params = append(params, param.Name)
	}
	if v := f.VarParam(); v != nil {
		params = append(params, v.Name+"…")
	}
	return name + "(" + strings.Join(params, ", ") + ")"
}

func firstSentence(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if i := strings.Index(s, ". "); i >= 0 {
		s = s[:i+1]
	}
	return s
}

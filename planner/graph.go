package planner

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"

	"github.com/cnmctl/cnmctl/state"
)

// DOT writes the records of a world as a graph for Graphviz: networks, sandboxes, and an
// edge for each endpoint that joins the two. An endpoint without a sandbox is a node.
func DOT(w io.Writer, world state.World) error {
	out := bufio.NewWriter(w)
	d := drawingOf(world)
	fmt.Fprint(out, "graph {\n  graph [overlap=false, splines=true]\n  node [fontname=\"sans-serif\"]\n")
	for _, n := range d.nodes {
		fmt.Fprintf(out, "  %s [shape=%s, label=%s]\n", dotQuote(n.id), n.shape.dot, dotQuote(strings.Join(n.label, "\n")))
	}
	for _, e := range d.edges {
		fmt.Fprintf(out, "  %s -- %s [label=%s]\n", dotQuote(e.from), dotQuote(e.to), dotQuote(strings.Join(e.label, "\n")))
	}
	fmt.Fprint(out, "}\n")
	return out.Flush()
}

// Mermaid writes the same graph for Mermaid, which is what Markdown viewers show.
func Mermaid(w io.Writer, world state.World) error {
	out := bufio.NewWriter(w)
	d := drawingOf(world)
	fmt.Fprint(out, "graph LR\n")
	ids := map[string]string{}
	for i, n := range d.nodes {
		ids[n.id] = fmt.Sprint("n", i)
		fmt.Fprintf(out, "  n%d%s%s%s\n", i, n.shape.open, mermaidQuote(n.label), n.shape.close)
	}
	for _, e := range d.edges {
		fmt.Fprintf(out, "  %s ---|%s| %s\n", ids[e.from], mermaidQuote(e.label), ids[e.to])
	}
	return out.Flush()
}

// drawing is a graph before it is written in some language.
type drawing struct {
	nodes []vertex
	edges []join
}

type vertex struct {
	id    string
	label []string
	shape shape
}

type join struct {
	from, to string
	label    []string
}

// shape is a node's, for Graphviz and between Mermaid's brackets.
type shape struct{ dot, open, close string }

var (
	networkShape  = shape{"ellipse", "([", "])"}
	sandboxShape  = shape{"box", "[", "]"}
	endpointShape = shape{"plaintext", ">", "]"}
)

// drawingOf reads the records of a world, in the order of their addresses.
func drawingOf(w state.World) drawing {
	var d drawing
	known := map[string]bool{}
	add := func(a state.Address, s shape, more ...string) {
		if known[string(a)] {
			return
		}
		known[string(a)] = true
		d.nodes = append(d.nodes, vertex{string(a), present(append([]string{string(a)}, more...)), s})
	}
	endpoints := recordsOf[state.Endpoint](w)
	for _, n := range recordsOf[state.Network](w) {
		text := []string{n.Driver}
		for _, s := range n.Subnets {
			text = append(text, s.CIDR.String())
		}
		add(n.Mark.Address, networkShape, text...)
	}
	for _, s := range recordsOf[state.Sandbox](w) {
		add(s.Mark.Address, sandboxShape, s.Netns)
	}
	for _, e := range endpoints {
		add(e.Network, networkShape) // a record may be missing
		label := present([]string{string(e.Mark.Address), e.Interface, cidr(e.IPv4), cidr(e.IPv6)})
		if e.Sandbox == "" {
			add(e.Mark.Address, endpointShape, label[1:]...)
			d.edges = append(d.edges, join{string(e.Network), string(e.Mark.Address), nil})
			continue
		}
		add(e.Sandbox, sandboxShape)
		d.edges = append(d.edges, join{string(e.Network), string(e.Sandbox), label})
	}
	return d
}

// recordsOf are a world's records of one kind, in the order of their addresses.
func recordsOf[T state.Object](w state.World) []T {
	var records []T
	for _, o := range w {
		if r, ok := o.(T); ok {
			records = append(records, r)
		}
	}
	slices.SortFunc(records, func(a, b T) int { return compareBlocks(a.Owner().Address, b.Owner().Address) })
	return records
}

// cidr is the prefix as text, "" when there is none.
func cidr(p netip.Prefix) string {
	if !p.IsValid() {
		return ""
	}
	return p.String()
}

func present(texts []string) []string {
	return slices.DeleteFunc(texts, func(t string) bool { return t == "" })
}

// dotQuote is a quoted string of DOT, which knows no escapes but \" and, in labels, \n.
func dotQuote(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(text) + `"`
}

// mermaidQuote is a quoted text of Mermaid, which knows no escapes but HTML's.
func mermaidQuote(lines []string) string {
	escape := strings.NewReplacer("#", "#35;", `"`, "#quot;", "<", "#lt;", ">", "#gt;", "\n", " ")
	quoted := make([]string, len(lines))
	for i, l := range lines {
		quoted[i] = escape.Replace(l)
	}
	return `"` + strings.Join(quoted, "<br/>") + `"`
}

package spec

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// module is a folder of configuration as it is written, before anything is evaluated.
type module struct {
	dir       string
	settings  []*part
	variables map[string]*variable
	locals    map[string]*argument
	outputs   map[string]*part
	calls     map[string]*call
	// objects are the networks, sandboxes, endpoints, hosts and policies: by type, then by name.
	objects map[string]map[string]*object
	moved   []*part
	removed []*part
	// unread: there are files of it that could not be read. lost are names of blocks that
	// could not.
	unread bool
	lost   []string
}

// object is a block that stands for something that exists: a network, a sandbox, an
// endpoint or a host.
type object struct {
	*part
	kind, name string
	life       lifecycle
}

// call is a module block.
type call struct {
	*part
	name   string
	module *module
}

// objectKinds are the types of blocks that stand for something that exists.
var objectKinds = []string{"network", "sandbox", "endpoint", "host", "policy"}

func newModule(dir string) *module {
	m := &module{
		dir: dir, variables: map[string]*variable{}, locals: map[string]*argument{}, outputs: map[string]*part{},
		calls: map[string]*call{}, objects: map[string]map[string]*object{},
	}
	for _, kind := range objectKinds {
		m.objects[kind] = map[string]*object{}
	}
	return m
}

// add files one top-level block.
func (m *module) add(p *part, root bool) hcl.Diagnostics {
	name := ""
	if len(p.labels) > 0 {
		if name = p.labels[0]; !hclsyntax.ValidIdentifier(name) && p.schema.Name != "host" {
			return hcl.Diagnostics{fault(p.labelRanges[0].Ptr(), "Invalid name", "%q cannot be referred to: a name begins with a letter or \"_\" and goes on with letters, digits, \"_\" and \"-\".", name)}
		}
	}
	switch kind := p.schema.Name; kind {
	case "cnm":
		if !root {
			return hcl.Diagnostics{fault(p.header.Ptr(), "Settings in a module", "A cnm block holds the settings of the whole configuration, so only the root module has one. Delete it here.")}
		}
		m.settings = append(m.settings, p)
	case "variable":
		return m.addVariable(name, p)
	case "locals":
		return m.addLocals(p)
	case "output":
		if old := m.outputs[name]; old != nil {
			return duplicate(p, name, old.header)
		}
		m.outputs[name] = p
	case "module":
		if old := m.calls[name]; old != nil {
			return duplicate(p, name, old.header)
		}
		m.calls[name] = &call{part: p, name: name}
	case "moved":
		m.moved = append(m.moved, p)
	case "removed":
		m.removed = append(m.removed, p)
	default:
		if old := m.objects[kind][name]; old != nil {
			return duplicate(p, name, old.header)
		}
		o := &object{part: p, kind: kind, name: name}
		m.objects[kind][name] = o
		var diags hcl.Diagnostics
		o.life, diags = readLifecycle(p)
		return diags
	}
	return nil
}

// mayDeclare reports that a name may be that of a block that could not be read.
func (m *module) mayDeclare(name string) bool { return m.unread || slices.Contains(m.lost, name) }

func duplicate(p *part, name string, first hcl.Range) hcl.Diagnostics {
	return hcl.Diagnostics{fault(p.header.Ptr(), "Duplicate "+p.schema.Name, "%s called %q is declared at %s already. Names are unique among the %s blocks of a module: rename one of them.", upperFirst(withArticle(p.schema.Name)), name, place(first), p.schema.Name)}
}

func (m *module) addLocals(p *part) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for name, a := range p.body.attrs {
		if old := m.locals[name]; old != nil {
			diags = append(diags, fault(a.name.Ptr(), "Duplicate local value", "The local value %q is defined at %s already. Rename one of them.", name, place(old.name)))
			continue
		}
		m.locals[name] = a
	}
	return diags
}

// check looks at what the blocks of a module must be together.
func (m *module) check() hcl.Diagnostics {
	var diags hcl.Diagnostics
	seen := map[string]hcl.Range{}
	for _, p := range m.settings {
		for _, name := range []string{"stack", "required_version"} {
			a := p.body.attrs[name]
			if a == nil {
				continue
			}
			if first, ok := seen[name]; ok {
				diags = append(diags, fault(a.name.Ptr(), "Duplicate argument", "The %s is given at %s already. Keep one of them.", name, place(first)))
			}
			seen[name] = a.rng
		}
		for _, store := range p.body.parts("store") {
			if first, ok := seen["store"]; ok {
				diags = append(diags, fault(store.header.Ptr(), "Duplicate store", "The store is given at %s already. Keep one of them.", place(first)))
			}
			seen["store"] = store.header
		}
	}
	for _, kind := range objectKinds {
		for _, name := range sortedNames(m.objects[kind]) {
			diags = append(diags, checkRepetition(m.objects[kind][name].body)...)
		}
	}
	for _, name := range sortedNames(m.calls) {
		diags = append(diags, checkRepetition(m.calls[name].body)...)
	}
	return diags
}

// checkRepetition refuses for_each and count in one block.
func checkRepetition(b *body) hcl.Diagnostics {
	if b.attrs["for_each"] == nil || b.attrs["count"] == nil {
		return nil
	}
	return hcl.Diagnostics{fault(b.attrs["count"].name.Ptr(), "Both for_each and count", "A block is repeated by for_each or by count, not by both. Keep one of them.")}
}

// sourceDir is the folder that a module block names, relative to its own module's.
func (c *call) sourceDir() (string, *hcl.Range, hcl.Diagnostics) {
	a := c.body.attrs["source"]
	if a == nil {
		return "", nil, hcl.Diagnostics{fault(c.header.Ptr(), "Missing source", "A module block needs the folder of the module, as in source = \"./lab\".")}
	}
	at := a.expr.Range().Ptr()
	v, diags := a.expr.Value(nil)
	if diags.HasErrors() || v.Type() != cty.String || v.IsNull() || !v.IsKnown() {
		return "", at, hcl.Diagnostics{fault(at, "Invalid source", "The source of a module is read before anything is evaluated, so it is plain text: the folder, as in \"./lab\".")}
	}
	source := v.AsString()
	if !strings.HasPrefix(source, "./") && !strings.HasPrefix(source, "../") && !filepath.IsAbs(source) {
		return "", at, hcl.Diagnostics{fault(at, "Invalid source", "%q is not a folder: a local path begins with \"./\" or \"../\". Modules are not fetched from elsewhere.", source)}
	}
	return source, at, nil
}

// checkArguments compares the arguments of a module block with the module's variables.
func (c *call) checkArguments() hcl.Diagnostics {
	var diags hcl.Diagnostics
	for _, name := range sortedNames(c.body.attrs) {
		a := c.body.attrs[name]
		if a.schema == nil && c.module.variables[name] == nil && !c.module.mayDeclare(name) {
			diags = append(diags, fault(a.name.Ptr(), "Unsupported argument", "The module has no variable called %q.%s", name, didYouMean(name, sortedNames(c.module.variables), "Its variables are")))
		}
	}
	for _, name := range sortedNames(c.module.variables) {
		v := c.module.variables[name]
		if v.fallback == cty.NilVal && c.body.attrs[name] == nil {
			diags = append(diags, fault(c.header.Ptr(), "Missing argument", "The module's variable %q (%s) has no default. Set it: %s = …", name, place(v.header), name))
		}
	}
	return diags
}

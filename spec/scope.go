package spec

import (
	"slices"

	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// scope is one instance of a module: where the module's expressions are evaluated.
type scope struct {
	*run
	mod *module
	// path is the instance's address, "" for the root.
	path state.Address
	// names are those of the instance in the names of what it holds: lab-a.
	names  string
	parent *scope
	call   *call
	// each is the instance's own each or count, in the parent's scope.
	each map[string]cty.Value

	nodes     map[string]*node
	children  map[string]*children
	blocks    map[string]*expansion
	functions map[string]function.Function
	// validated variables need no second look.
	validated map[string]bool
}

func newScope(r *run, m *module, parent *scope) *scope {
	s := &scope{
		run: r, mod: m, parent: parent, nodes: map[string]*node{}, children: map[string]*children{},
		blocks: map[string]*expansion{}, validated: map[string]bool{},
	}
	if parent != nil {
		s.functions = parent.functions
	} else {
		s.functions = Functions(r.c.dir)
	}
	r.scopes = append(r.scopes, s)
	return s
}

// node is the node of a name, made when first asked for.
func (s *scope) node(name string, compute func() cty.Value) *node {
	n := s.nodes[name]
	if n == nil {
		n = &node{name: string(join(s.path, state.Address(name))), compute: compute}
		s.nodes[name] = n
	}
	return n
}

// resolve is the value that a reference begins with: of var.x, local.x, network.front.
func (s *scope) resolve(ref reference) cty.Value {
	name := ref.root + "." + ref.name
	switch ref.root {
	case "var":
		if v := s.mod.variables[ref.name]; v != nil {
			return s.get(s.node(name, func() cty.Value { return s.variable(v) }), ref.at)
		}
	case "local":
		if a := s.mod.locals[ref.name]; a != nil {
			return s.get(s.node(name, func() cty.Value {
				return s.evaluate(a.expr, s.context(references(a.expr.Variables())))
			}), ref.at)
		}
	default:
		if o := s.mod.objects[ref.root][ref.name]; o != nil {
			return s.objectValue(o, ref.at)
		}
	}
	return failedValue
}

// context is what expressions with the given references are evaluated in.
func (s *scope) context(refs []reference) *hcl.EvalContext {
	values := map[string]map[string]cty.Value{}
	modules := map[string]map[string]reference{}
	for _, ref := range refs {
		switch ref.root {
		case "module":
			if modules[ref.name] == nil {
				modules[ref.name] = map[string]reference{}
			}
			modules[ref.name][ref.member] = ref
		case "var", "local", "network", "sandbox", "endpoint", "host":
			if values[ref.root] == nil {
				values[ref.root] = map[string]cty.Value{}
			}
			values[ref.root][ref.name] = s.resolve(ref)
		}
	}
	ctx := &hcl.EvalContext{Variables: map[string]cty.Value{}, Functions: s.functions}
	for root, names := range values {
		ctx.Variables[root] = cty.ObjectVal(names)
	}
	s.addModules(ctx, modules)
	for _, ref := range refs {
		switch ref.root {
		case "path":
			ctx.Variables["path"] = s.c.pathObject(s.mod, ref.name)
		case "cnm":
			ctx.Variables["cnm"] = cty.ObjectVal(map[string]cty.Value{"stack": s.stackValue(ref.at)})
		}
	}
	s.poison(ctx, refs)
	return ctx
}

// poison defines what expressions refer to although there is no such thing, which
// checkReferences has reported, so that nothing more is said of it.
func (s *scope) poison(ctx *hcl.EvalContext, refs []reference) {
	for _, ref := range refs {
		_, ok := ctx.Variables[ref.root] // each, count and self come with the instance
		if !ok || ref.name == "" && slices.Contains(namedRoots, ref.root) {
			ctx.Variables[ref.root] = failedValue
		}
	}
}

// addModules defines `module` with the outputs that are asked for.
func (s *scope) addModules(ctx *hcl.EvalContext, modules map[string]map[string]reference) {
	if len(modules) == 0 {
		return
	}
	values := map[string]cty.Value{}
	for _, name := range sortedNames(modules) {
		call := s.mod.calls[name]
		if call == nil || call.module == nil {
			values[name] = failedValue
			continue
		}
		members := modules[name]
		if whole, ok := members[""]; ok {
			members = map[string]reference{}
			for output := range call.module.outputs {
				members[output] = reference{root: "module", name: name, member: output, at: whole.at}
			}
			if len(members) == 0 {
				members[""] = whole
			}
		}
		values[name] = s.moduleObject(call, members)
	}
	ctx.Variables["module"] = cty.ObjectVal(values)
}

// stackValue is cnm.stack.
func (s *scope) stackValue(at hcl.Range) cty.Value {
	root := s.root
	return s.get(root.node("cnm.stack", root.stackSetting), at)
}

// eval evaluates one expression in the scope, with the given each or count on top.
func (s *scope) eval(expr hcl.Expression, each map[string]cty.Value) (cty.Value, *hcl.EvalContext) {
	ctx := s.context(references(expr.Variables()))
	if each != nil {
		ctx = ctx.NewChild()
		ctx.Variables = each
	}
	return s.evaluate(expr, ctx), ctx
}

// variable is the value of a variable: in the root what was set, else the argument of the
// module block.
func (s *scope) variable(v *variable) cty.Value {
	val := v.fallback
	if s.parent == nil {
		if in, ok := s.c.inputs[v.name]; ok {
			val = in.val
		} else if s.c.unset {
			return failedValue // it may be set in a file that could not be read
		} else if val == cty.NilVal {
			s.report(fault(v.header.Ptr(), "Variable not set", "The variable %q has no default and no value. Set it with -var '%s=…', in a file cnmctl.vars, or in the environment as %s%s.", v.name, v.name, envPrefix, v.name))
			return failedValue
		}
	} else if a := s.call.body.attrs[v.name]; a != nil {
		val = s.argument(v, a)
	}
	if val == cty.NilVal {
		return failedValue // checkArguments has said so
	}
	if !v.nullable && val.IsNull() && v.fallback != cty.NilVal {
		val = v.fallback
	}
	if !v.nullable && val.IsNull() {
		s.report(fault(v.header.Ptr(), "Variable is null", "The variable %q must not be null (nullable = false) and has no default. Give it a value.", v.name))
		return failedValue
	}
	if v.sensitive {
		val = val.Mark(sensitiveMark{})
	}
	return val
}

// argument is the value that the module block gives to a variable.
func (s *scope) argument(v *variable, a *argument) cty.Value {
	val, ctx := s.parent.eval(a.expr, s.each)
	if isFailed(val) {
		return failedValue
	}
	converted, err := v.convert(val)
	if err != nil {
		d := fault(a.expr.Range().Ptr(), "Invalid variable value", "The value does not fit the type of the module's variable %q (%s): %s.", v.name, place(v.header), conversionError(err))
		d.Expression, d.EvalContext = a.expr, ctx
		s.report(d)
		return failedValue
	}
	return converted
}

package spec

import (
	"errors"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// variable is a variable block as it is written.
type variable struct {
	*part
	name        string
	constraint  cty.Type
	defaults    *typeexpr.Defaults
	fallback    cty.Value // cty.NilVal: the variable must be set
	description string
	sensitive   bool
	nullable    bool
	validations []*part
}

func (m *module) addVariable(name string, p *part) hcl.Diagnostics {
	if old := m.variables[name]; old != nil {
		return duplicate(p, name, old.header)
	}
	if p.schema.attr(name) != nil && (name == "for_each" || name == "count") || moduleArgument(name) {
		return hcl.Diagnostics{fault(p.labelRanges[0].Ptr(), "Invalid name", "A variable cannot be called %q, because that is an argument of module blocks. Rename it.", name)}
	}
	v := &variable{part: p, name: name, constraint: cty.DynamicPseudoType, validations: p.body.parts("validation")}
	m.variables[name] = v
	var diags hcl.Diagnostics
	if a := p.body.attrs["type"]; a != nil {
		t, defaults, bad := typeexpr.TypeConstraintWithDefaults(a.expr)
		for _, d := range bad {
			d.Detail += " A type is string, number, bool, any, list(…), set(…), map(…), tuple([…]) or object({…})."
		}
		if diags = append(diags, bad...); !bad.HasErrors() {
			v.constraint, v.defaults = t, defaults
		}
	}
	diags = append(diags, staticBool(p.body, "sensitive", false, &v.sensitive)...)
	diags = append(diags, staticBool(p.body, "nullable", true, &v.nullable)...)
	diags = append(diags, staticString(p.body, "description", &v.description)...)
	return append(diags, v.readDefault()...)
}

// moduleArgument reports that a module block uses the name for itself.
func moduleArgument(name string) bool {
	switch name {
	case "source", "for_each", "count", "version", "providers", "depends_on", "lifecycle":
		return true
	}
	return false
}

// readDefault evaluates the default, which may not refer to anything.
func (v *variable) readDefault() hcl.Diagnostics {
	a := v.body.attrs["default"]
	if a == nil {
		return nil
	}
	val, diags := a.expr.Value(nil)
	if diags.HasErrors() {
		v.fallback = failedValue
		return hcl.Diagnostics{fault(a.expr.Range().Ptr(), "Invalid default", "The default of a variable is a plain value: it cannot refer to anything or call functions. For a computed value use a locals block.")}
	}
	converted, err := v.convert(val)
	if err != nil {
		v.fallback = failedValue
		return hcl.Diagnostics{fault(a.expr.Range().Ptr(), "Invalid default", "The default does not fit the variable's type %s: %s.", typeexpr.TypeString(v.constraint), conversionError(err))}
	}
	v.fallback = converted
	if !v.nullable && converted.IsNull() {
		return hcl.Diagnostics{fault(a.expr.Range().Ptr(), "Invalid default", "The default is null, but nullable = false says that the variable cannot be null. Delete the default, then the variable must be set.")}
	}
	return nil
}

// convert brings a value to the variable's type, with the defaults of its optional
// attributes.
func (v *variable) convert(val cty.Value) (cty.Value, error) {
	if v.defaults != nil && !val.IsNull() {
		val = v.defaults.Apply(val)
	}
	return convert.Convert(val, v.constraint)
}

// conversionError is why a value does not fit a type, with the path into it.
func conversionError(err error) string {
	if p, ok := errors.AsType[cty.PathError](err); ok && len(p.Path) > 0 {
		return pathText(p.Path) + ": " + p.Error()
	}
	return err.Error()
}

// pathText is a path into a value as one would write it: .subnets[0].cidr.
func pathText(path cty.Path) string {
	text := ""
	for _, step := range path {
		switch s := step.(type) {
		case cty.GetAttrStep:
			text += "." + s.Name
		case cty.IndexStep:
			text += "[" + shortValue(s.Key) + "]"
		}
	}
	return text
}

// staticBool reads an attribute that must be plain true or false.
func staticBool(b *body, name string, fallback bool, into *bool) hcl.Diagnostics {
	*into = fallback
	v, diags := staticValue(b, name, cty.Bool)
	if v != cty.NilVal {
		*into = v.True()
	}
	return diags
}

// staticString reads an attribute that must be plain text.
func staticString(b *body, name string, into *string) hcl.Diagnostics {
	v, diags := staticValue(b, name, cty.String)
	if v != cty.NilVal {
		*into = v.AsString()
	}
	return diags
}

// staticValue reads an attribute that must be a literal of type t; cty.NilVal when it is
// absent, null or wrong.
func staticValue(b *body, name string, t cty.Type) (cty.Value, hcl.Diagnostics) {
	a := b.attrs[name]
	if a == nil {
		return cty.NilVal, nil
	}
	v, diags := a.expr.Value(nil)
	if !diags.HasErrors() {
		if c, err := convert.Convert(v, t); err == nil && c.IsKnown() {
			if c.IsNull() {
				return cty.NilVal, nil
			}
			return c, nil
		}
	}
	return cty.NilVal, hcl.Diagnostics{fault(a.expr.Range().Ptr(), "Invalid "+name, "It is read before anything is evaluated, so it must be a plain %s.", t.FriendlyName())}
}

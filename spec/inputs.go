package spec

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// envPrefix begins the environment variables that set variables.
const envPrefix = "CNMCTL_VAR_"

// input is the value of a root variable, and where it came from.
type input struct {
	val    cty.Value
	source string // "the environment variable CNMCTL_VAR_x", "-var", a file's name
	rng    *hcl.Range
	// wrong is what is wrong with the value; it does not matter when a later source wins.
	wrong *hcl.Diagnostic
}

// readInputs collects the values of the root variables. A later source wins: environment,
// cnmctl.vars, *.auto.vars in order of name, then -var and -var-file as given.
func (c *Config) readInputs() (map[string]input, hcl.Diagnostics) {
	inputs := map[string]input{}
	c.readEnviron(inputs)
	var diags hcl.Diagnostics
	for _, path := range c.autoFiles() {
		diags = append(diags, c.readVarFile(path, inputs)...)
	}
	for _, flag := range c.opts.Vars {
		if flag.File != "" {
			diags = append(diags, c.readVarFile(flag.File, inputs)...)
			continue
		}
		diags = append(diags, c.readAssignment(flag.Assignment, inputs)...)
	}
	for _, name := range sortedNames(inputs) {
		if wrong := inputs[name].wrong; wrong != nil {
			diags = append(diags, wrong)
		}
	}
	return inputs, diags
}

func (c *Config) readEnviron(inputs map[string]input) {
	for _, entry := range slices.Sorted(slices.Values(c.opts.Environ)) {
		name, text, _ := strings.Cut(entry, "=")
		name, ok := strings.CutPrefix(name, envPrefix)
		v := c.root.variables[name]
		if !ok || v == nil {
			continue // the environment may hold what is meant for another configuration
		}
		inputs[name] = v.fromText(text, "the environment variable "+envPrefix+name)
	}
}

// autoFiles are the variable files that are read without being asked for.
func (c *Config) autoFiles() []string {
	var auto []string
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return nil // loadModule has said so
	}
	for _, e := range entries {
		if name := strings.TrimSuffix(e.Name(), ".json"); isFile(e) && strings.HasSuffix(name, ".auto.vars") {
			auto = append(auto, filepath.Join(c.dir, e.Name()))
		}
	}
	slices.Sort(auto)
	var files []string
	for _, name := range []string{"cnmctl.vars", "cnmctl.vars.json"} {
		if path := filepath.Join(c.dir, name); exists(path) {
			files = append(files, path)
		}
	}
	return append(files, auto...)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func (c *Config) readVarFile(path string, inputs map[string]input) hcl.Diagnostics {
	file, diags := c.parse(path)
	if diags.HasErrors() {
		c.unset = true
		return diags
	}
	attrs, more := file.Body.JustAttributes()
	diags = append(diags, more...)
	for _, name := range sortedNames(attrs) {
		a := attrs[name]
		v := c.root.variables[name]
		if v == nil && c.root.mayDeclare(name) {
			continue
		}
		if v == nil {
			diags = append(diags, caution(a.NameRange.Ptr(), "Undeclared variable", "The configuration has no variable %q, so the value is not used.%s", name, didYouMean(name, sortedNames(c.root.variables), "Its variables are")))
			continue
		}
		val, more := a.Expr.Value(nil)
		if more.HasErrors() {
			diags = append(diags, fault(a.Expr.Range().Ptr(), "Invalid variable value", "A variable file holds plain values: they cannot refer to anything or call functions."))
			continue
		}
		inputs[name] = v.fromValue(val, input{source: path, rng: a.Expr.Range().Ptr()})
	}
	return diags
}

func (c *Config) readAssignment(assignment string, inputs map[string]input) hcl.Diagnostics {
	name, text, ok := strings.Cut(assignment, "=")
	name = strings.TrimSpace(name)
	if !ok || name == "" {
		return hcl.Diagnostics{fault(nil, "Invalid -var", "%q does not set a variable; write -var 'name=value'.", assignment)}
	}
	v := c.root.variables[name]
	if v == nil && c.root.mayDeclare(name) {
		return nil
	}
	if v == nil {
		return hcl.Diagnostics{fault(nil, "Undeclared variable", "-var sets %q, but the configuration has no such variable.%s", name, didYouMean(name, sortedNames(c.root.variables), "Its variables are"))}
	}
	inputs[name] = v.fromText(text, "-var")
	return nil
}

// fromText makes an input of text: as it is for strings, an expression for all else.
func (v *variable) fromText(text, source string) input {
	in := input{source: source}
	if untyped := v.body.attrs["type"] == nil; untyped || v.constraint == cty.String {
		return v.fromValue(cty.StringVal(text), in)
	}
	name := fmt.Sprintf("<value for var.%s>", v.name)
	if in.wrong = tooDeep([]byte(text), name, hclsyntax.LexExpression); in.wrong != nil {
		in.val = failedValue
		return in
	}
	expr, diags := hclsyntax.ParseExpression([]byte(text), name, hcl.InitialPos)
	if !diags.HasErrors() {
		var val cty.Value
		if val, diags = expr.Value(nil); !diags.HasErrors() {
			return v.fromValue(val, in)
		}
	}
	in.val = failedValue
	in.wrong = fault(v.header.Ptr(), "Invalid variable value", "The value of %q from %s is not %s: %s%s", v.name, source, typeText(v.constraint), hidden(v, text), quotingHint(v, text))
	return in
}

// quotingHint reminds of the shell, which eats quotes.
func quotingHint(v *variable, text string) string {
	if v.constraint.IsPrimitiveType() || v.sensitive {
		return ""
	}
	return fmt.Sprintf("\n\nWhat arrived is an expression of the language, in which strings are quoted. A shell removes quotes, so put the whole value in single ones: -var '%s=…'.", v.name)
}

// hidden is text, unless the variable is sensitive.
func hidden(v *variable, text string) string {
	if v.sensitive {
		return "(sensitive value)"
	}
	return text
}

// fromValue converts a value to the variable's type.
func (v *variable) fromValue(val cty.Value, in input) input {
	converted, err := v.convert(val)
	if err == nil && !converted.IsWhollyKnown() {
		err = errors.New("it is not a plain value")
	}
	if err == nil {
		in.val = converted
		return in
	}
	in.val = failedValue
	at := in.rng
	if at == nil {
		at = v.header.Ptr()
	}
	in.wrong = fault(at, "Invalid variable value", "The value of %q from %s does not fit the variable's type %s: %s.", v.name, in.source, typeexpr.TypeString(v.constraint), conversionError(err))
	return in
}

// MissingVariables are the root variables that must be set and are not, for a caller that
// can ask.
func (c *Config) MissingVariables() []string {
	var names []string
	for _, name := range sortedNames(c.root.variables) {
		if _, set := c.inputs[name]; !set && c.root.variables[name].fallback == cty.NilVal {
			names = append(names, name)
		}
	}
	return names
}

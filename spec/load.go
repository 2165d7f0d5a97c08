package spec

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// Options are what a configuration depends on besides its own files.
type Options struct {
	// Drivers are the drivers that there are.
	Drivers []DriverSchema
	// Version is cnmctl's own, for required_version; "" matches everything.
	Version string
	// Environ is the environment as os.Environ gives it; CNMCTL_VAR_x sets variable x.
	Environ []string
	// Vars are the command line's -var and -var-file flags, in the order given.
	Vars []VarFlag
	// WorkDir is path.cwd; "" is the process's.
	WorkDir string
}

// VarFlag is one -var name=value or, if File is set, one -var-file.
type VarFlag struct {
	Assignment string
	File       string
}

// Config is a configuration that was read: its files parsed, its variables set.
type Config struct {
	lang   *language
	opts   Options
	dir    string
	parser *hclparse.Parser
	root   *module
	inputs map[string]input
	run    *run
	// loading is what Load found.
	loading hcl.Diagnostics
	// incomplete: there are blocks that could not be read, so what is not among the others
	// may still be declared. unset: the same of the values of variables.
	incomplete, unset bool
}

// Load reads the configuration in dir with its modules and variable files, and sets its
// variables. The Config is never nil: Files can show where the errors are, and Evaluate
// finds those in all that could be read.
func Load(dir string, opts Options) (*Config, hcl.Diagnostics) {
	c := &Config{lang: newLanguage(opts.Drivers), opts: opts, dir: filepath.Clean(dir), parser: hclparse.NewParser()}
	if c.opts.WorkDir == "" {
		c.opts.WorkDir, _ = os.Getwd()
	}
	root, diags := c.loadModule(c.dir, nil)
	c.root = root
	diags = append(diags, c.checkVersion()...)
	inputs, more := c.readInputs()
	c.inputs = inputs
	c.loading = tidy(append(diags, more...))
	return c, c.loading
}

// Files are the source files by name, for showing snippets of them.
func (c *Config) Files() map[string]*hcl.File { return c.parser.Files() }

// Dir is the folder of the root module.
func (c *Config) Dir() string { return c.dir }

// SourceFiles lists the files of the configuration in a folder, in the order in which
// they are read.
func SourceFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, e := range entries {
		if isFile(e) && isSource(e.Name()) {
			files = append(files, filepath.Join(dir, e.Name()))
		}
	}
	slices.Sort(files)
	return files, nil
}

// FormattableFiles lists the files in a folder that have a canonical form: those of the
// configuration, and files of variables.
func FormattableFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, e := range entries {
		name := e.Name()
		if isFile(e) && !isHidden(name) && (strings.HasSuffix(name, ".hcl") || strings.HasSuffix(name, ".vars")) {
			files = append(files, filepath.Join(dir, name))
		}
	}
	return files, nil
}

// isFile tells files, and links to them, from folders, and from pipes and devices, on which
// reading could wait for ever.
func isFile(e fs.DirEntry) bool { return e.Type()&^fs.ModeSymlink == 0 }

// isSource reports that a file belongs to the configuration: *.hcl and *.hcl.json, except
// hidden files and what editors leave behind.
func isSource(name string) bool {
	return !isHidden(name) && (strings.HasSuffix(name, ".hcl") || strings.HasSuffix(name, ".hcl.json"))
}

// isHidden reports that a file is hidden, or what an editor left behind.
func isHidden(name string) bool {
	return strings.HasPrefix(name, ".") || strings.HasSuffix(name, "~") || strings.HasPrefix(name, "#")
}

// parse reads one file in the syntax that its name says.
func (c *Config) parse(path string) (*hcl.File, hcl.Diagnostics) {
	src, err := os.ReadFile(path)
	if err != nil {
		return nil, hcl.Diagnostics{fault(nil, "File cannot be read", "Reading %s: %s.", path, cause(err))}
	}
	if problem := unreadable(src, path); problem != nil {
		return nil, hcl.Diagnostics{problem}
	}
	read := c.parser.ParseHCL
	if strings.HasSuffix(path, ".json") {
		read = c.parser.ParseJSON
	}
	file, diags := read(src, path)
	return file, firstOfString(diags)
}

// firstOfString keeps one error of a string that does not end: the parser has one for each
// line after it, and one for the end.
func firstOfString(diags hcl.Diagnostics) hcl.Diagnostics {
	const open, end = "Invalid multi-line string", "Unterminated template string"
	seen := false
	return slices.DeleteFunc(diags, func(d *hcl.Diagnostic) bool {
		again := seen && (d.Summary == open || d.Summary == end)
		seen = seen || d.Summary == open
		return again
	})
}

// unreadable refuses what no parser is to be given.
func unreadable(src []byte, path string) *hcl.Diagnostic {
	if problem := notText(src, path); problem != nil {
		return problem
	}
	return tooDeep(src, path, hclsyntax.LexConfig)
}

// notText refuses bytes that are not UTF-8, and zero bytes. A parser would find a mistake in
// each of them, and quoting them could do anything to a terminal.
func notText(src []byte, path string) *hcl.Diagnostic {
	if utf8.Valid(src) && bytes.IndexByte(src, 0) < 0 {
		return nil
	}
	line, rest := 1, src
	for len(rest) > 0 {
		r, size := utf8.DecodeRune(rest)
		if r == 0 || r == utf8.RuneError && size == 1 {
			break
		}
		if r == '\n' {
			line++
		}
		rest = rest[size:]
	}
	return fault(nil, "Not a text file", "%s is not UTF-8 text: line %d holds the byte 0x%02x. Save it as UTF-8.", path, line, rest[0])
}

// cause is what went wrong without the path, which the message has already.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// loadModule reads the module in dir and, below it, the modules that it calls. via are
// the folders on the way to it.
func (c *Config) loadModule(dir string, via []string) (*module, hcl.Diagnostics) {
	m := newModule(dir)
	files, err := SourceFiles(dir)
	if err != nil {
		c.loses(m)
		return m, hcl.Diagnostics{fault(nil, "Folder cannot be read", "Reading the configuration in %s: %s.", dir, cause(err))}
	}
	if len(files) == 0 {
		c.loses(m)
		return m, hcl.Diagnostics{fault(nil, "No configuration", "There are no *.hcl or *.hcl.json files in %s. Write one, or choose another folder with -chdir.", absolute(dir))}
	}
	var diags hcl.Diagnostics
	for _, path := range files {
		file, more := c.parse(path)
		diags = append(diags, more...)
		if more.HasErrors() {
			c.loses(m) // what the parser made of the rest is not what was meant
			continue
		}
		content, more := openBody(file.Body, &c.lang.top)
		c.incomplete = c.incomplete || more.HasErrors()
		diags = append(diags, more...)
		m.lost = append(m.lost, unknownBlocks(file.Body, &c.lang.top)...)
		for _, b := range content.blocks {
			more := m.add(b, len(via) == 0)
			c.incomplete = c.incomplete || more.HasErrors()
			diags = append(diags, more...)
		}
	}
	diags = append(diags, m.check()...)
	for _, name := range sortedNames(m.calls) {
		diags = append(diags, c.loadCall(m.calls[name], dir, append(via, dir))...)
	}
	diags = append(diags, c.checkReferences(m)...)
	return m, diags
}

// loses notes that the module has more blocks than could be read.
func (c *Config) loses(m *module) { c.incomplete, m.unread = true, true }

// unknownBlocks are the names of blocks of no known type: with a mistake in their types,
// they are what references to these names mean.
func unknownBlocks(b hcl.Body, schema *Schema) []string {
	native, ok := b.(*hclsyntax.Body)
	if !ok {
		return nil
	}
	var names []string
	for _, block := range native.Blocks {
		if schema.block(block.Type) == nil {
			names = append(names, block.Labels...)
		}
	}
	return names
}

// loadCall reads the module that a module block calls, and checks its arguments.
func (c *Config) loadCall(call *call, dir string, via []string) hcl.Diagnostics {
	source, at, diags := call.sourceDir()
	if diags.HasErrors() {
		return diags
	}
	target := filepath.Join(dir, source)
	if slices.Contains(via, target) {
		return hcl.Diagnostics{fault(at, "Module calls itself", "The folder %s is already being read on the way here (%s), so it would contain itself without end.", target, strings.Join(append(via, target), " → "))}
	}
	call.module, diags = c.loadModule(target, via)
	if len(diags) > 0 && diags[0].Subject == nil {
		diags[0].Subject = at
	}
	return append(diags, call.checkArguments()...)
}

// absolute is dir as an absolute path, or as it is.
func absolute(dir string) string {
	if abs, err := filepath.Abs(dir); err == nil {
		return abs
	}
	return dir
}

// pathObject is the value of path in a module. What else was asked for has been reported.
func (c *Config) pathObject(m *module, asked string) cty.Value {
	return cty.ObjectVal(map[string]cty.Value{
		asked:    failedValue,
		"module": cty.StringVal(filepath.ToSlash(m.dir)),
		"root":   cty.StringVal(filepath.ToSlash(c.dir)),
		"cwd":    cty.StringVal(filepath.ToSlash(c.opts.WorkDir)),
	})
}

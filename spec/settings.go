package spec

import (
	"path/filepath"
	"strings"

	"github.com/hashicorp/go-version"
	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// Settings are what the cnm block says: known before anything is planned, because they
// say where to read what is held.
type Settings struct {
	Stack string
	Store Store
	Pools []Pool
}

// Settings evaluates the cnm block.
func (c *Config) Settings() (Settings, hcl.Diagnostics) {
	if c.loading.HasErrors() {
		return Settings{}, c.loading
	}
	r := c.newRun()
	s := r.settings()
	return s, tidy(r.diags)
}

// setting is a part of a cnm block, wherever it is written.
func (m *module) setting(name string) *argument {
	for _, p := range m.settings {
		if a := p.body.attrs[name]; a != nil {
			return a
		}
	}
	return nil
}

// settings evaluates all of the cnm block.
func (r *run) settings() Settings {
	s := Settings{Store: Store{Type: "local", Config: map[string]string{}, Decl: Decl{Range: hcl.Range{Filename: r.c.dir}}}}
	if v := r.root.stackValue(hcl.Range{Filename: r.c.dir}); v.IsKnown() {
		v, _ = v.Unmark()
		s.Stack = v.AsString()
	}
	for _, p := range r.root.mod.settings {
		s.Pools = append(s.Pools, r.pools(p)...)
		for _, store := range p.body.parts("store") {
			s.Store = r.store(store)
		}
	}
	return s
}

// stackSetting is the value of cnm.stack.
func (s *scope) stackSetting() cty.Value {
	a := s.mod.setting("stack")
	if a == nil && s.mod.unread {
		return failedValue
	}
	if a == nil {
		return cty.StringVal(s.c.folderName())
	}
	rd := &reading{run: s.run, ctx: s.context(references(a.expr.Variables()))}
	v := rd.argument(a)
	rd.refuseWaits("cnm.stack")
	if v == cty.NilVal && !rd.failed {
		return cty.StringVal(s.c.folderName())
	}
	if rd.failed {
		return failedValue
	}
	return v
}

// folderName is the name of the root module's folder, as a stack may be called.
func (c *Config) folderName() string {
	name := strings.TrimLeft(sanitise(filepath.Base(absolute(c.dir))), ".-")
	if name == "" {
		return "cnm"
	}
	return name[:min(len(name), maxStack)]
}

// refuseWaits reports that a setting depends on what is planned.
func (rd *reading) refuseWaits(what string) {
	for _, w := range rd.waits {
		rd.reject(w.arg, "Setting depends on the plan", "%s is needed before anything is planned, so it can be made of variables and plain values, but not of %s.", what, w.for_[0].block)
	}
}

// store reads a store block.
func (r *run) store(p *part) Store {
	out := Store{Type: p.labels[0], Config: map[string]string{}, Decl: Decl{Range: p.header, Ranges: p.body.ranges()}}
	types := []string{"local", "consul"}
	if closest := didYouMean(out.Type, types, "The stores are"); out.Type != "local" && out.Type != "consul" {
		r.report(fault(p.labelRanges[0].Ptr(), "Unknown store", "There is no store %q.%s", out.Type, closest))
	}
	rd := &reading{run: r, ctx: r.root.context(references(p.body.traversals(all)))}
	v := rd.read(p.body, all)
	rd.refuseWaits("The store")
	for name, val := range v.attrs {
		if val.IsNull() {
			continue
		}
		if out.Type == "local" && name != "path" {
			r.report(fault(p.body.attrs[name].name.Ptr(), "Unsupported argument", "A local store has a path only; %q belongs to a store \"consul\".", name))
		}
		out.Config[name] = val.AsString()
	}
	out.Sensitive = rd.sensitive
	return out
}

// pools reads the pool blocks of a cnm block.
func (r *run) pools(p *part) []Pool {
	if len(p.body.parts("pool")) == 0 {
		return nil
	}
	rd := &reading{run: r, ctx: r.root.context(references(p.body.traversals(func(n string) bool { return n == "pool" })))}
	v := rd.read(p.body, func(n string) bool { return n == "pool" })
	rd.refuseWaits("A pool")
	if rd.failed {
		return nil
	}
	var out []Pool
	for _, b := range v.of("pool") {
		pool := Pool{Base: b.prefix("base"), Size: int(b.number("size"))}
		if err := checkPool(pool.Base, pool.Size); err != nil {
			rd.reject(b.body.attrs["size"], "Invalid size", "%s", sentence(err))
			continue
		}
		for _, other := range out {
			if other.Base.Overlaps(pool.Base) {
				rd.reject(b.body.attrs["base"], "Overlapping pools", "The pools %s and %s overlap, so an address could be given out twice. Make them disjoint.", other.Base, pool.Base)
			}
		}
		out = append(out, pool)
	}
	return out
}

// checkVersion compares required_version with the program's own.
func (c *Config) checkVersion() hcl.Diagnostics {
	a := c.root.setting("required_version")
	if a == nil {
		return nil
	}
	v, diags := staticValue(&body{attrs: map[string]*argument{"required_version": a}}, "required_version", cty.String)
	if diags.HasErrors() || v == cty.NilVal {
		return diags
	}
	at := a.expr.Range().Ptr()
	want, err := version.NewConstraint(v.AsString())
	if err != nil {
		return hcl.Diagnostics{fault(at, "Invalid required_version", "%q is not a version constraint, as in \">= 0.1.0\" or \"~> 1.2\".", v.AsString())}
	}
	have, err := version.NewVersion(c.opts.Version)
	if c.opts.Version == "" || err != nil {
		return nil // a build without a version, which nothing can be said of
	}
	if !want.Check(have.Core()) {
		return hcl.Diagnostics{fault(at, "Unsupported cnmctl version", "The configuration needs cnmctl %s, but this is cnmctl %s. Use another version, or change required_version.", want, have)}
	}
	return nil
}

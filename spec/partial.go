package spec

import (
	"slices"

	"github.com/hashicorp/hcl/v2"
)

// One mistake is one error. The rest of the configuration is evaluated although some of
// it is broken, and what depends on what is broken is silent. Three things depend on it
// without a reference: what is chosen among the addresses that others leave free, what is
// wrong with a network or sandbox that lacks endpoints, and references to blocks that
// could not be read.

// misses reports that there may be blocks of a kind which nothing is known of.
func (r *run) misses(kind string) bool {
	if r.c.incomplete {
		return true
	}
	missing := false
	r.objectsOf(kind, func(s *scope, o *object) { missing = missing || s.blocks[kind+"."+o.name] == nil })
	for _, s := range r.scopes {
		for name := range s.mod.calls {
			missing = missing || s.children[name] == nil
		}
	}
	return missing
}

// blamed says of instances whether an error of the allocator points at them.
func blamed(diags hcl.Diagnostics) func(*instance) bool {
	at := map[hcl.Range]bool{}
	for _, d := range diags {
		if d.Severity == hcl.DiagError && d.Subject != nil {
			at[*d.Subject] = true
		}
	}
	return func(i *instance) bool {
		if len(at) == 0 {
			return false
		}
		decl := i.declaration()
		found := at[decl.Range]
		for _, rng := range decl.Ranges {
			found = found || at[rng]
		}
		return found
	}
}

// doubtNetworks takes back what was chosen for networks with errors, and subnets that were
// chosen without knowing all others: these would be other ones.
func (r *run) doubtNetworks(diags hcl.Diagnostics) {
	blame := blamed(diags)
	incomplete := r.misses("network") || diags.HasErrors() ||
		slices.ContainsFunc(r.instances("network"), func(i *instance) bool { return i.failed })
	for _, i := range r.usable("network") {
		if blame(i) || i.open && incomplete {
			i.doubt, i.network.Subnets = true, slices.Clone(i.explicit)
		}
	}
}

// doubtEndpoints takes back what was chosen for some endpoints. What networks and
// sandboxes have of them is not all that they will have.
func (r *run) doubtEndpoints(doubtful func(*instance) bool) {
	for _, i := range r.usable("endpoint") {
		if doubtful(i) {
			i.doubt, i.endpoint.Endpoint = true, i.asked
		}
	}
	r.findPartial()
}

// findPartial marks networks and sandboxes that lack endpoints. Where it is not known
// whose they are, all may lack them.
func (r *run) findPartial() {
	networks := r.misses("endpoint")
	sandboxes := networks
	on, in := map[*instance]bool{}, map[*instance]bool{}
	for _, i := range r.instances("endpoint") {
		if !i.failed && !i.doubt {
			continue
		}
		on[i.on], in[i.in] = true, true
		networks = networks || i.on == nil
		sandboxes = sandboxes || i.in == nil && i.body.attrs["sandbox"] != nil
	}
	for _, i := range r.recorded("network") {
		i.network.Partial = networks || on[i]
	}
	for _, i := range r.recorded("sandbox") {
		i.sandbox.Partial = sandboxes || in[i]
	}
}

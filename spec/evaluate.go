package spec

import (
	"slices"

	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

func (c *Config) newRun() *run {
	r := &run{
		c: c, top: &Topology{}, networks: map[state.Address]*instance{},
		sandboxes: map[state.Address]*instance{}, hosts: map[string]*instance{}, ordered: map[string][]*instance{},
		unknowns: map[pendingMark]cty.Value{},
	}
	r.root = newScope(r, c.root, nil)
	return r
}

// Evaluate computes what the configuration says. The allocator chooses, in between, what
// it leaves open. On errors, those of Load too, the topology holds what could be evaluated;
// it is never nil. Its errors are those of Load and all others that can be known.
func (c *Config) Evaluate(a Allocator) (*Topology, hcl.Diagnostics) {
	r := c.newRun()
	c.run = r
	settings := r.settings()
	r.stackName = settings.Stack
	r.top.Stack, r.top.Store, r.top.Pools = settings.Stack, settings.Store, settings.Pools

	r.expandModules()
	r.readMoves()
	r.checkVariables(false)
	r.force("host")
	r.top.Hosts = records(r, "host", func(i *instance) *Host { return i.host })
	r.force("network")
	r.checkNetworks()
	r.top.Networks = records(r, "network", func(i *instance) *Network { return i.network })
	r.chooseNetworks(a)

	r.force("sandbox")
	r.checkSandboxes()
	r.top.Sandboxes = records(r, "sandbox", func(i *instance) *Sandbox { return i.sandbox })
	r.force("endpoint")
	r.checkEndpoints()
	r.doubtEndpoints(func(i *instance) bool { return i.on.doubt })
	r.top.Endpoints = records(r, "endpoint", func(i *instance) *Endpoint { return i.endpoint })
	r.chooseEndpoints(a)

	r.readLate()
	r.readSandboxes()
	r.force("policy")
	r.top.Policies = records(r, "policy", func(i *instance) *Policy { return i.policy })
	r.checkVariables(true)
	r.hide()
	r.readOutputs()
	r.checkConditions()
	r.checkMoves()
	r.diags = append(slices.Clone(c.loading), r.diags...)
	return r.top, tidy(r.diags)
}

// expandModules makes the instances of all modules, so that their blocks are known.
func (r *run) expandModules() {
	for i := 0; i < len(r.scopes); i++ { // the loop sees the scopes that it adds
		s := r.scopes[i]
		for _, name := range sortedNames(s.mod.calls) {
			call := s.mod.calls[name]
			if call.module == nil {
				continue
			}
			if kids, v := s.expandCall(call, call.header); kids == nil {
				r.unexpanded(call.body, v, join(s.path, state.Address("module."+name)))
			}
		}
	}
}

// unexpanded reports that the instances of a block depend on what is chosen later.
func (r *run) unexpanded(b *body, v cty.Value, who state.Address) {
	_, marks := v.UnmarkDeep()
	if _, failed := marks[failedMark{}]; failed {
		return
	}
	for _, name := range []string{"for_each", "count"} {
		if a := b.attrs[name]; a != nil {
			for _, p := range pendings(marks) {
				r.report(fault(a.expr.Range().Ptr(), "Instances depend on a choice", "How many instances of %s there are depends on %s of %s, which is chosen later, when all instances are known. Make %s of names and values that the configuration gives.", who, p.attr, p.block, name))
				return
			}
		}
	}
}

// objectsOf calls f for each block of a kind in each module instance.
func (r *run) objectsOf(kind string, f func(*scope, *object)) {
	for _, s := range r.scopes {
		for _, name := range sortedNames(s.mod.objects[kind]) {
			f(s, s.mod.objects[kind][name])
		}
	}
}

// instances are those of a kind that could be expanded, in order of address.
func (r *run) instances(kind string) []*instance {
	if list, ok := r.ordered[kind]; ok {
		return list
	}
	var out []*instance
	r.objectsOf(kind, func(s *scope, o *object) {
		if x := s.blocks[kind+"."+o.name]; x != nil {
			out = append(out, x.instances...)
		}
	})
	slices.SortFunc(out, func(a, b *instance) int { return CompareAddresses(a.addr, b.addr) })
	r.ordered[kind] = out
	return out
}

// force evaluates all blocks of a kind and reports what cannot be known in time.
func (r *run) force(kind string) {
	r.objectsOf(kind, func(s *scope, o *object) {
		if x, v := s.prepare(o, o.header); x == nil {
			s.unexpanded(o.body, v, join(s.path, state.Address(kind+"."+o.name)))
		}
	})
	for _, i := range r.instances(kind) {
		if !i.read && !i.failed {
			for _, w := range i.waits {
				r.report(pendingFault(i, w))
			}
			i.failed = true
		}
		if n := len(i.owner().Mark()); n > maxMark {
			r.report(fault(i.header.Ptr(), "Address too long", "The address %s is too long to be written on what is made for it: with the stack's name it has %d bytes, at most %d fit. Shorten the names or keys in it.", i.addr, n, maxMark))
			i.failed = true
		}
	}
}

// records lists the records of a kind that are without faults and doubts.
func records[T any](r *run, kind string, record func(*instance) T) []T {
	var out []T
	for _, i := range r.usable(kind) {
		if !i.doubt {
			out = append(out, record(i))
		}
	}
	return out
}

// pendingFault explains that an argument is made of something that is chosen only when
// the argument is known.
func pendingFault(i *instance, w wait) *hcl.Diagnostic {
	p := w.for_[0]
	at := w.arg.expr.Range().Ptr()
	if i.kind == "endpoint" {
		return fault(at, "Address depends on a choice", "%s of %s is made of %s of %s, which is chosen among what all others leave free: so %s has to be decided first, and cannot wait for it. Give %s a fixed value, or leave %s out to have it chosen too.", w.arg.schema.Name, i.addr, p.attr, p.block, i.addr, p.block, w.arg.schema.Name)
	}
	return fault(at, "Value depends on a choice", "%s of %s is made of %s of %s, which is chosen only after %s is decided. Give %s a fixed value in the configuration, or make %s of something else.", w.arg.schema.Name, i.addr, p.attr, p.block, i.addr, p.block, w.arg.schema.Name)
}

// chooseNetworks lets the allocator choose subnets and gateways.
func (r *run) chooseNetworks(a Allocator) {
	diags := a.Networks(r.top)
	r.report(diags...)
	r.networksChosen = true
	r.doubtNetworks(diags)
	r.forget()
}

// chooseEndpoints lets the allocator choose addresses.
func (r *run) chooseEndpoints(a Allocator) {
	diags := a.Endpoints(r.top)
	r.report(diags...)
	r.endpointsChosen = true
	r.doubtEndpoints(blamed(diags))
	r.doubtEndpoints(func(i *instance) bool { return i.open && i.on.network.Partial })
	r.forget()
}

// readLate reads the attributes of endpoints that waited for addresses.
func (r *run) readLate() {
	r.objectsOf("endpoint", func(s *scope, o *object) {
		x := s.blocks["endpoint."+o.name]
		if x == nil {
			return
		}
		waiting := func(i *instance) bool { return i.read && !i.failed && len(i.late) > 0 }
		late := map[string]bool{}
		for _, i := range x.instances {
			for _, name := range i.late {
				late[name] = true
			}
		}
		s.eachReading(o.body, x.instances, func(name string) bool { return late[name] }, waiting, func(i *instance, rd *reading, v *values) {
			i.fillLate(v, func(name string) bool { return late[name] })
			i.endpoint.Sensitive = append(i.endpoint.Sensitive, rd.sensitive...)
		})
	})
}

// readSandboxes reads routes and all that is made of addresses.
func (r *run) readSandboxes() {
	rest := func(name string) bool { return notRepetition(name) && !identity(name) && name != "lifecycle" }
	r.objectsOf("sandbox", func(s *scope, o *object) {
		x := s.blocks["sandbox."+o.name]
		if x == nil || !needsReading(o.body, rest) {
			return
		}
		every := func(*instance) bool { return true }
		s.eachReading(o.body, x.instances, rest, every, func(i *instance, rd *reading, v *values) { i.fillSandbox(rd, v) })
	})
}

// needsReading reports that a body holds anything that want accepts.
func needsReading(b *body, want func(string) bool) bool {
	for name := range b.attrs {
		if want(name) {
			return true
		}
	}
	return b.dynamic || slices.ContainsFunc(b.blocks, func(p *part) bool { return want(p.schema.Name) })
}

// hide notes in the records what of them is not to be shown.
func (r *run) hide() {
	for _, n := range r.top.Networks {
		n.Hidden = unique(n.Sensitive)
	}
	for _, s := range r.top.Sandboxes {
		s.Hidden = unique(s.Sensitive)
	}
	for _, e := range r.top.Endpoints {
		e.Hidden = unique(e.Sensitive)
	}
	for _, p := range r.top.Policies {
		p.Hidden = unique(p.Sensitive)
	}
}

func unique(names []string) []string {
	if len(names) == 0 {
		return nil
	}
	return slices.Compact(slices.Sorted(slices.Values(names)))
}

package spec

import (
	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// instance is one network, sandbox, endpoint, host or policy.
type instance struct {
	*object
	scope   *scope
	element element
	// block is the address of the block, addr that of the instance.
	block, addr state.Address
	// label is the name that the instance has unless it says otherwise.
	label string

	// read: the record is filled in. failed: it cannot be.
	read, failed bool
	waits        []wait
	late         []string

	network  *Network
	sandbox  *Sandbox
	endpoint *Endpoint
	host     *Host
	policy   *Policy
	// explicit are the subnets that a network's block gives.
	explicit []state.Subnet
	// plainOptions are those of endpoints of the network that give none.
	plainOptions state.Options
	// open: something of it is left for the allocator to choose among what others leave free.
	// doubt: what it chose would be something else if all others were known.
	open, doubt bool
	// asked is an endpoint as its block gives it.
	asked state.Endpoint
	// on and in are the network and the sandbox of an endpoint.
	on, in *instance

	val      cty.Value
	valPhase int
}

// expansion is all instances of a block.
type expansion struct {
	list      []element
	how       repetition
	instances []*instance

	val      cty.Value
	valPhase int
}

// expand makes the instances of a block, once they are known.
func (s *scope) expand(o *object) (*expansion, cty.Value) {
	key := o.kind + "." + o.name
	if x := s.blocks[key]; x != nil {
		return x, cty.NilVal
	}
	list, how, unknown, ok := s.elements(o.body)
	if !ok {
		return nil, unknown
	}
	x := &expansion{list: list, how: how, instances: make([]*instance, len(list)), valPhase: -1}
	block := join(s.path, state.Address(key))
	for i, e := range list {
		x.instances[i] = &instance{
			object: o, scope: s, element: e, valPhase: -1,
			block: block, addr: block + state.Address(e.addr),
			label: sanitise(dashed(s.names, o.name, e.key)),
		}
	}
	s.blocks[key] = x
	return x, cty.NilVal
}

// prepare makes the instances of a block and fills in their records as far as they can be
// now. What it returns is not known while something is missing.
func (s *scope) prepare(o *object, at hcl.Range) (*expansion, cty.Value) {
	key := o.kind + "." + o.name
	v := s.get(s.node(key, func() cty.Value {
		x, unknown := s.expand(o)
		if x == nil {
			return unknown
		}
		s.readInstances(o, x.instances)
		for _, i := range x.instances {
			if !i.read && !i.failed {
				return cty.UnknownVal(cty.Bool)
			}
		}
		return cty.True
	}), at)
	return s.blocks[key], v
}

// objectValue is the value of a reference to a block: one object, or all instances.
func (s *scope) objectValue(o *object, at hcl.Range) cty.Value {
	x, unknown := s.prepare(o, at)
	switch {
	case x == nil:
		return unknown
	case s.nodes[o.kind+"."+o.name].busy:
		return failedValue // the block refers to itself, which was reported
	case x.valPhase != s.phase():
		x.val = collect(x.how, x.list, func(i int) cty.Value { return x.instances[i].value() })
		x.valPhase = s.phase()
	}
	return x.val
}

// identity are the attributes of a sandbox that references see. The rest of it is read
// when all addresses are chosen, because routes are made of them.
func identity(name string) bool {
	switch name {
	case "name", "host", "netns", "container", "shares", "hostname", "vrfs", "labels":
		return true
	}
	return false
}

// readInstances fills in the records of the instances that can be.
func (s *scope) readInstances(o *object, list []*instance) {
	want := notRepetition
	if o.kind == "sandbox" {
		want = identity
	}
	s.eachReading(o.body, list, want, func(i *instance) bool { return !i.read && !i.failed }, func(i *instance, rd *reading, v *values) {
		i.waits = rd.waits
		if len(rd.waits) > 0 {
			i.failed = rd.failed
			return
		}
		i.late = rd.late
		switch o.kind {
		case "network":
			i.fillNetwork(rd, v)
		case "sandbox":
			i.fillIdentity(rd, v)
		case "endpoint":
			i.fillEndpoint(rd, v)
		case "host":
			i.fillHost(rd, v)
		case "policy":
			i.fillPolicy(rd, v)
		}
		i.failed = i.failed || rd.failed
		i.read = !i.failed
	})
}

// eachReading evaluates a body for each of the instances that still need it. What does
// not differ between instances is evaluated once.
func (s *scope) eachReading(b *body, list []*instance, want func(string) bool, need func(*instance) bool, then func(*instance, *reading, *values)) {
	var ctx *hcl.EvalContext
	for _, i := range list {
		if !need(i) {
			continue
		}
		if ctx == nil {
			ctx = s.context(references(b.traversals(func(name string) bool { return want(name) && name != "lifecycle" })))
			if len(list) > 1 && !b.dynamic {
				b = b.hoisted()
			}
		}
		rd := &reading{run: s.run, ctx: i.context(ctx), refs: map[string]*instance{}}
		then(i, rd, rd.read(b, want))
	}
}

// context is ctx with the instance's each or count.
func (i *instance) context(ctx *hcl.EvalContext) *hcl.EvalContext {
	if i.element.vars == nil {
		return ctx
	}
	child := ctx.NewChild()
	child.Variables = i.element.vars
	return child
}

// decl is where the instance was declared.
func (i *instance) decl(rd *reading, v *values) Decl {
	return Decl{Range: i.header, Ranges: v.src.ranges(), IgnoreChanges: i.life.ignore, Sensitive: rd.sensitive}
}

// owner is the instance's mark.
func (i *instance) owner() state.Owner {
	return state.Owner{Stack: i.scope.stackName, Address: i.addr}
}

// protected evaluates prevent_destroy.
func (i *instance) protected(rd *reading) bool {
	if i.life.prevent == nil {
		return false
	}
	ctx := i.context(i.scope.context(references(i.life.prevent.expr.Variables())))
	inner := &reading{run: rd.run, ctx: ctx}
	v := inner.argument(i.life.prevent)
	rd.failed = rd.failed || inner.failed
	for _, w := range inner.waits {
		rd.fail(pendingFault(i, w))
	}
	return v != cty.NilVal && v.True()
}

// value is the instance as references see it.
func (i *instance) value() cty.Value {
	if phase := i.scope.phase(); i.valPhase != phase {
		i.val, i.valPhase = i.makeValue(), phase
	}
	return i.val
}

// phase counts the choices made, which is when values change.
func (r *run) phase() int {
	switch {
	case r.endpointsChosen:
		return 2
	case r.networksChosen:
		return 1
	}
	return 0
}

func (i *instance) makeValue() cty.Value {
	switch {
	case i.failed:
		return failedValue
	case !i.read:
		v := cty.DynamicVal
		for _, w := range i.waits {
			for _, p := range w.for_ {
				v = v.Mark(p)
			}
		}
		return v
	}
	switch i.kind {
	case "network":
		return discreet(i.networkValue(), i.network.Sensitive)
	case "sandbox":
		return discreet(i.sandboxValue(), i.sandbox.Sensitive)
	case "endpoint":
		return discreet(i.endpointValue(), i.endpoint.Sensitive)
	case "policy":
		return discreet(i.policyValue(), i.policy.Sensitive)
	}
	return i.hostValue()
}

// discreet marks those attributes of a block's value that came from something sensitive.
func discreet(v cty.Value, names []string) cty.Value {
	if len(names) == 0 {
		return v
	}
	attrs := v.AsValueMap()
	for name, a := range attrs {
		if state.Hides(names, name) {
			attrs[name] = a.Mark(sensitiveMark{})
		}
	}
	return cty.ObjectVal(attrs)
}

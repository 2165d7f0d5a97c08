package planner

import (
	"encoding/json"
	"strconv"

	"github.com/cnmctl/cnmctl/drivers/policy"
	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	ctyjson "github.com/zclconf/go-cty/cty/json"
)

// documentVersion is the version of Document: additions raise the minor number, anything
// that an old reader would misread the major one.
const documentVersion = "1.1"

// Document is a plan for machines, in the shape of Terraform's (`terraform show -json`):
// what it has in common with it has the same name.
type Document struct {
	FormatVersion string `json:"format_version"`
	// Version is the cnmctl that made the plan.
	Version string `json:"cnmctl_version"`
	Stack   string `json:"stack"`
	// Hosts are those that the plan has changes for, the one it was made on first; absent in
	// a stack without hosts.
	Hosts []HostChanges `json:"hosts,omitempty"`
	// ResourceChanges are the blocks that change, in the order of their addresses.
	ResourceChanges []ResourceChange `json:"resource_changes"`
	// FlowChanges are flows that policies judge otherwise than before.
	FlowChanges []policy.Change `json:"flow_changes,omitempty"`
	// OutputChanges are root outputs by name.
	OutputChanges map[string]OutputDiff `json:"output_changes"`
	// Namespaces are those of others that the operations go into.
	Namespaces []Space `json:"namespaces,omitempty"`
	// Operations are what will be done to the kernel and the store, in order.
	Operations []Operation `json:"operations"`
	Summary    Summary     `json:"summary"`
}

// ResourceChange is one block and what becomes of it.
type ResourceChange struct {
	Address         state.Address `json:"address"`
	PreviousAddress state.Address `json:"previous_address,omitempty"`
	ModuleAddress   state.Address `json:"module_address,omitempty"`
	// Type is "network", "sandbox", "endpoint", "host" or "policy"; "stack" for what blocks share.
	Type string `json:"type"`
	Name string `json:"name"`
	// Index is the instance's key, a string or a number.
	Index json.RawMessage `json:"index,omitempty"`
	// Host is where the block is, absent for what all hosts share.
	Host   string `json:"host,omitempty"`
	Change Change `json:"change"`
	// Reason is a clause for people: `because key ["w3"] is not in for_each`.
	Reason string `json:"action_reason,omitempty"`
	// Drift: the block was not changed, what is on the host was.
	Drift bool `json:"drift,omitempty"`
	// Objects are the block's objects in the kernel and its claims that change.
	Objects []ObjectChange `json:"objects"`
	// Unchanged counts the block's kernel objects that do not.
	Unchanged int `json:"unchanged_objects"`
}

// Change is before and after. Actions are Terraform's: ["create"], ["update"], ["delete"],
// ["delete", "create"], ["no-op"], ["forget"].
type Change struct {
	Actions []string `json:"actions"`
	// Before and After are attributes by name; null for none, and for a block whose own
	// attributes do not change.
	Before any `json:"before"`
	After  any `json:"after"`
}

// ObjectChange is one object of a block. Fields are those that differ.
type ObjectChange struct {
	Kind   state.Kind  `json:"kind"`
	Place  state.Place `json:"place"`
	Name   string      `json:"name"`
	Change Change      `json:"change"`
	Fields []Field     `json:"fields,omitempty"`
	Reason string      `json:"reason,omitempty"`
	// With is the object whose operation makes or takes this one along.
	With string `json:"with,omitempty"`
}

// Field is an attribute that differs.
type Field struct {
	Name              string `json:"name"`
	Before            any    `json:"before"`
	After             any    `json:"after"`
	ForcesReplacement bool   `json:"forces_replacement,omitempty"`
}

// Operation is one step. Operations of one wave need nothing of each other.
type Operation struct {
	Wave     int           `json:"wave"`
	Action   state.Action  `json:"action"`
	Kind     state.Kind    `json:"kind"`
	Place    state.Place   `json:"place"`
	Name     string        `json:"name"`
	Owner    state.Address `json:"owner,omitempty"`
	Replaces bool          `json:"replaces,omitempty"`
	Along    []string      `json:"along,omitempty"`
	// From is the name that the object has before.
	From string `json:"from,omitempty"`
}

// Summary counts blocks, and objects in the kernel.
type Summary struct {
	Resources Counts `json:"resources"`
	Kernel    Counts `json:"kernel"`
}

// Counts is Count for machines, with Terraform's words.
type Counts struct {
	Add    int `json:"add"`
	Change int `json:"change"`
	Remove int `json:"remove"`
	Forget int `json:"forget,omitempty"`
	Move   int `json:"move,omitempty"`
}

func (c Count) json() Counts { return Counts{c.Add, c.Change, c.Destroy, c.Forget, c.Move} }

// NewDocument is the plan as a document. version is this cnmctl's.
func NewDocument(p *Plan, version string) Document {
	doc := Document{
		FormatVersion: documentVersion, Version: version, Stack: p.Stack, Hosts: p.hostChanges(),
		ResourceChanges: make([]ResourceChange, 0, len(p.Resources)),
		OutputChanges:   map[string]OutputDiff{},
		Operations:      make([]Operation, 0, len(p.Ops)),
		Summary:         Summary{p.Count().json(), p.Kernel().json()},
	}
	for i := range p.Resources {
		doc.ResourceChanges = append(doc.ResourceChanges, p.resourceChange(&p.Resources[i]))
	}
	doc.Namespaces = p.Spaces
	doc.FlowChanges = p.Flows
	for _, o := range p.Outputs {
		doc.OutputChanges[o.Name] = o.diff()
	}
	begin := 0
	for wave, end := range p.Waves {
		for _, op := range p.Ops[begin:end] {
			doc.Operations = append(doc.Operations, operation(wave, op))
		}
		begin = end
	}
	return doc
}

func operation(wave int, op state.Op) Operation {
	o := Operation{Wave: wave, Action: op.Action, Kind: op.Key.Kind, Place: op.Key.Place, Name: op.Key.Name,
		Owner: op.Object().Owner().Address, Replaces: op.Replaces}
	if renames(op) {
		o.From = op.Before.Key().Name
	}
	for _, a := range op.Along {
		o.Along = append(o.Along, a.Key().String())
	}
	return o
}

func (p *Plan) resourceChange(r *Resource) ResourceChange {
	c := ResourceChange{Address: r.Address, PreviousAddress: r.From, Type: "stack", Name: p.Stack, Host: r.Host, Reason: r.Reason,
		Drift: r.Drift, Unchanged: r.Same, Objects: []ObjectChange{}, Change: Change{Actions: r.Action.actions()}}
	if r.Address != "" {
		c.Type, c.Name = labelsOf(r.Address)
		if _, key := blockOf(r.Address); key != "" {
			c.Index = json.RawMessage(key[1 : len(key)-1])
		}
		if m := modulesOf(r.Address); len(m) > 0 {
			c.ModuleAddress = m[len(m)-1]
		}
	}
	for _, it := range p.items(r) {
		switch it.key.Kind {
		case state.KindNetwork, state.KindSandbox, state.KindEndpoint, state.KindHost, state.KindPolicy:
			if o := it.before(); o != nil {
				c.Change.Before = Attributes(o)
			}
			if o := it.after(); o != nil {
				c.Change.After = Attributes(o)
			}
		default:
			c.Objects = append(c.Objects, it.change())
		}
	}
	return c
}

// actions are Terraform's words for what becomes of a block.
func (a ResourceAction) actions() []string {
	switch a {
	case ReplaceResource:
		return []string{"delete", "create"}
	case MoveResource:
		return []string{"no-op"}
	}
	return []string{string(a)}
}

// before is the live object of an item, after the wanted one.
func (it *item) before() state.Object {
	if it.updated != nil {
		return it.updated.Before
	}
	return it.taken
}

func (it *item) after() state.Object {
	if it.updated != nil {
		return it.updated.After
	}
	return it.made
}

func (it *item) change() ObjectChange {
	c := ObjectChange{Kind: it.key.Kind, Place: it.key.Place, Name: it.key.Name}
	if o := it.before(); o != nil {
		c.Change.Before = Attributes(o)
	}
	if o := it.after(); o != nil {
		c.Change.After = Attributes(o)
	}
	op := it.updated
	switch {
	case op != nil && forgets(*op):
		c.Change.Actions = []string{"forget"}
	case op != nil:
		c.Change.Actions = []string{"update"}
	case it.taken != nil && it.made != nil:
		c.Change.Actions, op = []string{"delete", "create"}, it.madeBy
	case it.made != nil:
		c.Change.Actions, op = []string{"create"}, it.madeBy
	default:
		c.Change.Actions, op = []string{"delete"}, it.takenBy
	}
	if op.Key != it.key && op.Action != state.Update {
		c.With = op.Key.String()
		return c
	}
	c.Reason = op.Reason
	for _, f := range op.Delta.Fields {
		c.Fields = append(c.Fields, Field{f.Name, literal(f.Old), literal(f.New), f.Fixed})
	}
	return c
}

// Attributes are an object's attributes by name, for machines.
func Attributes(o state.Object) map[string]any {
	m := map[string]any{}
	if f, ok := o.(state.File); ok {
		m["content"] = f.Content
		return m
	}
	for _, a := range o.Attrs() {
		m[a.Name] = literal(a.Shown())
	}
	return m
}

// literal is the value of a literal of the language for JSON; "" is null, and what is no
// literal (a reference, a rule of nftables) stays text.
func literal(text string) any {
	if text == "" {
		return nil
	}
	switch text[0] {
	case '"':
		if s, err := strconv.Unquote(text); err == nil {
			return s
		}
	case '{', '[':
		if v, ok := evaluate(text); ok {
			return v
		}
	}
	if json.Valid([]byte(text)) {
		return json.RawMessage(text)
	}
	return text
}

// evaluate reads a collection as JSON or as an expression of the language.
func evaluate(text string) (json.RawMessage, bool) {
	if json.Valid([]byte(text)) {
		return json.RawMessage(text), true
	}
	expr, diags := hclsyntax.ParseExpression([]byte(text), "", hcl.InitialPos)
	if diags.HasErrors() {
		return nil, false
	}
	v, diags := expr.Value(nil)
	if diags.HasErrors() {
		return nil, false
	}
	b, err := ctyjson.Marshal(v, v.Type())
	return b, err == nil
}

// Package planner decides: Allocate chooses what a configuration leaves open, Diff finds
// what has to change, and a Plan says it to people, files and the applier. It is pure.
package planner

import (
	"github.com/cnmctl/cnmctl/drivers/policy"
	"github.com/cnmctl/cnmctl/state"
)

// Plan is everything that one run changes, in order. It is pure data: it is printed, saved
// and run, and nothing is decided after it.
type Plan struct {
	Stack string
	// Ops in an order in which each may run after all before it.
	Ops []state.Op
	// Waves cuts Ops into runs whose members need nothing of each other, so that a target
	// may batch them: Waves[i] is the index after the last op of wave i.
	Waves []int
	// Resources are the same operations as a user thinks of them: by block, in the order of
	// addresses. Blocks without operations are left out.
	Resources []Resource
	// Outputs are the root outputs that change.
	Outputs []OutputChange
	// Flows are those that policies, or networks among themselves, judge otherwise than before.
	Flows []policy.Change
	// Spaces are the namespaces of others that the operations go into, in order of name.
	Spaces []Space
	// Destroy: everything goes because that was asked for, so no reasons are given.
	Destroy bool
	// Host is the one that the plan was made on, Others are those that it has changes for
	// too; in a stack without hosts there is neither.
	Host   string
	Others []OtherHost

	// sequel is what the ops of a way back wait for; nil in other plans.
	sequel *sequel
}

// Space is a namespace of somebody else: what the configuration calls it, and which one that
// was when the plan was made ("process 4242, net:[4026532281]").
type Space struct {
	Name string `json:"name"`
	Is   string `json:"is"`
}

// ResourceAction is what becomes of a block.
type ResourceAction string

// What can become of a block.
const (
	CreateResource  ResourceAction = "create"
	UpdateResource  ResourceAction = "update"
	ReplaceResource ResourceAction = "replace"
	DeleteResource  ResourceAction = "delete"
	// ForgetResource: what there is stays, without our mark.
	ForgetResource ResourceAction = "forget"
	// MoveResource: nothing changes but the block's address.
	MoveResource ResourceAction = "move"
)

// Resource is one block and what becomes of it.
type Resource struct {
	// Address is the block's; "" for what belongs to the stack as a whole (its ruleset).
	Address state.Address
	Action  ResourceAction
	// From is the address that the block had before a move.
	From state.Address `json:",omitempty"`
	// Reason is a clause: "key [\"w3\"] is not in for_each".
	Reason string `json:",omitempty"`
	// Follows: all that changes is the names of other blocks that have moved.
	Follows bool `json:",omitempty"`
	// Drift: the record is as wanted, the kernel is not.
	Drift bool `json:",omitempty"`
	// Host is where the block is; "" for what all hosts share.
	Host string `json:",omitempty"`
	// Record says which of Parts is the block's own record, -1 when it does not change.
	Record int
	// Parts are the operations on the block's objects, in the order of Plan.Ops.
	Parts []Part
	// Same counts the block's kernel objects that stay as they are.
	Same int `json:",omitempty"`
}

// Part is one object's share in a resource's change.
type Part struct {
	// Op is an index into Plan.Ops.
	Op int
	// Along is an index into the op's Along, or -1 for the op's own object.
	Along int
}

// Empty reports that the plan changes nothing at all.
func (p *Plan) Empty() bool { return len(p.Ops) == 0 && len(p.Outputs) == 0 }

// Count is how many things a plan adds, changes and destroys; a replacement is one to add
// and one to destroy.
type Count struct{ Add, Change, Destroy, Forget, Move int }

// Count counts the resources, for the line that ends a plan.
func (p *Plan) Count() Count {
	var c Count
	for _, r := range p.Resources {
		if r.Address == "" || r.Follows {
			continue
		}
		switch r.Action {
		case CreateResource:
			c.Add++
		case UpdateResource:
			c.Change++
		case DeleteResource:
			c.Destroy++
		case ReplaceResource:
			c.Add++
			c.Destroy++
		case ForgetResource:
			c.Forget++
		case MoveResource:
			c.Move++
		}
	}
	return c
}

// Kernel counts the kernel objects, those taken along by others too.
func (p *Plan) Kernel() Count {
	var c Count
	changed := map[state.Key]bool{}
	for _, op := range p.Ops {
		if !op.Key.Place.InKernel() {
			continue
		}
		switch op.Action {
		case state.Create:
			c.Add += 1 + len(op.Along)
		case state.Update:
			if forgets(op) {
				c.Forget++
			} else if !changed[op.Key] {
				c.Change++
			}
			changed[op.Key] = true // there may be two steps to it
		case state.Delete:
			c.Destroy += 1 + len(op.Along)
		}
	}
	return c
}

// forgets reports that the op takes our mark away and leaves the object.
func forgets(op state.Op) bool {
	return op.Action == state.Update && op.After.Owner() == state.Owner{}
}

package state

// Action is what an Op does to its object.
type Action string

// The actions. A replacement is a delete and a create of one key.
const (
	Create Action = "create"
	Update Action = "update"
	Delete Action = "delete"
)

// Op is one operation on one object: pure data, which is printed, saved and handed to a
// target to run. Every op is idempotent: creating what is there already as wanted and
// deleting what is gone are successes.
type Op struct {
	Action Action
	Key    Key
	// Before is the live object (nil for a create), After the wanted one (nil for a
	// delete).
	Before, After Object
	// Along are the objects that the kernel makes (create) or takes away (delete) with
	// this one. They have no op of their own.
	Along []Object
	// Delta says what an update changes, or why a replacement is one.
	Delta Delta
	// Reason is one clause for the plan: "key [\"w3\"] is not in for_each", "changed
	// outside of cnmctl"; empty when the fields say it all.
	Reason string
	// Replaces: this create or delete is half of a replacement.
	Replaces bool
}

// Object is the wanted object, or the live one of a delete.
func (o Op) Object() Object {
	if o.After != nil {
		return o.After
	}
	return o.Before
}

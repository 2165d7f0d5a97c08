package state

import (
	"reflect"
	"slices"
)

// Object is anything that cnmctl can see or want. Objects are values: nobody changes
// one after it was put into a World.
type Object interface {
	// Key identifies the object, wanted and live alike.
	Key() Key
	// Owner says whose it is.
	Owner() Owner
	// Needs lists what must exist before the object and outlive it.
	Needs() []Key
	// Inside lists what takes the object along when it is deleted: a namespace takes
	// all in it, a link its addresses, a veth end its peer. What is inside something
	// usually needs it too; a veth's peer is the exception.
	Inside() []Key
	// Attrs are the managed attributes in the order in which a plan shows them. An
	// attribute that the configuration leaves to the kernel is left out of a wanted
	// object: a kernel default is not a zero value.
	Attrs() []Attr
}

// MadeAlong is implemented by objects that the kernel makes together with another one,
// in one message: the second end of a veth pair.
type MadeAlong interface {
	// MadeBy is the object whose creation makes this one, and whether there is one.
	MadeBy() (Key, bool)
}

// Unique is implemented by objects that hold something which only one object can hold
// at a time although their keys differ: two bridges with one connected route, two
// tunnels with one VNI. Who frees it goes before who takes it.
type Unique interface {
	// Holds names what is held, in words that are the same for each taker.
	Holds() []string
}

// Differ is implemented by objects whose attributes are not compared name by name: the
// lines of a ruleset, which move when one is added.
type Differ interface {
	// Differences lists how the live object differs from this wanted one.
	Differences(live Object) []Field
}

// Attr is one managed attribute: its name in the plan, its value as a literal of the
// language (strings quoted), and whether changing it means making the object anew.
type Attr struct {
	Name  string
	Value string
	Fixed bool
	// Quiet hides the attribute from a plan that creates or destroys the object; it is
	// shown when it changes.
	Quiet bool
	// Hidden: the value is sensitive, see Shown.
	Hidden bool
}

// Field is one attribute that differs. Old is "" where the live object has none, New
// where the wanted one has none.
type Field struct {
	Name     string
	Old, New string
	Fixed    bool
}

// Delta is what Compare finds. No fields: the same. Replace: an attribute differs that
// cannot be changed on a live object.
type Delta struct {
	Fields  []Field
	Replace bool
}

// Same reports that nothing differs.
func (d Delta) Same() bool { return len(d.Fields) == 0 }

// Compare tells how the live object differs from the wanted one, looking only at what
// the wanted one manages.
func Compare(want, live Object) Delta {
	if equal(want, live) {
		return Delta{}
	}
	fields := differences(want, live)
	return Delta{Fields: fields, Replace: slices.ContainsFunc(fields, func(f Field) bool { return f.Fixed })}
}

func differences(want, live Object) []Field {
	if d, ok := want.(Differ); ok {
		return d.Differences(live)
	}
	have := make(map[string]string, 8)
	for _, a := range live.Attrs() {
		have[a.Name] = a.Value
	}
	var fields []Field
	for _, a := range want.Attrs() {
		if old := have[a.Name]; old != a.Value {
			fields = append(fields, Field{Name: a.Name, Old: old, New: a.Value, Fixed: a.Fixed})
		}
		delete(have, a.Name)
	}
	if want.Key().Place == Store { // what a record does not say is not left to anybody
		for _, a := range live.Attrs() {
			if old, unsaid := have[a.Name]; unsaid {
				fields = append(fields, Field{Name: a.Name, Old: old, Fixed: a.Fixed})
			}
		}
	}
	return masked(fields, want, live)
}

// equal is the cheap answer for the common case: two that are alike to the last field.
func equal(a, b Object) bool {
	switch a := a.(type) {
	case Link:
		b, ok := b.(Link)
		a.Guard, b.Guard, a.Giver, b.Giver = Key{}, Key{}, Key{}, Key{}
		return ok && a == b
	case Sysctl:
		b, ok := b.(Sysctl)
		a.Guard, b.Guard = Key{}, Key{}
		return ok && a == b
	case Route:
		b, ok := b.(Route)
		a.Yields, b.Yields = false, false
		return ok && a == b
	case IPAddress, Rule, Neighbor, FDB, Qdisc, Redirect, Namespace, File, Claim, HostRecord, IPsecState, IPsecPolicy, Keyring:
		return a == b
	case Network, Sandbox, Endpoint:
		return reflect.DeepEqual(a, b)
	}
	return false
}

// World maps keys to objects: what is, or what is wanted.
type World map[Key]Object

// Add puts objects into the world; the last with a key stays.
func (w World) Add(objects ...Object) {
	for _, o := range objects {
		w[o.Key()] = o
	}
}

// Keys lists the world's keys in order.
func (w World) Keys() []Key {
	keys := make([]Key, 0, len(w))
	for k := range w {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, CompareKeys)
	return keys
}

// KeysOf are those of some kinds, in order.
func (w World) KeysOf(kinds ...Kind) []Key {
	var keys []Key
	for k := range w {
		if slices.Contains(kinds, k.Kind) {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, CompareKeys)
	return keys
}

// Foreign stands in a live World for a name taken by something that is not this
// stack's. It is neither changed nor deleted; in the way, it is an error that says What.
type Foreign struct {
	K Key
	// What says what is there, for the message: "a bridge that cnmctl did not make",
	// "a link of stack shop (network.front)".
	What string
	// Type is the link's type when K is a link, so that adopting it can be checked.
	Type LinkType
	// MTU is a link's, which those that sit on it take from it.
	MTU int `json:",omitempty"`
	// Table is a VRF's.
	Table uint32 `json:",omitempty"`
	// Stack is the stack that has made it, "" when none has.
	Stack string `json:",omitempty"`
	// Barred says why a sandbox cannot be in K, a namespace that one is to be in: there is
	// none, or it is one that cnmctl must not go about like this. "" when it can.
	Barred string
	// Down: K is a link that is down.
	Down bool `json:",omitempty"`
}

// Key, Owner, Needs, Inside and Attrs make Foreign an Object that manages nothing.
func (f Foreign) Key() Key      { return f.K }
func (f Foreign) Owner() Owner  { return Owner{} }
func (f Foreign) Needs() []Key  { return nil }
func (f Foreign) Inside() []Key { return nil }
func (f Foreign) Attrs() []Attr { return nil }

// Adopted stands in a wanted World for a foreign link that the configuration builds on
// with adopt = true, or that routes go out by, or for a foreign namespace that a sandbox is
// in: it must be there, a link be of the type ("" is any), and is never changed or deleted.
type Adopted struct {
	K     Key
	Type  LinkType
	Asker Owner
}

// Key, Owner, Needs, Inside and Attrs make Adopted an Object that manages nothing.
func (a Adopted) Key() Key      { return a.K }
func (a Adopted) Owner() Owner  { return a.Asker }
func (a Adopted) Needs() []Key  { return nil }
func (a Adopted) Inside() []Key { return nil }
func (a Adopted) Attrs() []Attr { return nil }

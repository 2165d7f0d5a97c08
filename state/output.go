package state

import (
	"bytes"
	"encoding/json"
	"strings"
)

// Output is a root output as an apply has saved it. Nothing in the kernel follows from it:
// the store keeps it for those who ask, and for the next plan to say what becomes of it.
type Output struct {
	Mark Owner
	// Type and Value are JSON as go-cty writes it. They are written without blanks, so that
	// equal values are equal texts.
	Type, Value json.RawMessage
	// Sensitive: the value is shown only to who asks for it by name.
	Sensitive bool `json:",omitempty"`
	// Of are the blocks and modules that the value comes from. It is for a plan that is made
	// for some blocks only, and is not stored.
	Of []Address `json:"-"`
}

// outputWord begins the address of an output.
const outputWord = "output."

// OutputAddress is the address of the output called name.
func OutputAddress(name string) Address { return Address(outputWord + name) }

// Name is the output's name.
func (o Output) Name() string { return strings.TrimPrefix(string(o.Mark.Address), outputWord) }

// Key is the output's address.
func (o Output) Key() Key { return RecordKey(KindOutput, o.Mark.Address) }

// Owner is the output itself.
func (o Output) Owner() Owner { return o.Mark }

// Needs is nothing: an output outlives what it speaks of.
func (o Output) Needs() []Key { return nil }

// Inside is nothing.
func (o Output) Inside() []Key { return nil }

// Attrs are the value, if it may be shown, and its type.
func (o Output) Attrs() []Attr {
	return []Attr{{Name: "value", Value: o.shown()}, {Name: "type", Value: string(o.Type), Quiet: true}, boolAttr("sensitive", o.Sensitive).quiet()}
}

// Differences compares the values themselves, also those that are not shown.
func (o Output) Differences(live Object) (fields []Field) {
	l, ok := live.(Output)
	if !ok || !bytes.Equal(o.Value, l.Value) {
		fields = append(fields, Field{Name: "value", Old: l.shown(), New: o.shown()})
	}
	if !bytes.Equal(o.Type, l.Type) {
		fields = append(fields, Field{Name: "type", Old: string(l.Type), New: string(o.Type)})
	}
	if o.Sensitive != l.Sensitive {
		fields = append(fields, Field{Name: "sensitive", Old: boolAttr("", l.Sensitive).Value, New: boolAttr("", o.Sensitive).Value})
	}
	return fields
}

func (o Output) shown() string {
	if o.Sensitive {
		return HiddenValue
	}
	return string(o.Value)
}

// Open reports that part of the value is still to be given by a plugin.
func (o Output) Open() bool { return HoldsAssigned(string(o.Value)) }

package consul

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/cnmctl/cnmctl/state"
)

// encode writes an object as a person wants to read it: one line of JSON, in the order in
// which the record is declared, without what it says nothing about.
func encode(o state.Object) ([]byte, error) {
	said, err := fields(o)
	if err != nil {
		return nil, fmt.Errorf("encoding %s: %w", o.Key(), err)
	}
	nothing, err := fields(emptyLike(o))
	if err != nil {
		return nil, err
	}
	unsaid := map[string]string{}
	for _, f := range nothing {
		unsaid[f.name] = string(f.value)
	}
	var parts [][]byte
	for _, f := range said {
		if value, known := unsaid[f.name]; !known || value != string(f.value) {
			parts = append(parts, slices.Concat([]byte(`"`+f.name+`":`), f.value))
		}
	}
	return slices.Concat([]byte("{"), bytes.Join(parts, []byte(",")), []byte("}")), nil
}

// emptyLike is the zero value of the object's type.
func emptyLike(o state.Object) state.Object {
	switch o.(type) {
	case state.Claim:
		return state.Claim{}
	case state.Network:
		return state.Network{}
	case state.Endpoint:
		return state.Endpoint{}
	case state.HostRecord:
		return state.HostRecord{}
	case state.Output:
		return state.Output{}
	case state.Policy:
		return state.Policy{}
	case state.Pool:
		return state.Pool{}
	case state.Lease:
		return state.Lease{}
	case state.Allocation:
		return state.Allocation{}
	case state.Keyring:
		return state.Keyring{}
	}
	return state.Sandbox{}
}

// field is a field of a record, whose name is that of a Go struct's field and needs no
// escapes, and its value as JSON.
type field struct {
	name  string
	value json.RawMessage
}

// fields lists the fields of an object in their order, as JSON.
func fields(o state.Object) ([]field, error) {
	text, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	var all []field
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, err
		}
		f := field{name: fmt.Sprint(name)}
		if err := dec.Decode(&f.value); err != nil {
			return nil, err
		}
		all = append(all, f)
	}
	return all, nil
}

// decode reads what encode wrote. It never guesses: what it does not understand, or what
// is not where it belongs, is an error.
func (l layout) decode(key string, text []byte, stack string) (state.Object, error) {
	o, err := decodeKind(l.kind(key), text)
	if err != nil {
		return nil, &valueError{key, err}
	}
	owner := o.Owner()
	if strings.HasPrefix(key, l.vnis) && owner.Stack != "" {
		stack = owner.Stack // whoever it is
	}
	if ring, is := o.(state.Keyring); is {
		if err := ring.Check(); err != nil {
			return nil, &valueError{key, err}
		}
	}
	if owner.Stack != stack || (owner.Address == "") != (o.Key() == state.KeyringKey()) {
		return nil, &valueError{key, fmt.Errorf("it belongs to %q of stack %q", owner.Address, owner.Stack)}
	}
	if belongs, err := l.key(o); err != nil || belongs != key {
		return nil, &valueError{key, fmt.Errorf("what it says belongs to %s", belongs)}
	}
	return o, nil
}

func decodeKind(kind state.Kind, text []byte) (state.Object, error) {
	switch kind {
	case state.KindClaim:
		return strictly[state.Claim](text)
	case state.KindNetwork:
		return strictly[state.Network](text)
	case state.KindEndpoint:
		return strictly[state.Endpoint](text)
	case state.KindHost:
		return strictly[state.HostRecord](text)
	case state.KindOutput:
		return strictly[state.Output](text)
	case state.KindPolicy:
		return strictly[state.Policy](text)
	case state.KindPool:
		return strictly[state.Pool](text)
	case state.KindLease:
		return strictly[state.Lease](text)
	case state.KindAllocation:
		return strictly[state.Allocation](text)
	case state.KindKeyring:
		return strictly[state.Keyring](text)
	}
	return strictly[state.Sandbox](text)
}

// strictly decodes one JSON value. A field that we do not know is one that a newer cnmctl
// wrote, and we would lose it.
func strictly[T any](text []byte) (v T, err error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&v); err != nil {
		return v, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return v, errors.New("there is more after the record")
	}
	return v, nil
}

// valueError is about a value in Consul that cnmctl does not understand.
type valueError struct {
	key string
	err error
}

func (e *valueError) Error() string {
	return fmt.Sprintf("reading %s in Consul: %v. A newer cnmctl wrote it, or somebody else did; "+
		"look at it with 'consul kv get \"%s\"', and use that cnmctl, or move the key away", e.key, e.err, e.key)
}

func (e *valueError) Unwrap() error { return e.err }

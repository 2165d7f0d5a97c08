package consul

import (
	"maps"
	"slices"

	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/consul/api"
)

// change is what has to be written so that Consul holds an object as it should.
type change struct {
	// ops go together.
	ops api.TxnOps
	// key is the object that the change is for.
	key state.Key
}

// deletes reports that the change leaves nothing.
func (c change) deletes() bool {
	return !slices.ContainsFunc(c.ops, func(op *api.TxnOp) bool { return op.KV != nil && op.KV.Verb == api.KVCAS })
}

// merge puts what else there is to change of an object into the same transaction.
func merge(changes, more []change) []change {
	at := make(map[state.Key]int, len(changes))
	if len(more) > 0 {
		for i, c := range changes {
			at[c.key] = i
		}
	}
	for _, c := range more {
		if i, there := at[c.key]; there {
			changes[i].ops = append(changes[i].ops, c.ops...)
		} else {
			changes = append(changes, c)
		}
	}
	return changes
}

// The order in which a change of many keys is written: who loses a race for a claim has
// written nothing yet, and what is released is free when nothing speaks of it any more.
const (
	claiming = iota
	writing
	removing
	releasing
	phases
)

// changes compares what was read with what shall be, for the keys that the wave is about.
// What is there as wanted needs no change, so a wave that was written in part, or twice,
// is completed.
func (s *Store) changes(t tree, after state.World, wave []state.Op) ([]change, error) {
	var byPhase [phases][]change
	seen := map[state.Key]bool{}
	for _, op := range wave {
		k := op.Key
		if seen[k] {
			continue
		}
		seen[k] = true
		ops, err := s.changesOf(t, after[k], k)
		if err != nil {
			return nil, err
		}
		p := phase(k.Kind, after[k] == nil)
		if len(ops) > 0 {
			byPhase[p] = append(byPhase[p], change{ops, k})
		}
	}
	return slices.Concat(byPhase[:]...), nil
}

func phase(kind state.Kind, gone bool) int {
	switch claim := kind == state.KindClaim; {
	case claim && gone:
		return releasing
	case claim:
		return claiming
	case gone:
		return removing
	}
	return writing
}

// changesOf writes the object where it belongs and removes it from wherever else it is.
func (s *Store) changesOf(t tree, want state.Object, k state.Key) (api.TxnOps, error) {
	var ops api.TxnOps
	place := ""
	if want != nil {
		var err error
		if place, err = s.keys.key(want); err != nil {
			return nil, err
		}
		value, err := encode(want)
		if err != nil {
			return nil, err
		}
		if live, there := t.entries[place]; !there || live.value != string(value) {
			ops = append(ops, s.set(place, value, live.index))
		}
	}
	for _, old := range t.places[k] {
		if old != place {
			ops = append(ops, s.unset(old, t.entries[old].index))
		}
	}
	if len(ops) > 0 {
		ops = append(ops, s.attach(t.world[k], want)...)
	}
	return ops, nil
}

// attach writes where an endpoint is attached, and removes where it was.
func (s *Store) attach(live, want state.Object) (ops api.TxnOps) {
	was, is := s.keys.attached(live), s.keys.attached(want)
	if was != "" && was != is {
		ops = append(ops, s.op(api.KVDelete, was))
	}
	if is != "" && (was != is || live.(state.Endpoint).Sandbox != want.(state.Endpoint).Sandbox) {
		op := s.op(api.KVSet, is)
		op.KV.Value = []byte(want.(state.Endpoint).Sandbox)
		ops = append(ops, op)
	}
	return ops
}

// set writes a key if it is as it was read; index 0: if there is none.
func (s *Store) set(key string, value []byte, index uint64) *api.TxnOp {
	op := s.op(api.KVCAS, key)
	op.KV.Value, op.KV.Index = value, index
	return op
}

// unset deletes a key if it is as it was read.
func (s *Store) unset(key string, index uint64) *api.TxnOp {
	op := s.op(api.KVDeleteCAS, key)
	op.KV.Index = index
	return op
}

// emptied reports that nothing of ours is left after the changes.
func (s *Store) emptied(keys []string, changes []change) bool {
	left := map[string]bool{}
	for _, k := range keys {
		if s.keys.kind(k) != "" {
			left[k] = true
		}
	}
	for _, c := range changes {
		for _, op := range c.ops {
			if op.KV != nil {
				delete(left, op.KV.Key)
			}
		}
	}
	return len(left) == 0
}

// places lists the keys at which the objects of a wave are or will be.
func (s *Store) places(wave []state.Op) ([]string, error) {
	keys := map[string]bool{}
	for _, op := range wave {
		for _, o := range []state.Object{op.Before, op.After} {
			if o == nil || !op.Key.Place.Kept() {
				continue
			}
			k, err := s.keys.key(o)
			if err != nil {
				return nil, err
			}
			keys[k] = true
		}
	}
	return slices.Sorted(maps.Keys(keys)), nil
}

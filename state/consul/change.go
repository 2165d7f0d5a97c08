package consul

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/consul/api"
)

// change is what has to be written so that Consul holds what it should.
type change struct {
	op *api.TxnOp
	// key is the object that the change is for.
	key state.Key
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
		for _, o := range ops {
			byPhase[p] = append(byPhase[p], change{o, k})
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
func (s *Store) changesOf(t tree, want state.Object, k state.Key) ([]*api.TxnOp, error) {
	var ops []*api.TxnOp
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
	return ops, nil
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

// Revision says how often the stack's records were changed, and by whom last.
type Revision struct {
	Serial uint64
	When   time.Time
	From   string
}

// bump is the change of the revision that ends every change; with the stack's last record
// the revision goes too.
func (s *Store) bump(t tree, gone bool) (*api.TxnOp, error) {
	if gone { // if there is none, this says that there shall be none
		return s.unset(s.keys.revision(), t.revision.index), nil
	}
	var r Revision
	if t.revision.index > 0 {
		var err error
		if r, err = strictly[Revision]([]byte(t.revision.value)); err != nil {
			return nil, &valueError{s.keys.revision(), err}
		}
	}
	value, err := json.Marshal(Revision{r.Serial + 1, time.Now().UTC().Truncate(time.Millisecond), s.who})
	if err != nil {
		return nil, err
	}
	return s.set(s.keys.revision(), value, t.revision.index), nil
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
		if c.op.KV.Verb != api.KVDeleteCAS {
			return false
		}
		delete(left, c.op.KV.Key)
	}
	return len(left) == 0
}

// places lists the keys at which the objects of a wave are or will be.
func (s *Store) places(wave []state.Op) ([]string, error) {
	keys := map[string]bool{}
	for _, op := range wave {
		for _, o := range []state.Object{op.Before, op.After} {
			if o == nil || op.Key.Place != state.Store {
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

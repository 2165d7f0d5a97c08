package consul

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/consul/api"
)

// Revision says how often the stack's records were changed, and by whom last. All hosts
// are sent it with each change, so it says also which records changed lately: who is not
// concerned reads nothing more.
type Revision struct {
	Serial uint64
	When   time.Time
	From   string
	// Changes are the latest, in order.
	Changes []state.Change `json:",omitempty"`
	// Begun is a change of several transactions that is not done. Its writer may be dead;
	// the next one's change takes it in.
	Begun *state.Change `json:",omitempty"`
}

// How much a revision says of changes. A change of many keys is told by the directories
// that they are in.
const (
	mostPerChange  = 1000 // bytes
	mostPerJournal = 2000
)

// edition is the revision as it was read, with the index of its key.
type edition struct {
	Revision
	index uint64
}

func (s *Store) edition(e entry) (edition, error) {
	if e.index == 0 {
		return edition{}, nil
	}
	r, err := strictly[Revision]([]byte(e.value))
	if err != nil {
		return edition{}, &valueError{s.keys.revision(), err}
	}
	return edition{r, e.index}, nil
}

// news is the edition for readers. A change that was begun has not made a revision yet.
func (e edition) news() state.News {
	n := state.News{Revision: state.Revision{Serial: e.Serial, Index: e.index}, Changes: e.Changes, Begun: e.Begun != nil}
	if e.Begun != nil {
		n.Index = e.Begun.After
	}
	return n
}

// with is the change of the keys, beside what was begun before.
func (e edition) with(keys []string) state.Change {
	if e.Begun != nil {
		keys = slices.Concat(keys, e.Begun.Keys)
	}
	return state.Change{After: e.news().Index, Keys: brief(keys)}
}

// begin is the edition that says what is about to change.
func (e edition) begin(keys []string) Revision {
	begun := e.with(keys)
	r := e.Revision
	r.Begun = &begun
	return r
}

// end is the edition of what has changed.
func (e edition) end(keys []string, who string) Revision {
	r := Revision{e.Serial + 1, time.Now().UTC().Truncate(time.Millisecond), who, append(slices.Clone(e.Changes), e.with(keys)), nil}
	size := 0
	for i, c := range slices.Backward(r.Changes) {
		if size += bytesOf(c); size > mostPerJournal && i < len(r.Changes)-1 {
			r.Changes = r.Changes[i+1:]
			break
		}
	}
	return r
}

// brief says keys by their directories if they are many.
func brief(keys []string) []string {
	for keys = slices.Clone(keys); ; {
		slices.Sort(keys)
		keys = slices.Compact(keys)
		keys = slices.DeleteFunc(keys, func(k string) bool {
			dir := parent(k)
			for ; dir != ""; dir = parent(dir) {
				if _, told := slices.BinarySearch(keys, dir); told {
					return true
				}
			}
			return false
		})
		if bytesOf(state.Change{Keys: keys}) <= mostPerChange {
			return keys
		}
		up := make([]string, len(keys))
		for i, k := range keys {
			if up[i] = k; strings.Count(parent(k), "/") > 0 {
				up[i] = parent(k)
			}
		}
		keys = up
	}
}

// parent is the directory of a key, or of a directory; "" for the topmost.
func parent(key string) string {
	return key[:strings.LastIndex(strings.TrimSuffix(key, "/"), "/")+1]
}

func bytesOf(c state.Change) int {
	n := 40
	for _, k := range c.Keys {
		n += len(k) + 3
	}
	return n
}

// revise writes the revision's key.
func (s *Store) revise(r Revision, index uint64) (*api.TxnOp, error) {
	value, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	return s.set(s.keys.revision(), value, index), nil
}

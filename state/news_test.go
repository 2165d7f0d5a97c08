package state_test

import (
	"slices"
	"testing"

	"github.com/cnmctl/cnmctl/state"
)

func TestNewsSince(t *testing.T) {
	news := state.News{
		Revision: state.Revision{Serial: 7, Index: 90},
		Changes:  []state.Change{{After: 50, Keys: []string{"a"}}, {After: 60, Keys: []string{"b"}}, {After: 80, Keys: []string{"c", "d"}}},
	}
	for name, c := range map[string]struct {
		known state.Revision
		keys  []string
		ok    bool
	}{
		"this one":           {state.Revision{Serial: 7, Index: 90}, nil, true},
		"the one before":     {state.Revision{Serial: 6, Index: 80}, []string{"c", "d"}, true},
		"some before":        {state.Revision{Serial: 4, Index: 50}, []string{"c", "d", "b", "a"}, true},
		"too long ago":       {state.Revision{Serial: 3, Index: 40}, nil, false},
		"nothing":            {state.Revision{}, nil, false},
		"another time's":     {state.Revision{Serial: 12, Index: 80}, nil, false},
		"one that is to be":  {state.Revision{Serial: 8, Index: 95}, nil, false},
		"one between others": {state.Revision{Serial: 6, Index: 70}, nil, false},
	} {
		keys, ok := news.Since(c.known)
		if ok != c.ok || ok && !slices.Equal(keys, c.keys) {
			t.Errorf("%s: %v, %v", name, keys, ok)
		}
	}
	if _, ok := (state.News{}).Since(state.Revision{Serial: 1, Index: 5}); ok {
		t.Error("the end of a stack is not told of by its last changes")
	}
	first := state.News{Revision: state.Revision{Serial: 1, Index: 9}, Changes: []state.Change{{Keys: []string{"a"}}}}
	if _, ok := first.Since(state.Revision{}); ok {
		t.Error("of nothing, nothing is known")
	}
}

package consul

import (
	"testing"
	"time"
)

// Hosts have some seconds, more while they go on putting back, and all of it again when the
// store loses its data once more.
func TestSettling(t *testing.T) {
	start := time.Now()
	for name, steps := range map[string][]struct {
		after  time.Duration
		index  uint64
		claims uint64
		over   bool
	}{
		"quiet":    {{0, 0, 0, false}, {0, 5, 0, false}, {settlingFor - 1, 5, 0, false}, {settlingFor, 5, 0, true}},
		"put back": {{0, 5, 0, false}, {settlingFor - 1, 5, 2, false}, {settlingFor, 5, 2, false}, {settlingFor - 1 + quietFor, 5, 2, true}},
		"no end":   {{0, 5, 0, false}, {settlingAtMost - 1, 5, 1, false}, {settlingAtMost, 5, 2, true}},
		"lost":     {{0, 5, 0, false}, {settlingFor - 1, 0, 0, false}, {settlingFor, 4, 0, false}, {2*settlingFor - 1, 4, 0, false}, {2 * settlingFor, 4, 0, true}},
	} {
		var w settling
		for i, s := range steps {
			if over := w.over(start.Add(s.after), s.index, s.claims); over != s.over {
				t.Errorf("%s, step %d: over is %v", name, i, over)
			}
		}
	}
}

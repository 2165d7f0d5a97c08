package cli

import (
	"fmt"

	"github.com/cnmctl/cnmctl/applier"
)

// storyteller writes a run's progress as JSON lines.
type storyteller struct {
	stream *stream
	blocks *tracker
}

func (t *storyteller) event(e applier.Event) {
	switch {
	case t.stream == nil:
	case e.Plan != nil:
		t.blocks = newTracker(e.Plan)
		t.stream.emit("info", "stage", title(e.Stage), map[string]any{"stage": e.Stage, "operations": e.Total})
	case e.Op == nil:
		t.stream.emit("info", "stage", title(e.Stage), map[string]any{"stage": e.Stage})
	case !e.Ended:
		for _, b := range t.blocks.began(e) {
			t.tell("info", "apply_start", e, b, verbs[b.action].begin, nil)
		}
	default:
		for _, b := range t.blocks.ended(e) {
			if e.Err != nil {
				t.tell("error", "apply_errored", e, b, e.Err.Error(), map[string]any{"error": e.Err.Error()})
				continue
			}
			message := fmt.Sprintf("%s after %s", verbs[b.action].end, seconds(b.took()))
			t.tell("info", "apply_complete", e, b, message, nil)
		}
	}
}

// tell writes one line about a block.
func (t *storyteller) tell(level, kind string, e applier.Event, b *block, message string, more map[string]any) {
	hook := map[string]any{
		"resource": map[string]any{"addr": b.address},
		"action":   b.action,
		"done":     e.Done, "total": e.Total,
	}
	if kind != "apply_start" {
		hook["elapsed_seconds"] = b.took().Seconds()
	}
	for k, v := range more {
		hook[k] = v
	}
	t.stream.emit(level, kind, string(b.address)+": "+message, map[string]any{"hook": hook})
}

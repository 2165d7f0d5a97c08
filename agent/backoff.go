package agent

import (
	"math/rand/v2"
	"time"
)

// The pause after failures grows from the first to the longest.
const (
	firstPause   = 250 * time.Millisecond
	longestPause = 30 * time.Second
)

// Pause is how long to wait after so many failures in a row. It is never the same for two
// agents, so that those who lost one server do not come back together.
func Pause(failures int, random func(time.Duration) time.Duration) time.Duration {
	pause := firstPause
	for range failures - 1 {
		if pause = 2 * pause; pause >= longestPause {
			pause = longestPause
			break
		}
	}
	return pause/2 + random(pause/2)
}

func pauseAfter(failures int) time.Duration { return Pause(failures, rand.N[time.Duration]) }

// sometime is when to tell what nobody waits for.
func sometime() time.Duration { return leisure/2 + rand.N(leisure) }

const leisure = 30 * time.Second

// together is how often a second all agents of a stack may ask for news in the long run.
const together = 2000

// interval is how often one of so many agents may ask; 0 is not known.
func interval(hosts int) time.Duration {
	if hosts == 0 {
		hosts = 1000
	}
	return time.Duration(hosts) * time.Second / together
}

// pace lets some go at once, and then one each interval.
type pace struct {
	interval time.Duration
	burst    int
	// paid is until when those that went have been paid for.
	paid time.Time
}

// wait is how long the next one has to wait, and counts it.
func (p *pace) wait(now time.Time) time.Duration {
	if p.paid.Before(now) {
		p.paid = now
	}
	p.paid = p.paid.Add(p.interval)
	return max(0, p.paid.Sub(now)-time.Duration(p.burst)*p.interval)
}

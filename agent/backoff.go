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

package state

import (
	"math"
	"testing"
	"time"
)

func TestUnits(t *testing.T) {
	for text, want := range map[string]uint64{"10mbit": 1250000, "1.5Gbit": 187500000, "64kbit": 8000, "8kbit": 1000, "3mbps": 3e6, "100 kbit": 12500} {
		if got, err := ParseRate(text); err != nil || got != want {
			t.Errorf("rate %q is %d, %v", text, got, err)
		}
	}
	for rate, want := range map[uint64]string{1250000: "10mbit", 187500000: "1500mbit", 8000: "64kbit", 1: "8bit", 125: "1kbit", 12345: "98760bit"} {
		if got := RateText(rate); got != want {
			t.Errorf("%d is %q, want %q", rate, got, want)
		}
		if back, err := ParseRate(RateText(rate)); rate >= 1000 && (err != nil || back != rate) {
			t.Errorf("%d comes back as %d, %v", rate, back, err)
		}
	}
	for text, want := range map[string]time.Duration{"10ms": 10 * time.Millisecond, "1.5s": 1500 * time.Millisecond, "7us": 7000, "3ns": 3} {
		if got, err := ParseTime(text); err != nil || got != want {
			t.Errorf("time %q is %s, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{"1.5%": "1.5%", "100%": "100%", "0.01 %": "0.01%", "0%": "0%"} {
		if got, err := ParseProbability(text); err != nil || got.String() != want {
			t.Errorf("share %q is %s, %v", text, got, err)
		}
	}
	for text, want := range map[string]uint32{"32kb": 32 << 10, "100b": 100, "1mb": 1 << 20} {
		if got, err := ParseSize(text); err != nil || got != want {
			t.Errorf("size %q is %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "10", "mbit", "-1mbit", "NaNmbit", "0bit", "7kbit", "1e99gbit", "101%", "2h", "9999s", "0b", "10 apples"} {
		if got, err := ParseRate(text); err == nil {
			t.Errorf("rate %q is %d", text, got)
		}
		if got, err := ParseProbability(text); err == nil {
			t.Errorf("share %q is %s", text, got)
		}
		if got, err := ParseTime(text); err == nil {
			t.Errorf("time %q is %s", text, got)
		}
		if got, err := ParseSize(text); err == nil {
			t.Errorf("size %q is %d", text, got)
		}
	}
}

// TestShapes: what the kernel keeps of a burst, by our words or by those of tc(8) of any
// age, is read as what was written.
func TestShapes(t *testing.T) {
	for _, rate := range []uint64{1000, 1001, 8000, 125000, 399999, 400001, 1250000, 1234567, 125e6, 999999999, 1e10, 1e13} {
		for _, burst := range []uint32{0, 1, 1518, 1600, 40001, 1 << 30} {
			s := NewShape(rate, burst, EthernetMTU)
			if s.Burst == 0 || s.Burst < min(burst, uint32(min(rate*longest, 1<<30))) || s.Limit < s.Burst || s.Rate != rate {
				t.Errorf("%d bytes per second, %d at once: %+v", rate, burst, s)
			}
			microseconds := float64(s.Burst) * 1e6 / float64(rate)
			for name, ticks := range map[string]uint32{
				"us": s.Ticks(), "tc": uint32(math.Floor(microseconds) * 15.625), "tc, without cutting": uint32(microseconds * 15.625),
			} {
				if live := LiveShape(rate, ticks, s.Limit); live != s {
					t.Errorf("%d bytes per second, %d at once: %+v is %+v after %s", rate, burst, s, live, name)
				}
			}
		}
	}
	if NewShape(0, 5, 0) != (Shape{}) {
		t.Error("no rate is a shape")
	}
}

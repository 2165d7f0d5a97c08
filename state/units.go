package state

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// The units are those of tc(8): rates in bits per second by thousands (bps is bytes),
// sizes in bytes by 1024, times, and probabilities in percent.
var (
	rateUnits = []unit{
		{"tbit", 1e12 / 8}, {"gbit", 1e9 / 8}, {"mbit", 1e6 / 8}, {"kbit", 1e3 / 8},
		{"tbps", 1e12}, {"gbps", 1e9}, {"mbps", 1e6}, {"kbps", 1e3}, {"bps", 1}, {"bit", 1.0 / 8},
	}
	sizeUnits = []unit{{"gb", 1 << 30}, {"mb", 1 << 20}, {"kb", 1 << 10}, {"b", 1}}
	timeUnits = []unit{{"ms", 1e6}, {"us", 1e3}, {"ns", 1}, {"s", 1e9}}
)

type unit struct {
	name string
	size float64
}

func parse(text string, units []unit, kind, example string) (float64, error) {
	for _, u := range units {
		number, ok := strings.CutSuffix(strings.ToLower(text), u.name)
		if !ok {
			continue
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if err != nil || v < 0 || math.IsInf(v, 0) || math.IsNaN(v) {
			break
		}
		return v * u.size, nil
	}
	return 0, fmt.Errorf("%q is no %s, as in %s", text, kind, example)
}

// ParseRate reads "10mbit" as bytes per second.
func ParseRate(text string) (uint64, error) {
	const example = `"10mbit" (units: bit, kbit, mbit, gbit; bps, kbps, mbps, gbps for bytes)`
	v, err := parse(text, rateUnits, "rate", example)
	switch {
	case err != nil:
		return 0, err
	case v < 1e3 || v > 1e13: // a full frame in the time that the kernel can tell
		return 0, fmt.Errorf("%q is out of range: rates are from 8kbit to 80tbit", text)
	}
	return uint64(v), nil
}

// ParseSize reads "32kb" as bytes.
func ParseSize(text string) (uint32, error) {
	v, err := parse(text, sizeUnits, "size", `"32kb" (units: b, kb, mb)`)
	switch {
	case err != nil:
		return 0, err
	case v < 1 || v > 1<<30:
		return 0, fmt.Errorf("%q is out of range: sizes are from 1b to 1gb", text)
	}
	return uint32(v), nil
}

// ParseTime reads "10ms".
func ParseTime(text string) (time.Duration, error) {
	v, err := parse(text, timeUnits, "time", `"10ms" (units: s, ms, us, ns)`)
	switch {
	case err != nil:
		return 0, err
	case v > float64(time.Hour):
		return 0, fmt.Errorf("%q is out of range: a packet can be held for an hour at most", text)
	}
	return time.Duration(v), nil
}

// Probability is a share of all packets, as the kernel counts it: the largest number is all.
type Probability uint32

// ParseProbability reads "1.5%".
func ParseProbability(text string) (Probability, error) {
	v, err := parse(text, []unit{{"%", 1}}, "share", `"1.5%"`)
	switch {
	case err != nil:
		return 0, err
	case v > 100:
		return 0, fmt.Errorf("%q is more than all, which is 100%%", text)
	}
	return Probability(math.Round(v / 100 * math.MaxUint32)), nil
}

// String is the share in percent: "1.5%".
func (p Probability) String() string {
	return strconv.FormatFloat(math.Round(float64(p)/math.MaxUint32*1e8)/1e6, 'f', -1, 64) + "%"
}

// RateText is a rate in bytes per second as ParseRate and tc(8) read it, exactly.
func RateText(rate uint64) string {
	bits := rate * 8
	for _, u := range rateUnits[:4] {
		if size := uint64(u.size * 8); bits >= size && bits%size == 0 {
			return strconv.FormatUint(bits/size, 10) + u.name
		}
	}
	return strconv.FormatUint(bits, 10) + "bit"
}

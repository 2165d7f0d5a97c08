package state

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// Qdisc is how a link of ours sends: as fast as it may (a token bucket, tc-tbf), and as
// badly as it is to (tc-netem). With both, packets first meet the one and then the other.
type Qdisc struct {
	Place Place
	Link  string
	Shape Shape
	Netem Impairment
	Mark  Owner
}

// Shape is a token bucket: Rate in the long run, Burst at once. The zero Shape is none.
type Shape struct {
	// Rate is in bytes per second.
	Rate uint64
	// Burst is in bytes, as near to what is asked for as the kernel can tell (see whole).
	Burst uint32
	// Limit is how many bytes wait at most; what is beyond is dropped.
	Limit uint32
}

// Impairment is what a link does to what it sends. The zero Impairment is nothing.
type Impairment struct {
	Delay     time.Duration `json:",omitempty"`
	Jitter    time.Duration `json:",omitempty"`
	Loss      Probability   `json:",omitempty"`
	Duplicate Probability   `json:",omitempty"`
	// Reorder is the share that is sent at once, before what is delayed.
	Reorder Probability `json:",omitempty"`
	// Corrupt is the share in which a bit is turned.
	Corrupt Probability `json:",omitempty"`
	// Rate is in bytes per second; 0 for no limit.
	Rate uint64 `json:",omitempty"`
}

// Bandwidth is how fast an endpoint may be, in bytes per second: Ingress for what it gets,
// Egress for what it sends; 0 for as fast as can be. Burst is in bytes, 0 for automatic.
type Bandwidth struct {
	Ingress uint64 `json:",omitempty"`
	Egress  uint64 `json:",omitempty"`
	Burst   uint32 `json:",omitempty"`
}

// NetemLimit is how many packets may be under way through netem: a second of full frames
// at 1 Gbit/s.
const NetemLimit = 100000

const (
	// tick is the kernel's PSCHED_SHIFT of include/net/pkt_sched.h in nanoseconds: it keeps
	// a burst as the time that it takes at the rate, in these.
	tick = 64
	// step is how many ticks a burst is rounded to when a byte takes less: tc(8) cuts its
	// times to whole microseconds, and eight of those are whole ticks.
	step = 125
	// longest is how many seconds a burst takes at most, of 275 that the kernel could tell.
	longest = 256
	// leastBurst and leastQueue are 20 full frames of Ethernet: with less at a time, slow
	// lines would lose what a program sends in one go.
	leastBurst, leastQueue = 32 << 10, 32 << 10
	// burstShare and queueShare are, by default, what part of a second's bytes go at once,
	// and wait.
	burstShare, queueShare = 100, 20
	// frameHeader is what a frame has beside its packet: addresses, type, a VLAN's tag.
	frameHeader = 18
)

// NewShape is a token bucket of rate bytes per second, with burst bytes at once, 0 for what
// suits the rate and the MTU: a frame that is larger than the bucket never gets through.
func NewShape(rate uint64, burst uint32, mtu int) Shape {
	if rate == 0 {
		return Shape{}
	}
	if burst == 0 {
		burst = capped(max(leastBurst, float64(FrameSize(mtu)), float64(rate)/burstShare))
	}
	burst = uint32(min(uint64(burst), rate*longest, 1<<30))
	t := ticks(rate, burst)
	if fine(rate) && whole(rate, t) < burst {
		t += step
	}
	burst = whole(rate, t)
	return Shape{Rate: rate, Burst: burst, Limit: capped(float64(burst) + max(leastQueue, float64(rate)/queueShare))}
}

// FrameSize is how long the longest frame of a link with the MTU is.
func FrameSize(mtu int) uint32 { return uint32(mtu + frameHeader) }

func capped(v float64) uint32 { return uint32(math.Min(v, math.MaxUint32)) }

// ticks is the time that the bytes take at the rate.
func ticks(rate uint64, bytes uint32) uint32 {
	t := uint64(bytes) * 1e9 / (rate * tick)
	if fine(rate) {
		t = max(step, t/step*step)
	} else if t*rate*tick < uint64(bytes)*1e9 {
		t++
	}
	return uint32(min(t, math.MaxUint32))
}

// whole are the bytes that go through in the time: to the byte where the rate is slow
// enough to tell, else in steps.
func whole(rate uint64, t uint32) uint32 {
	if fine(rate) {
		return capped(math.Ceil(float64(t/step*step) * tick * float64(rate) / 1e9))
	}
	return capped(math.Round(float64(t) * tick * float64(rate) / 1e9))
}

// fine reports that bytes are so fast that a microsecond more or less is another burst.
func fine(rate uint64) bool { return rate > 400_000 }

// LiveShape is a token bucket whose burst takes the time, in the kernel's ticks.
func LiveShape(rate uint64, time, limit uint32) Shape {
	return Shape{Rate: rate, Burst: whole(rate, time), Limit: limit}
}

// Ticks is the time that the burst takes, in the kernel's ticks.
func (s Shape) Ticks() uint32 { return ticks(s.Rate, s.Burst) }

// QdiscKey is the key of what a link sends by.
func QdiscKey(p Place, link string) Key { return Key{KindQdisc, p, link} }

// Key is the link.
func (q Qdisc) Key() Key { return QdiscKey(q.Place, q.Link) }

// Owner is the endpoint that asks for it.
func (q Qdisc) Owner() Owner { return q.Mark }

// Needs is its link.
func (q Qdisc) Needs() []Key { return insideOf(q.Place, q.Link) }

// Inside are its link and namespace.
func (q Qdisc) Inside() []Key { return insideOf(q.Place, q.Link) }

// Kinds are the kernel's names of what it is made of, the first at the root.
func (q Qdisc) Kinds() string {
	var kinds []string
	if q.Netem != (Impairment{}) {
		kinds = append(kinds, "netem")
	}
	if q.Shape != (Shape{}) {
		kinds = append(kinds, "tbf")
	}
	return strings.Join(kinds, " ")
}

// Attrs can all be changed in place.
func (q Qdisc) Attrs() []Attr {
	attrs := []Attr{strAttr("kinds", q.Kinds()).quiet()}
	if q.Shape != (Shape{}) {
		attrs = append(attrs, strAttr("rate", RateText(q.Shape.Rate)),
			Attr{Name: "burst", Value: strconv.FormatUint(uint64(q.Shape.Burst), 10)},
			Attr{Name: "limit", Value: strconv.FormatUint(uint64(q.Shape.Limit), 10), Quiet: true})
	}
	if q.Netem != (Impairment{}) {
		attrs = append(attrs, q.Netem.attrs()...)
	}
	return attrs
}

func (i Impairment) attrs() []Attr {
	rate := ""
	if i.Rate != 0 {
		rate = RateText(i.Rate)
	}
	attrs := []Attr{
		strAttr("delay", i.Delay.String()), strAttr("jitter", i.Jitter.String()), strAttr("loss", i.Loss.String()),
		strAttr("duplicate", i.Duplicate.String()), strAttr("reorder", i.Reorder.String()), strAttr("corrupt", i.Corrupt.String()), strAttr("netem_rate", rate),
	}
	for n, zero := range []bool{i.Delay == 0, i.Jitter == 0, i.Loss == 0, i.Duplicate == 0, i.Reorder == 0, i.Corrupt == 0, i.Rate == 0} {
		attrs[n].Quiet = zero
	}
	return attrs
}

// String is what a plan shows: "ingress 10mbit, egress 1mbit", "" for no limit.
func (b Bandwidth) String() string {
	var parts []string
	if b.Ingress != 0 {
		parts = append(parts, "ingress "+RateText(b.Ingress))
	}
	if b.Egress != 0 {
		parts = append(parts, "egress "+RateText(b.Egress))
	}
	if b.Burst != 0 {
		parts = append(parts, "burst "+strconv.FormatUint(uint64(b.Burst), 10)+"b")
	}
	return strings.Join(parts, ", ")
}

// Attr is the name of the first attribute that is said, "" for none.
func (i Impairment) Attr() string {
	for _, a := range i.attrs() {
		if !a.Quiet {
			return strings.TrimPrefix(a.Name, "netem_")
		}
	}
	return ""
}

// String is what a plan shows: "delay 10ms, loss 1%", "" for none.
func (i Impairment) String() string {
	var parts []string
	for _, a := range i.attrs() {
		if !a.Quiet {
			parts = append(parts, strings.TrimPrefix(a.Name, "netem_")+" "+strings.Trim(a.Value, `"`))
		}
	}
	return strings.Join(parts, ", ")
}

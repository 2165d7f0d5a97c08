package planner

import (
	"fmt"
	"strconv"
	"time"

	"github.com/cnmctl/cnmctl/state"
)

// The handles are those that cnmctl knows its own by.
const shapeHandle, netemHandle, innerHandle = "636e:", "636f:", "6370:"

// qdisc says how a link sends, or that it sends as it comes.
func (s *script) qdisc(op state.Op, q state.Qdisc) {
	tc := func(format string, args ...any) {
		s.line("%s qdisc %s", in("tc", q.Place), fmt.Sprintf(format, args...))
	}
	link := shell(q.Link)
	if op.Action == state.Delete {
		tc("del dev %s root", link)
		return
	}
	none := state.Impairment{}
	before, _ := op.Before.(state.Qdisc)
	if before.Netem != none && before.Shape != (state.Shape{}) && q.Netem != none && q.Shape == (state.Shape{}) {
		tc("del dev %s parent %s1 handle %s", link, netemHandle, innerHandle)
	}
	at := "root handle " + shapeHandle
	if q.Netem != none {
		tc("replace dev %s root handle %s netem%s", link, netemHandle, netemText(q.Netem))
		at = "parent " + netemHandle + "1 handle " + innerHandle
	}
	if q.Shape != (state.Shape{}) {
		tc("replace dev %s %s tbf rate %s burst %d limit %d", link, at, state.RateText(q.Shape.Rate), q.Shape.Burst, q.Shape.Limit)
	}
}

// redirect has what a link gets go through another one first, or no longer.
func (s *script) redirect(op state.Op, r state.Redirect) {
	tc, link := in("tc", r.Place), shell(r.Link)
	filter := fmt.Sprintf("dev %s ingress pref %d", link, state.RedirectPref)
	if op.Action == state.Delete {
		s.line("%s filter del %s", tc, filter)
		// Others may have filters there.
		s.line(`[ -n "$(%[1]s filter show dev %[2]s ingress; %[1]s filter show dev %[2]s egress)" ] || %[1]s qdisc del dev %[2]s clsact`, tc, link)
		return
	}
	s.line("%s qdisc add dev %s clsact 2>/dev/null || :", tc, link)
	s.line("%s filter del %s 2>/dev/null || :", tc, filter)
	s.line("%s filter add %s protocol all u32 match u32 0 0 action mirred egress redirect dev %s", tc, filter, shell(r.To))
}

func netemText(i state.Impairment) string {
	text := fmt.Sprintf(" limit %d delay %s", state.NetemLimit, tcTime(i.Delay))
	if i.Jitter != 0 {
		text += " " + tcTime(i.Jitter)
	}
	for _, share := range []struct {
		name string
		of   state.Probability
	}{{"loss", i.Loss}, {"duplicate", i.Duplicate}, {"reorder", i.Reorder}, {"corrupt", i.Corrupt}} {
		if share.of != 0 {
			text += " " + share.name + " " + share.of.String()
		}
	}
	if i.Rate != 0 {
		text += " rate " + state.RateText(i.Rate)
	}
	return text
}

// tcTime is a time in the largest unit that tells it exactly.
func tcTime(d time.Duration) string {
	for _, u := range []struct {
		of   time.Duration
		name string
	}{{time.Second, "s"}, {time.Millisecond, "ms"}, {time.Microsecond, "us"}} {
		if d%u.of == 0 {
			return strconv.FormatInt(int64(d/u.of), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(d), 10) + "ns"
}

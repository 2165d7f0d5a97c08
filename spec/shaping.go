package spec

import (
	"github.com/cnmctl/cnmctl/state"
	"github.com/zclconf/go-cty/cty"
)

func bandwidthSchema() BlockSchema {
	return BlockSchema{Max: 1, Schema: Schema{
		Name: "bandwidth",
		Doc: "How fast the endpoint may be (a token bucket, tc-tbf(8)). Units are those of tc: `kbit`, `mbit`, `gbit` by thousands of bits per second, " +
			"`kb`, `mb` by 1024 bytes.",
		Attrs: []AttrSchema{
			attr("ingress", cty.String, "What it gets, as in `\"10mbit\"`. The host's end of its interface holds it back, or, where there is none, a device before it (ifb).").checked(onStrings(checked(state.ParseRate))),
			attr("egress", cty.String, "What it sends. Its own end of the interface holds it back.").checked(onStrings(checked(state.ParseRate))),
			attr("burst", cty.String, "What goes through at once after a pause, as in `\"128kb\"`. Default: a hundredth of a second's bytes, 32kb at least. Less than a frame lets nothing through, and is an error.").checked(onStrings(checked(state.ParseSize))),
		},
	}}
}

func impairmentSchema() BlockSchema {
	share := onStrings(checked(state.ParseProbability))
	return BlockSchema{Max: 1, Schema: Schema{
		Name: "impairment",
		Doc:  "What happens to the packets that the endpoint sends (tc-netem(8)), to try how programs live with a bad network. Both ways take one at each end.",
		Attrs: []AttrSchema{
			attr("delay", cty.String, "How long each is held, as in `\"100ms\"`.").checked(onStrings(checked(state.ParseTime))),
			attr("jitter", cty.String, "By how much `delay` varies.").checked(onStrings(checked(state.ParseTime))),
			attr("loss", cty.String, "The share that is lost, as in `\"1.5%\"`.").checked(share),
			attr("duplicate", cty.String, "The share that arrives twice.").checked(share),
			attr("reorder", cty.String, "The share that is sent at once, and so overtakes what is delayed.").checked(share),
			attr("corrupt", cty.String, "The share in which a bit is turned.").checked(share),
			attr("rate", cty.String, "The rate of the line, as in `\"56kbit\"`: each packet takes the time of its length.").checked(onStrings(checked(state.ParseRate))),
		},
	}}
}

// checked is a parser as a check.
func checked[T any](parse func(string) (T, error)) func(string) error {
	return func(s string) error { _, err := parse(s); return err }
}

// parsed is the attribute by the parser, zero if it is not there; it was checked when it
// was read.
func parsed[T any](v *values, name string, parse func(string) (T, error)) (t T) {
	if text := v.text(name); text != "" {
		t, _ = parse(text)
	}
	return t
}

func bandwidth(v *values) (b state.Bandwidth) {
	for _, p := range v.of("bandwidth") {
		b = state.Bandwidth{
			Ingress: parsed(p.values, "ingress", state.ParseRate),
			Egress:  parsed(p.values, "egress", state.ParseRate),
			Burst:   parsed(p.values, "burst", state.ParseSize),
		}
	}
	return b
}

// impairment reads the block, and checks that its parts fit together.
func (rd *reading) impairment(v *values) (i state.Impairment) {
	for _, p := range v.of("impairment") {
		i = state.Impairment{
			Delay: parsed(p.values, "delay", state.ParseTime), Jitter: parsed(p.values, "jitter", state.ParseTime),
			Loss: parsed(p.values, "loss", state.ParseProbability), Duplicate: parsed(p.values, "duplicate", state.ParseProbability),
			Reorder: parsed(p.values, "reorder", state.ParseProbability), Corrupt: parsed(p.values, "corrupt", state.ParseProbability),
			Rate: parsed(p.values, "rate", state.ParseRate),
		}
		if arg := p.body.attrs["reorder"]; arg != nil && i.Reorder != 0 && i.Delay == 0 && !p.bad {
			rd.reject(arg, "Reordering without a delay", "Packets overtake others that are held, and without delay none is. Add a delay, or remove reorder.")
		}
		if arg := p.body.attrs["jitter"]; arg != nil && i.Jitter > i.Delay && !p.bad {
			rd.reject(arg, "Jitter above the delay", "A delay of %s cannot vary by %s: no packet can arrive before it was sent. Make the jitter smaller, or the delay larger.", i.Delay, i.Jitter)
		}
	}
	return i
}

package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cnmctl/cnmctl/applier"
	"github.com/cnmctl/cnmctl/planner"
	"github.com/cnmctl/cnmctl/state"
)

// blocksPlan is a plan that makes n blocks with two operations each.
func blocksPlan(n int) *planner.Plan {
	p := &planner.Plan{}
	for i := range n {
		a := state.Address(fmt.Sprintf("network.n%d", i))
		mark := state.Owner{Stack: "s", Address: a}
		p.Resources = append(p.Resources, planner.Resource{
			Address: a, Action: planner.CreateResource,
			Parts: []planner.Part{{Op: len(p.Ops), Along: -1}, {Op: len(p.Ops) + 1, Along: -1}},
		})
		for _, o := range []state.Object{
			state.Link{Place: state.Host, Name: fmt.Sprint("br", i), Mark: mark},
			state.Network{Mark: mark},
		} {
			p.Ops = append(p.Ops, state.Op{Action: state.Create, Key: o.Key(), After: o})
		}
	}
	p.Waves = []int{len(p.Ops)}
	return p
}

// play tells the listener of a run of the plan, whose operation fails (-1: none).
func play(p *planner.Plan, fails int, listen func(applier.Event)) {
	total := len(p.Ops)
	listen(applier.Event{Stage: applier.Applying, Plan: p, Total: total})
	for i := range p.Ops {
		listen(applier.Event{Stage: applier.Applying, Op: &p.Ops[i], Index: i, Done: i, Total: total})
		e := applier.Event{Stage: applier.Applying, Op: &p.Ops[i], Index: i, Ended: true, Done: i + 1, Total: total}
		if i == fails {
			e.Err = errors.New("no")
		}
		listen(e)
		if e.Err != nil {
			return
		}
	}
	listen(applier.Event{Stage: applier.Verifying})
}

func TestPlainLines(t *testing.T) {
	var out strings.Builder
	play(blocksPlan(2), -1, newProgress(&out).event)
	const want = "network.n0: Creating...\nnetwork.n0: Creation complete after 0s\n" +
		"network.n1: Creating...\nnetwork.n1: Creation complete after 0s\n"
	if out.String() != want {
		t.Errorf("got:\n%s", out.String())
	}
}

func TestManyBlocksAreTenLines(t *testing.T) {
	var out strings.Builder
	play(blocksPlan(1000), -1, newProgress(&out).event)
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 11 || lines[1] != "Applying... 10% (200 of 2000), 0s elapsed" {
		t.Errorf("got %d lines:\n%s", len(lines), out.String())
	}
}

func TestMovingLine(t *testing.T) {
	var out strings.Builder
	m := &movingLine{w: &out}
	play(blocksPlan(3), -1, m.event)
	m.close()
	if strings.Contains(out.String(), "\n") || !strings.HasSuffix(out.String(), "\r\x1b[K") ||
		!strings.Contains(out.String(), "Applying... 0 of 6 (0%), 0s elapsed") {
		t.Errorf("got %q", out.String())
	}
}

func TestStreamTellsTheStory(t *testing.T) {
	var out strings.Builder
	s := &storyteller{stream: newStream(&out)}
	play(blocksPlan(2), 3, s.event)
	var kinds []string
	dec := json.NewDecoder(strings.NewReader(out.String()))
	for dec.More() {
		var line struct {
			Level   string `json:"@level"`
			Message string `json:"@message"`
			Module  string `json:"@module"`
			Time    string `json:"@timestamp"`
			Type    string `json:"type"`
			Hook    struct {
				Resource struct{ Addr string }
				Error    string
			}
		}
		if err := dec.Decode(&line); err != nil {
			t.Fatal(err)
		}
		if line.Level == "" || line.Message == "" || line.Module != "cnmctl" || line.Time == "" {
			t.Errorf("a line lacks something: %+v", line)
		}
		kinds = append(kinds, strings.TrimSpace(line.Type+" "+line.Hook.Resource.Addr+" "+line.Hook.Error))
	}
	got, want := strings.Join(kinds, ", "), "version, stage, apply_start network.n0, apply_complete network.n0, "+
		"apply_start network.n1, apply_errored network.n1 no"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

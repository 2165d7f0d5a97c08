package planner_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/cnmctl/cnmctl/planner"
	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/hcl/v2"
)

// A network whose hosts encrypt goes whole or stays: without the stack it would send in clear.
func TestEncryptedIsNotLetGoOf(t *testing.T) {
	record := func(encrypted string) state.World {
		w := state.World{}
		w.Add(state.Network{
			Mark: state.Owner{Stack: "lab", Address: "network.far"}, Driver: "overlay",
			Options: map[string]json.RawMessage{"encrypted": json.RawMessage(encrypted)},
		})
		return w
	}
	here := hcl.Range{Filename: "main.hcl", Start: hcl.Pos{Line: 7}}
	for _, test := range []struct {
		encrypted string
		destroy   bool
		refused   bool
	}{{"true", false, true}, {"true", true, false}, {"false", false, false}} {
		_, diags := planner.Diff(record(test.encrypted), state.World{}, planner.Options{
			Stack: "lab", Removals: []spec.Removal{{From: "network.far", Destroy: test.destroy, Range: here}},
		})
		if diags.HasErrors() != test.refused {
			t.Errorf("%+v: %v", test, diags)
		}
		if test.refused && (!strings.Contains(diags[0].Detail, "in clear") || diags[0].Subject == nil || diags[0].Subject.Start.Line != 7) {
			t.Errorf("it says %v at %v", diags, diags[0].Subject)
		}
	}
}

package planner

import (
	"encoding/json"
	"testing"

	"github.com/cnmctl/cnmctl/state"
	"github.com/google/go-cmp/cmp"
)

func TestFlowsOfNetworks(t *testing.T) {
	network := func(name string, internal bool, options state.Options) state.Network {
		return state.Network{Mark: state.Owner{Address: state.Address("network." + name)}, Internal: internal, Options: options}
	}
	no := json.RawMessage("false")
	open, closed := state.Options{"isolation": no}, state.Options{"icc": no}
	for _, tt := range []struct {
		name        string
		was, is     state.Network
		other, kept state.Options
		want        []string
	}{
		{"nothing", network("a", false, open), network("a", false, open), open, open, nil},
		{"icc", network("a", false, nil), network("a", false, closed), open, open, []string{"network.a -> network.a any: allow -> deny"}},
		{"internal", network("a", false, nil), network("a", true, nil), open, open, []string{"network.a -> everybody outside any: allow -> deny"}},
		{"opened to none", network("a", false, nil), network("a", false, open), nil, nil, nil},
		{"opened to another", network("a", false, nil), network("a", false, open), open, open, []string{
			"network.a -> network.b any: deny -> allow", "network.b -> network.a any: deny -> allow"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, c := range reachChanges([]changedReach{
				{reachOf(tt.was), reachOf(tt.is)}, {reachOf(network("b", false, tt.other)), reachOf(network("b", false, tt.kept))},
			}) {
				got = append(got, c.String())
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

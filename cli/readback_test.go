package cli

import (
	"testing"

	"github.com/cnmctl/cnmctl/applier"
	"github.com/cnmctl/cnmctl/state"
)

// TestNoteReset: a setting that went with its link is not there any more, although a new
// link of the same name has it again.
func TestNoteReset(t *testing.T) {
	link := state.Link{Place: state.Netns("shop-w0"), Name: "eth0", Type: state.Veth}
	setting := state.Sysctl{Place: link.Place, Path: "net/ipv4/conf/eth0/rp_filter", Value: "2", Link: link.Name}
	f := &flow{}
	note := func(op state.Op) { f.noteReset(applier.Event{Op: &op, Ended: true}) }

	note(state.Op{Action: state.Delete, Key: link.Key(), Before: link, Along: []state.Object{setting}})
	if !f.reset[setting.Key()] {
		t.Error("the setting is still thought to be there after its link went")
	}
	note(state.Op{Action: state.Create, Key: setting.Key(), After: setting})
	if f.reset[setting.Key()] {
		t.Error("the setting is thought to be gone after it was set again")
	}
	note(state.Op{Action: state.Delete, Key: setting.Key(), Before: setting})
	if !f.reset[setting.Key()] {
		t.Error("the setting is still thought to be there after it was set back")
	}
}

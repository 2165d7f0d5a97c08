package agent

import (
	"fmt"
	"slices"

	"github.com/cnmctl/cnmctl/state"
)

// withoutAbsent takes out of the wanted world what is to be in namespaces of others that are
// not there now (a container that does not run), and says which and why. They come and go as
// their owners please, which must not keep the rest of the host from converging.
func withoutAbsent(want, live state.World) (absent []string) {
	gone := map[state.Place]bool{}
	for k, o := range want {
		_, adopted := o.(state.Adopted)
		if !adopted || k.Kind != state.KindNamespace {
			continue
		}
		there, found := live[k].(state.Foreign)
		if found && there.Barred == "" {
			continue
		}
		gone[state.Netns(k.Name)] = true
		absent = append(absent, fmt.Sprintf("%s: %s", k.Name, there.Barred))
		delete(want, k)
	}
	if len(gone) == 0 {
		return nil
	}
	for k, o := range want {
		l, _ := o.(state.Link)
		if gone[k.Place] || gone[l.Peer.Place] {
			delete(want, k)
		}
	}
	dropOn(want)
	slices.Sort(absent)
	return absent
}

// dropOn takes out what was to be on links that are not wanted any more.
func dropOn(want state.World) {
	for k, o := range want {
		if k.Place == state.Store {
			continue
		}
		for _, need := range o.Needs() {
			if need.Kind == state.KindLink && want[need] == nil {
				delete(want, k)
				break
			}
		}
	}
}

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
	gone := map[state.Key]bool{}
	for k, o := range want {
		_, adopted := o.(state.Adopted)
		if !adopted || k.Kind != state.KindNamespace {
			continue
		}
		there, found := live[k].(state.Foreign)
		if found && there.Barred == "" {
			continue
		}
		gone[k] = true
		absent = append(absent, fmt.Sprintf("%s: %s", k.Name, there.Barred))
		delete(want, k)
	}
	for again := len(gone) > 0; again; {
		again = false
		for k, o := range want {
			if lost(o, gone) {
				delete(want, k)
				gone[k], again = true, true
			}
		}
	}
	slices.Sort(absent)
	return absent
}

// lost reports that the object is in what is gone, has an end there, or needs it.
func lost(o state.Object, gone map[state.Key]bool) bool {
	k := o.Key()
	if k.Place == state.Store {
		return false
	}
	places := []state.Place{k.Place}
	if l, ok := o.(state.Link); ok {
		places = append(places, l.Peer.Place)
	}
	for _, p := range places {
		if ns, ok := p.Netns(); ok && gone[state.NamespaceKey(ns)] {
			return true
		}
	}
	return slices.ContainsFunc(o.Needs(), func(k state.Key) bool { return gone[k] })
}

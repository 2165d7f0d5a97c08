package kernel

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cnmctl/cnmctl/state"
	"golang.org/x/sys/unix"
)

// deleteAlong deletes, those of a place at once, the links that would be gone some time after
// the namespaces of the ops: in the host and in namespaces that stay, those whose other ends
// go; and those that hold something in another namespace until they are gone, tunnels their
// VNI, and links on others the MAC or the addresses that they have there. Left to itself the
// kernel deletes them in the background, when the last process and socket has left the
// namespace, and takes half as long again for a thousand pairs.
func (r *run) deleteAlong(ops []int) error {
	dying := map[state.Place]bool{}
	for _, i := range ops {
		dying[state.Netns(r.wave[i].Key.Name)] = true
	}
	names := map[state.Place][]string{}
	var places []state.Place
	for _, i := range ops {
		for _, o := range r.wave[i].Along {
			l, ok := o.(state.Link)
			if !ok || dying[l.Place] && l.Type != state.VXLAN && !l.Stacked() {
				continue
			}
			if names[l.Place] == nil {
				places = append(places, l.Place)
			}
			names[l.Place] = append(names[l.Place], l.Name)
		}
	}
	for _, p := range places {
		open, err := r.at(p)
		if isAny(err, unix.ENOENT) || errors.Is(err, errNotNetns) {
			continue
		}
		if err == nil {
			err = open.deleteLinks(names[p], state.DoomedGroup(r.stack))
		}
		if err != nil {
			return fmt.Errorf("deleting links %s in %s: %w", firstOf(names[p]), p, err)
		}
	}
	return nil
}

// firstOf lists some of many names.
func firstOf(names []string) string {
	const most = 5
	if len(names) > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	return strings.Join(names, ", ")
}

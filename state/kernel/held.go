package kernel

import (
	"cmp"
	"slices"

	"github.com/cnmctl/cnmctl/state"
)

// held is what is known of a place's links, for what sits on them.
type held struct {
	links []link
	// space is whose the place is; in the host, of nobody in particular.
	space state.Owner
	// lent: the place is the host, or a namespace of somebody else.
	lent bool
}

// sort puts the links in the order of their numbers and finds out whose they are.
func (h *held) sort(stack string) {
	slices.SortFunc(h.links, func(a, b link) int { return cmp.Compare(a.index, b.index) })
	for i := range h.links {
		l := &h.links[i]
		l.owner, l.ours = l.ownedBy(stack)
	}
}

// link is the one with the number, nil for none.
func (h *held) link(index int32) *link {
	i, ok := slices.BinarySearchFunc(h.links, index, func(l link, index int32) int {
		return cmp.Compare(l.index, index)
	})
	if !ok {
		return nil
	}
	return &h.links[i]
}

// name is the link's name, "" for none.
func (h *held) name(index int32) string {
	if l := h.link(index); l != nil {
		return l.name
	}
	return ""
}

// ours reports that the link is the stack's.
func (h *held) ours(index int32) bool {
	l := h.link(index)
	return l != nil && l.ours
}

// sole reports that no other link on the one below may have an address of the link.
func (h *held) sole(index int32) bool {
	l := h.link(index)
	return l != nil && l.kind == state.IPvlan
}

// owner is who an object on the link belongs to.
func (h *held) owner(index int32) state.Owner {
	if l := h.link(index); l != nil && l.ours {
		return l.owner
	}
	return h.space
}

package drivers

import (
	"slices"

	"github.com/cnmctl/cnmctl/state"
)

// encrypts reports that there are keys to share: an encrypted network, and several hosts.
func (x *expander) encrypts() bool {
	return len(x.hosts) > 1 && slices.ContainsFunc(x.networks, func(n *network) bool { return n.Encrypted() })
}

// keyring is the one that there is, or a first one. If the store has lost it, its keys have
// numbers that none on this host has: another key under an old number would not be told
// from it by the hosts that have that one.
func (x *expander) keyring() state.Keyring {
	if ring, is := x.answers[state.KeyringKey()].(state.Keyring); is {
		return ring
	}
	ring := state.NewKeyring(x.stack)
	for _, o := range x.answers {
		if s, is := o.(state.IPsecState); is {
			ring.First = max(ring.First, s.Generation+1)
		}
	}
	ring.Last, ring.Sending = ring.First, ring.First
	return ring
}

package state

import "hash/fnv"

// The marks that go with a creation, where no room is left for a whole Owner. A stack's
// number in them is a hash of its name: were it one number for all stacks, a half-made
// link (group, but no alias yet) of a stack whose apply is running at this moment would
// be taken for a leftover of ours, and deleted.
const (
	groupReady   = 0x636e0000 // "cn"; the low 16 bits are the stack's
	groupPending = 0x636f0000
	groupDoomed  = 0x63700000

	// protocolFirst and protocolCount are a range of routing protocol numbers that
	// nobody has registered (linux/rtnetlink.h: 99 is Open/R, 186 is BGP).
	protocolFirst, protocolCount = 100, 86
)

// LinkGroup is the group (IFLA_GROUP) of the stack's links.
func LinkGroup(stack string) uint32 { return groupReady | hash(stack)&0xffff }

// PendingGroup is the group of links of the stack that are made and not yet up. They are
// brought up together, by group: bridge ports that come up one by one flood each other.
func PendingGroup(stack string) uint32 { return groupPending | hash(stack)&0xffff }

// DoomedGroup is the group of links of the stack that are about to be deleted, together:
// a deletion costs an RCU grace period (17 ms), however many links it takes.
func DoomedGroup(stack string) uint32 { return groupDoomed | hash(stack)&0xffff }

// Protocol marks what the stack puts on links that are not its own: the protocol of
// routes (rtm_protocol), rules (FRA_PROTOCOL) and addresses (IFA_PROTO).
func Protocol(stack string) uint8 { return uint8(protocolFirst + hash(stack)%protocolCount) }

func hash(stack string) uint32 {
	h := fnv.New32a()
	h.Write([]byte(stack))
	sum := h.Sum32()
	return sum ^ sum>>16
}

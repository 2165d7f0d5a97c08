package state

import "cmp"

// VRF is a link that others are in: what comes in by them, and what is sent by programs that
// are bound to it, is routed by a table of its own and by no other.
const VRF LinkType = "vrf"

// VRFTables reports a routing table that a VRF can have. The kernel fills the other ones by
// itself (RT_TABLE_DEFAULT to RT_TABLE_LOCAL of linux/rtnetlink.h), or means any by 0.
func VRFTables(table uint32) bool { return table != 0 && (table < 253 || table > 255) }

// LastMetric is that of a route which is there when there is no other. It is what
// Documentation/networking/vrf.rst has VRFs end with, since some routing daemons take
// higher ones for signed.
const LastMetric = 4278198272

// Above is what the link is in: the bridge that it is a port of, or the VRF. To the kernel
// both are its master.
func (l Link) Above() string { return cmp.Or(l.Master, l.VRF) }

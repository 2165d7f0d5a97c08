package drivers

import (
	"strconv"

	"github.com/cnmctl/cnmctl/state"
)

// The kernel has one table of neighbors for all its network namespaces, and limits to it that
// are made for a host rather than a thousand of them: from 512 entries on it looks for some
// to forget every few seconds, and above 1024 there are none for newcomers (gc_thresh2 and
// gc_thresh3, neigh_alloc).

// manyNeighbors is how many entries leave the usual limits room for others on the machine.
const manyNeighbors = 256

// libnetwork's limits, which are as 1 to 6 to 8.
const firstLimit = 8192

// neighborLimits raise the limits of a family where the stack's endpoints on this host will
// have many neighbors.
func (x *expander) neighborLimits() []state.Object {
	var entries [2]int // IPv4, IPv6
	count := func(e state.Endpoint, n int) {
		entries[0] += n * bit(e.IPv4.IsValid())
		entries[1] += n * bit(e.IPv6.IsValid())
	}
	for _, n := range x.networks {
		if len(n.attached) == 0 {
			continue
		}
		for i := range n.attached {
			count(n.attached[i].Endpoint, 2) // its own, and that of whom it speaks with
		}
		for i := range n.away {
			count(n.away[i].Endpoint, bit(n.global)) // what is said of it here
		}
	}
	var limits []state.Object
	for i, family := range []string{"ipv4", "ipv6"} {
		if entries[i] <= manyNeighbors {
			continue
		}
		first := firstLimit
		for first < entries[i] {
			first *= 2
		}
		for k, limit := range []int{first, 6 * first, 8 * first} {
			limits = append(limits, state.Sysctl{
				Place: state.Host, Path: "net/" + family + "/neigh/default/gc_thresh" + strconv.Itoa(k+1), Value: strconv.Itoa(limit),
				Mark: state.Owner{Stack: x.stack}, Keep: true, Optional: true,
			})
		}
	}
	return limits
}

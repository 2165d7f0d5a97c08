package policy

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/cnmctl/cnmctl/state"
)

// box is one element of a set: all flows from, to and by something in the ranges.
type box struct {
	src, dst    state.AddrRange
	proto, port numbers
	owner       string
}

// numbers are a range of protocols or ports, both ends included.
type numbers struct{ first, last uint16 }

var (
	anyProtocol = numbers{0, 255}
	anyPort     = numbers{0, 65535}
)

// protocols are nft's names for the protocols that rules name.
var protocols = map[uint16]string{1: "icmp", 6: "tcp", 17: "udp", 58: "ipv6-icmp", 132: "sctp"}

func (n numbers) protocolText() string {
	if name, ok := protocols[n.first]; ok && n.first == n.last {
		return name
	}
	return n.portText()
}

func (n numbers) portText() string { return state.PortRange{First: n.first, Last: n.last}.String() }

// pair is the box's key in a set of pairs, flow that in a set of flows.
func (b box) pair() string { return b.src.String() + " . " + b.dst.String() }

func (b box) flow() string {
	return b.pair() + " . " + b.proto.protocolText() + " . " + b.port.portText()
}

// disjoint is what the boxes cover, as boxes none of which overlaps another: nftables
// refuses elements that do. The result is the same in whatever order they come.
func disjoint(boxes []box) []box {
	slices.SortFunc(boxes, compareBoxes)
	var out []box
	for _, b := range boxes {
		rest := []box{b}
		for _, o := range out {
			if !b.overlaps(o) {
				continue
			}
			var left []box
			for _, r := range rest {
				left = append(left, r.minus(o)...)
			}
			if rest = left; len(rest) == 0 {
				break
			}
		}
		out = append(out, rest...)
	}
	return out
}

// compareBoxes puts wide boxes before narrow ones, of which less is left then.
func compareBoxes(a, b box) int {
	return cmp.Or(
		cmp.Compare(b.proto.width()+b.port.width(), a.proto.width()+a.port.width()),
		cmp.Compare(a.src.CommonBits()+a.dst.CommonBits(), b.src.CommonBits()+b.dst.CommonBits()),
		a.src.First.Compare(b.src.First), b.src.Last.Compare(a.src.Last),
		a.dst.First.Compare(b.dst.First), b.dst.Last.Compare(a.dst.Last),
		cmp.Compare(a.proto.first, b.proto.first), cmp.Compare(a.port.first, b.port.first), cmp.Compare(b.port.last, a.port.last),
		cmp.Compare(a.owner, b.owner),
	)
}

func (n numbers) width() int { return int(n.last) - int(n.first) }

func (b box) overlaps(o box) bool {
	_, src := overlap(b.src, o.src)
	_, dst := overlap(b.dst, o.dst)
	return src && dst && b.proto.overlaps(o.proto) && b.port.overlaps(o.port)
}

func (n numbers) overlaps(o numbers) bool { return n.first <= o.last && o.first <= n.last }

// minus is what of b is not in o: cut along one side after the other.
func (b box) minus(o box) []box {
	if !b.overlaps(o) {
		return []box{b}
	}
	var out []box
	before, after, in := cutAddrs(b.src, o.src)
	for _, r := range append(before, after...) {
		piece := b
		piece.src = r
		out = append(out, piece)
	}
	b.src = in
	before, after, in = cutAddrs(b.dst, o.dst)
	for _, r := range append(before, after...) {
		piece := b
		piece.dst = r
		out = append(out, piece)
	}
	b.dst = in
	outside, inside := b.proto.cut(o.proto)
	for _, n := range outside {
		piece := b
		piece.proto = n
		out = append(out, piece)
	}
	b.proto = inside
	outside, _ = b.port.cut(o.port)
	for _, n := range outside {
		piece := b
		piece.port = n
		out = append(out, piece)
	}
	return out
}

// cut cuts what is in o out of n, which it overlaps.
func (n numbers) cut(o numbers) (outside []numbers, inside numbers) {
	inside = numbers{max(n.first, o.first), min(n.last, o.last)}
	if n.first < inside.first {
		outside = append(outside, numbers{n.first, inside.first - 1})
	}
	if inside.last < n.last {
		outside = append(outside, numbers{inside.last + 1, n.last})
	}
	return outside, inside
}

// elements are the boxes as elements of a set, in order of key.
func elements(boxes []box, key func(box) string) []state.Element {
	out := make([]state.Element, 0, len(boxes))
	for _, b := range disjoint(boxes) {
		out = append(out, state.Element{Key: key(b), Owner: b.owner})
	}
	slices.SortFunc(out, func(a, b state.Element) int { return cmp.Compare(a.Key, b.Key) })
	return out
}

// protocolNumbers are the protocols by their names; icmp is another in IPv6.
func protocolNumbers(name string, ipv6 bool) numbers {
	if name == "" {
		return anyProtocol
	}
	if name == "icmp" && ipv6 {
		name = "ipv6-icmp"
	}
	for n, known := range protocols {
		if known == name {
			return numbers{n, n}
		}
	}
	n, _ := strconv.ParseUint(name, 10, 8)
	return numbers{uint16(n), uint16(n)}
}

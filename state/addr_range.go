package state

import (
	"math/bits"
	"net/netip"
)

// AddrRange is a run of addresses of one family, both ends included.
type AddrRange struct{ First, Last netip.Addr }

// RangeOf is the addresses of a prefix.
func RangeOf(p netip.Prefix) AddrRange { return AddrRange{p.Masked().Addr(), LastAddr(p)} }

// String is the range in nft's words: an address, a prefix where it is one, or both ends.
func (r AddrRange) String() string {
	if r.First == r.Last {
		return r.First.String()
	}
	if p := netip.PrefixFrom(r.First, r.CommonBits()); RangeOf(p) == r {
		return p.String()
	}
	return r.First.String() + "-" + r.Last.String()
}

// CommonBits is how many bits both ends begin with in common: the fewer, the wider.
func (r AddrRange) CommonBits() int {
	x, y := r.First.As16(), r.Last.As16()
	skip := 128 - r.First.BitLen() // IPv4 is in the last bytes
	for i := skip / 8; i < len(x); i++ {
		if x[i] != y[i] {
			return 8*i + bits.LeadingZeros8(x[i]^y[i]) - skip
		}
	}
	return r.First.BitLen()
}

// LastAddr is the last address of a prefix.
func LastAddr(p netip.Prefix) netip.Addr {
	if p.Addr().Is4() {
		a := p.Addr().As4()
		fill(a[:], p.Bits())
		return netip.AddrFrom4(a)
	}
	a := p.Addr().As16()
	fill(a[:], p.Bits())
	return netip.AddrFrom16(a)
}

// fill sets all bits from the n-th on.
func fill(a []byte, n int) {
	for i := n / 8; i < len(a); i++ {
		a[i] |= 0xff >> (n % 8)
		n = 0
	}
}

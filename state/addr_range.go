package state

import "net/netip"

// AddrRange is a run of addresses of one family, both ends included.
type AddrRange struct{ First, Last netip.Addr }

// RangeOf is the addresses of a prefix.
func RangeOf(p netip.Prefix) AddrRange { return AddrRange{p.Masked().Addr(), LastAddr(p)} }

// String is the range in nft's words: an address, a prefix where it is one, or both ends.
func (r AddrRange) String() string {
	if r.First == r.Last {
		return r.First.String()
	}
	for bits := r.First.BitLen() - 1; bits >= 0; bits-- {
		p := netip.PrefixFrom(r.First, bits)
		if p.Masked().Addr() != r.First {
			break // a shorter prefix would begin before
		}
		if LastAddr(p) == r.Last {
			return p.String()
		}
	}
	return r.First.String() + "-" + r.Last.String()
}

// LastAddr is the last address of a prefix.
func LastAddr(p netip.Prefix) netip.Addr {
	a := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(a)*8; bit++ {
		a[bit/8] |= 0x80 >> (bit % 8)
	}
	last, _ := netip.AddrFromSlice(a)
	return last
}

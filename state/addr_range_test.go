package state

import (
	"net/netip"
	"testing"
)

func TestAddrRange(t *testing.T) {
	for _, tt := range []struct{ first, last, want string }{
		{"10.0.0.1", "10.0.0.1", "10.0.0.1"},
		{"10.0.0.0", "10.0.0.1", "10.0.0.0/31"},
		{"10.0.0.1", "10.0.0.2", "10.0.0.1-10.0.0.2"},
		{"10.0.0.0", "10.0.0.2", "10.0.0.0-10.0.0.2"},
		{"10.0.0.0", "10.0.255.255", "10.0.0.0/16"},
		{"0.0.0.0", "255.255.255.255", "0.0.0.0/0"},
		{"0.0.0.1", "255.255.255.255", "0.0.0.1-255.255.255.255"},
		{"fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fe80::/10"},
		{"::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::/0"},
		{"fd00::8", "fd00::f", "fd00::8/125"},
		{"fd00::8", "fd00::10", "fd00::8-fd00::10"},
	} {
		r := AddrRange{netip.MustParseAddr(tt.first), netip.MustParseAddr(tt.last)}
		if got := r.String(); got != tt.want {
			t.Errorf("%s to %s: %s, want %s", tt.first, tt.last, got, tt.want)
		}
		if p, err := netip.ParsePrefix(tt.want); err == nil && RangeOf(p) != r {
			t.Errorf("%s is %v", tt.want, RangeOf(p))
		}
	}
}

package state

import (
	"slices"
	"testing"
)

func TestVLANText(t *testing.T) {
	for text, vlans := range map[string][]PortVLAN{
		"none":                          nil,
		"1 pvid untagged":               {{1, true, true}},
		"10 pvid untagged, 20":          {{10, true, true}, {20, false, false}},
		"2-4, 7 untagged, 9 pvid, 10":   {{2, false, false}, {3, false, false}, {4, false, false}, {7, false, true}, {9, true, false}, {10, false, false}},
		"100 untagged, 101, 4093-4094":  {{100, false, true}, {101, false, false}, {4093, false, false}, {4094, false, false}},
		"5-6 untagged, 7 pvid untagged": {{5, false, true}, {6, false, true}, {7, true, true}},
	} {
		if got := VLANText(vlans); got != text {
			t.Errorf("%v is %q, want %q", vlans, got, text)
		}
		if got, err := ParseVLANs(text); err != nil || !slices.Equal(got, vlans) {
			t.Errorf("%q is %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "0", "4095", "7-3", "x", "1,2"} {
		if got, err := ParseVLANs(text); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}

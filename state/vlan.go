package state

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// FirstVLAN is the VLAN that every port of a bridge is in unless another is said
// (IFLA_BR_VLAN_DEFAULT_PVID), and the bridge itself; MaxVLAN is the last that IEEE 802.1Q
// allows.
const (
	FirstVLAN = 1
	MaxVLAN   = 4094
)

// PortVLAN is a port's part in one VLAN of a bridge.
type PortVLAN struct {
	ID uint16
	// PVID: what comes in without a tag is in this VLAN. Untagged: what goes out loses its tag.
	PVID, Untagged bool
}

// VLANText lists a port's VLANs as a plan shows them, in order: "10 pvid untagged, 20-29".
// "none" is a port in no VLAN at all.
func VLANText(vlans []PortVLAN) string {
	if len(vlans) == 0 {
		return "none"
	}
	vlans = slices.SortedFunc(slices.Values(vlans), func(a, b PortVLAN) int { return cmp.Compare(a.ID, b.ID) })
	var parts []string
	for i := 0; i < len(vlans); {
		first, end := vlans[i], i+1
		for end < len(vlans) && !first.PVID && vlans[end] == (PortVLAN{ID: first.ID + uint16(end-i), Untagged: first.Untagged}) {
			end++
		}
		text := strconv.Itoa(int(first.ID))
		if end-i > 1 {
			text += "-" + strconv.Itoa(int(vlans[end-1].ID))
		}
		if first.PVID {
			text += " pvid"
		}
		if first.Untagged {
			text += " untagged"
		}
		parts = append(parts, text)
		i = end
	}
	return strings.Join(parts, ", ")
}

// ParseVLANs reads what VLANText wrote.
func ParseVLANs(text string) ([]PortVLAN, error) {
	if text == "none" {
		return nil, nil
	}
	var vlans []PortVLAN
	for part := range strings.SplitSeq(text, ", ") {
		ids, flags, _ := strings.Cut(part, " ")
		low, high, ranged := strings.Cut(ids, "-")
		if !ranged {
			high = low
		}
		first, err := strconv.ParseUint(low, 10, 16)
		last, err2 := strconv.ParseUint(high, 10, 16)
		if err != nil || err2 != nil || first < FirstVLAN || last > MaxVLAN || last < first {
			return nil, fmt.Errorf("reading VLANs %q: %q is no VLAN", text, part)
		}
		words := strings.Fields(flags)
		for id := first; id <= last; id++ {
			vlans = append(vlans, PortVLAN{uint16(id), slices.Contains(words, "pvid"), slices.Contains(words, "untagged")})
		}
	}
	return vlans, nil
}

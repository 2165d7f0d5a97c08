package state

import "strings"

// Feature is something that a kernel may lack. What a World needs is probed once, before
// planning; what is missing is an error that names the option to enable.
type Feature string

// The features that the objects of this package need.
const (
	FeatureBridge   Feature = "bridge"
	FeatureVeth     Feature = "veth"
	FeatureVXLAN    Feature = "vxlan"
	FeatureNftables Feature = "nftables"
	FeatureNAT      Feature = "nat"
	FeatureMacvlan  Feature = "macvlan"
	FeatureIPvlan   Feature = "ipvlan"
	FeatureVLAN     Feature = "vlan"
	FeatureDummy    Feature = "dummy"
	FeatureVRF      Feature = "vrf"
	FeatureESP      Feature = "esp"
	FeatureESP6     Feature = "esp6"
	// FeatureTBF and FeatureNetem are ways of sending.
	FeatureTBF   Feature = "tbf"
	FeatureNetem Feature = "netem"
	// FeatureIFB and FeatureMirred hold back what an interface gets.
	FeatureIFB    Feature = "ifb"
	FeatureMirred Feature = "mirred"
	// FeatureVLANFiltering is a bridge that keeps VLANs apart.
	FeatureVLANFiltering Feature = "vlan-filtering"
)

// Features lists, in order and once each, what the wanted world's objects need of a kernel.
// What the live world has of it shows that the kernel has it, and is left out: to try takes
// some milliseconds.
func Features(want, live World) []Feature {
	need := features(want)
	for f := range features(live) {
		delete(need, f)
	}
	return sortedKeys(need)
}

func features(w World) map[Feature]bool {
	need := map[Feature]bool{}
	for _, o := range w {
		switch o := o.(type) {
		case Link:
			if o.Type != Given {
				need[Feature(o.Type)] = true
			}
			if o.Filtering {
				need[FeatureVLANFiltering] = true
			}
		case Qdisc:
			for kind := range strings.FieldsSeq(o.Kinds()) {
				need[Feature(kind)] = true
			}
		case Redirect:
			need[FeatureMirred] = true
		case IPsecState:
			if o.Dst.Is6() {
				need[FeatureESP6] = true
			} else {
				need[FeatureESP] = true
			}
		case Ruleset:
			need[FeatureNftables] = true
		}
	}
	return need
}

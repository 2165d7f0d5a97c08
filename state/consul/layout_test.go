package consul

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/cnmctl/cnmctl/state"
)

func TestLayout(t *testing.T) {
	owner := func(a state.Address) state.Owner { return state.Owner{Stack: "my shop", Address: a} }
	ip := netip.MustParseAddr
	for want, o := range map[string]state.Object{
		"cnm/my~20shop/claim/front/10.1.0.2":               state.Claim{Network: "network.front", IP: ip("10.1.0.2"), Mark: owner("endpoint.a")},
		"cnm/my~20shop/claim/module.m['a'].network.n/fd::": state.Claim{Network: `module.m["a"].network.n`, IP: ip("fd::"), Mark: owner("endpoint.a")},
		"cnm/claim/vni/256":                                state.Claim{VNI: 256, Mark: owner("network.front")},
		"cnm/my~20shop/network/front":                      state.Network{Mark: owner("network.front")},
		"cnm/my~20shop/endpoint/front/web['a~2Fb']":        state.Endpoint{Mark: owner(`endpoint.web["a/b"]`), Network: "network.front"},
		"cnm/my~20shop/sandbox/a/web[0]":                   state.Sandbox{Mark: owner("sandbox.web[0]"), Host: "a"},
		"cnm/my~20shop/sandbox/-/web":                      state.Sandbox{Mark: owner("sandbox.web")},
		"cnm/my~20shop/sandbox/~2D/web":                    state.Sandbox{Mark: owner("sandbox.web"), Host: "-"},
		"cnm/my~20shop/host/a":                             state.HostRecord{Mark: owner("host.a"), Name: "a"},
	} {
		l := newLayout("cnm", "my shop")
		key, err := l.key(o)
		if err != nil || key != want {
			t.Errorf("%s is at %s, want %s (%v)", o.Key(), key, want, err)
		}
		if kind := l.kind(key); kind != o.Key().Kind {
			t.Errorf("%s holds a %q", key, kind)
		}
		text, err := encode(o)
		if err != nil {
			t.Fatal(err)
		}
		back, err := l.decode(key, text, "my shop")
		if err != nil || !state.Compare(o, back).Same() {
			t.Errorf("%s holds %s, which is read as %v (%v)", key, text, back, err)
		}
		if _, err := l.decode(key+"x", text, "my shop"); err == nil {
			t.Errorf("%s is read at another place without a word", text)
		}
	}
}

func TestKeysOfOthers(t *testing.T) {
	l := newLayout("cnm", "shop")
	for _, key := range []string{"cnm/shop/revision", "cnm/shop/lock", "cnm/shop/alive/a", "cnm/shop/attached/a/front/db", "cnm/shop/status/a",
		"cnm/shop/network/", "cnm/shopping/network/a", "cnm/lab/network/a", "other", ""} {
		if kind := l.kind(key); kind != "" {
			t.Errorf("%s is taken for a %s", key, kind)
		}
	}
}

// Different texts are different components, and none can leave its place.
func FuzzComponent(f *testing.F) {
	for _, text := range []string{"", ".", "..", "-", "a b", `["a"]`, "['a']", "~20", "ä/ö", "\xff", "a\x00b"} {
		f.Add(text, text+"x")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		x, y := component(a), component(b)
		if (a == b) != (x == y) {
			t.Errorf("%q and %q are %q and %q", a, b, x, y)
		}
		if strings.ContainsAny(x, "/ %?#\\\x00") || x == "." || x == ".." || x == anyHost {
			t.Errorf("%q is %q", a, x)
		}
	})
}

// FuzzDecode: what others put at our keys is an error, never a panic; what is accepted is
// written again as it was read.
func FuzzDecode(f *testing.F) {
	for _, text := range []string{"", "{}", "null", `{"Mark":{"Stack":"shop","Address":"network.a"},"Name":"a"}`, `{"Mark":{"Stack":"shop"}} {}`, `{"New":1}`} {
		f.Add("network/a", []byte(text))
	}
	f.Add("claim/front/10.1.0.2", []byte(`{"Network":"network.front","IP":"10.1.0.2","Mark":{"Stack":"shop","Address":"endpoint.a"}}`))
	f.Fuzz(func(t *testing.T, rest string, text []byte) {
		l := newLayout("cnm", "shop")
		o, err := l.decode(l.root+rest, text, "shop")
		if err != nil {
			return
		}
		again, err := encode(o)
		if err != nil {
			t.Fatal(err)
		}
		back, err := l.decode(l.root+rest, again, "shop")
		if err != nil || !state.Compare(o, back).Same() {
			t.Fatalf("%q became %q (%v)", text, again, err)
		}
	})
}

package state_test

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/cnmctl/cnmctl/state"
)

func TestSPI(t *testing.T) {
	a, b := netip.MustParseAddr("10.99.0.10"), netip.MustParseAddr("10.99.0.11")
	seen := map[uint32]string{}
	for _, stack := range []string{"shop", "lab"} {
		for generation := uint32(1); generation < 100; generation++ {
			for _, ends := range [][2]netip.Addr{{a, b}, {b, a}} {
				spi := state.SPI(stack, ends[0], ends[1], generation)
				name := fmt.Sprint(stack, ends, generation)
				if spi < 256 || seen[spi] != "" {
					t.Errorf("%s has SPI %#x, which is reserved or that of %s", name, spi, seen[spi])
				}
				seen[spi] = name
			}
		}
	}
	// Both ends and all versions have to agree.
	if spi := state.SPI("shop", a, b, 1); spi != 0x993d7777 {
		t.Errorf("the SPI is %#x by now", spi)
	}
}

func TestDerive(t *testing.T) {
	secret, err := state.NewSecret([]byte(strings.Repeat("s", state.SecretSize)))
	if err != nil {
		t.Fatal(err)
	}
	a, b := netip.MustParseAddr("10.99.0.10"), netip.MustParseAddr("10.99.0.11")
	seen := map[string]bool{}
	for _, s := range []state.IPsecState{
		state.NewIPsecState("shop", state.Host, a, b, 1), state.NewIPsecState("shop", state.Host, b, a, 1),
		state.NewIPsecState("shop", state.Host, a, b, 2), state.NewIPsecState("lab", state.Host, a, b, 1),
	} {
		key, err := s.Derive(secret)
		if err != nil || len(key) != 20 || seen[string(key)] {
			t.Errorf("the key of %s has %d bytes, or is another's (%v)", s.Key(), len(key), err)
		}
		seen[string(key)] = true
	}
	key, _ := state.NewIPsecState("shop", state.Host, a, b, 1).Derive(secret)
	if text := hex.EncodeToString(key); text != "c83af45fd362fd457b441e4c1d31af00eab41aab" {
		t.Errorf("the key is %s by now", text)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		if text := fmt.Sprintf(verb, secret); strings.Contains(text, "ss") || strings.Contains(text, "7373") {
			t.Errorf("%s prints the secret: %s", verb, text)
		}
	}
	if _, err := state.NewSecret([]byte("short")); err == nil {
		t.Error("a short secret was taken")
	}
}

func TestRotation(t *testing.T) {
	k := state.NewKeyring("shop")
	for _, want := range []struct {
		first, last, sending uint32
		doing                string
	}{
		{1, 2, 1, "receive with key 2"}, {1, 2, 2, "send with key 2"}, {2, 2, 2, "forget key 1"}, {2, 3, 2, "receive with key 3"},
	} {
		next, doing := k.Rotated()
		if next.First != want.first || next.Last != want.last || next.Sending != want.sending || doing != want.doing || next.Check() != nil {
			t.Errorf("after %+v: %+v (%s), want %+v", k, next, doing, want)
		}
		k = next
	}
	for _, bad := range []state.Keyring{{}, {First: 1, Last: 3, Sending: 1}, {First: 2, Last: 1, Sending: 1}, {First: 1, Last: 1, Sending: 2}} {
		if bad.Check() == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
}

package kernel

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cnmctl/cnmctl/state"
	"github.com/cnmctl/cnmctl/state/kernel/kerneltest"
)

// secretOf is a secret for tests, the same for one generation.
func secretOf(generation uint32) state.Secret {
	s, err := state.NewSecret([]byte(strings.Repeat(string(rune('a'+generation)), state.SecretSize)))
	if err != nil {
		panic(err)
	}
	return s
}

// withSecrets has the kernel find these generations in its store.
func (b *bench) withSecrets(generations ...uint32) {
	b.k.askSecrets = func(context.Context) (map[uint32]state.Secret, error) {
		secrets := map[uint32]state.Secret{}
		for _, g := range generations {
			secrets[g] = secretOf(g)
		}
		return secrets, nil
	}
}

func policy(s state.IPsecState) state.IPsecPolicy {
	return state.IPsecPolicy{Place: s.Place, Src: s.Src, Dst: s.Dst, SPI: s.SPI, Form: state.IPsecForm, Mark: s.Mark}
}

func TestIPsec(t *testing.T) {
	b := newBench(t)
	kerneltest.Elsewhere(t, b.k.Probe(t.Context(), []state.Feature{state.FeatureESP, state.FeatureESP6}))
	b.withSecrets(1, 2)
	b.apply(create(guarded())...)
	for _, ends := range [][2]string{{"10.99.0.10", "10.99.0.11"}, {"2001:db8::a", "2001:db8::b"}} {
		here, there := ip(ends[0]), ip(ends[1])
		out, in := state.NewIPsecState(stack, state.Host, here, there, 1), state.NewIPsecState(stack, state.Host, there, here, 1)
		newer, pol := state.NewIPsecState(stack, state.Host, here, there, 2), policy(out)
		for range 2 { // twice is once
			b.apply(create(out, in, newer)...)
			b.apply(create(pol)...)
		}
		b.same(out, in, newer, pol)
		b.shows("ip xfrm state", fmt.Sprintf("spi %#08x reqid", out.SPI), "rfc4106(gcm(aes))", "mode transport", fmt.Sprint(state.IPsecMark(stack)))
		b.shows("ip xfrm policy", "dir out", fmt.Sprintf("mark %#x/0xffffffff", state.IPsecMark(stack)), fmt.Sprintf("spi %#08x", out.SPI))

		b.apply(update(pol, policy(newer)))
		b.same(policy(newer))
		b.shows("ip xfrm policy", fmt.Sprintf("spi %#08x", newer.SPI))

		// What others have changed is seen, and can be put right.
		b.Sh(fmt.Sprintf("ip xfrm policy update src %s dst %s proto udp dir out mark %#x action block", here, there, state.IPsecMark(stack)))
		if p := b.live()[pol.Key()].(state.IPsecPolicy); p.Form != "block" {
			t.Errorf("a policy that blocks is %+v", p)
		}
		b.apply(update(b.live()[pol.Key()], policy(newer)))
		b.same(policy(newer))
		b.Sh(fmt.Sprintf("ip xfrm state del src %s dst %s proto esp spi %#x", here, there, out.SPI))
		b.gone(out)
		b.Sh(fmt.Sprintf("ip xfrm state add src %s dst %s proto esp spi %#x reqid %d mode transport aead 'rfc4106(gcm(aes))' 0x%s 128",
			here, there, out.SPI, state.IPsecMark(stack), strings.Repeat("07", 20)))
		if s := b.live()[out.Key()].(state.IPsecState); s.Generation != 0 {
			t.Errorf("a state with the key of somebody else is %+v", s)
		}
		// It is not ours to know whether a name is taken by what we would make.
		if err := b.try(create(out)...); err == nil || !strings.Contains(err.Error(), "generation 0 instead of 1") {
			t.Errorf("error %v", err)
		}
		b.apply(remove(out)...)
		b.apply(create(out)...)
		b.same(out, in, newer)
		for range 2 {
			b.apply(remove(policy(newer))...)
			b.apply(remove(out, in, newer)...)
		}
		b.gone(out, in, newer, pol)
	}
	if left := b.Sh("ip xfrm state; ip xfrm policy"); left != "" {
		t.Errorf("left behind:\n%s", left)
	}
	b.apply(remove(guarded())...)
}

// TestIPsecOfOthers: nothing is seen of what is not the stack's, and its states are known by
// their SPIs when nobody tells the secrets.
func TestIPsecOfOthers(t *testing.T) {
	b := newBench(t)
	kerneltest.Elsewhere(t, b.k.Probe(t.Context(), []state.Feature{state.FeatureESP}))
	b.withSecrets(1)
	b.apply(create(guarded())...)
	mine := state.NewIPsecState(stack, state.Host, ip("10.99.0.10"), ip("10.99.0.11"), 1)
	b.Sh("ip xfrm state add src 10.99.0.10 dst 10.99.0.11 proto esp spi 0x999 reqid 7 mode transport aead 'rfc4106(gcm(aes))' 0x" + strings.Repeat("07", 20) + " 128")
	b.Sh("ip xfrm policy add src 10.99.0.10 dst 10.99.0.11 proto udp dir out tmpl src 10.99.0.10 dst 10.99.0.11 proto esp reqid 7 mode transport")
	b.apply(create(mine)...)
	for k := range b.live() {
		if k.Kind == state.KindIPsecPolicy || k.Kind == state.KindIPsecState && k != mine.Key() {
			t.Errorf("%s is taken for the stack's", k)
		}
	}
	b.k.askSecrets = func(context.Context) (map[uint32]state.Secret, error) {
		return nil, errors.New("the store does not answer")
	}
	b.same(mine)
	later := state.NewIPsecState(stack, state.Host, ip("10.99.0.10"), ip("10.99.0.11"), 2)
	if err := b.try(create(later)...); err == nil || !strings.Contains(err.Error(), "the store does not answer") {
		t.Errorf("error %v", err)
	}
	b.withSecrets(1)
	if err := b.try(create(later)...); err == nil || !strings.Contains(err.Error(), "no secret of generation 2") {
		t.Errorf("error %v", err)
	}
	b.apply(remove(mine)...)
	b.shows("ip xfrm state", "0x00000999")
	b.Sh("ip xfrm state flush; ip xfrm policy flush")
	b.apply(remove(guarded())...)
}

// TestIPsecWithoutESP: the error names the options.
func TestIPsecWithoutESP(t *testing.T) {
	err := &MissingError{[]state.Feature{state.FeatureESP}}
	if text := err.Error(); !strings.Contains(text, "CONFIG_INET_ESP") {
		t.Error(text)
	}
}

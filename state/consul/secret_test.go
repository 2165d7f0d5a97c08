package consul_test

import (
	"strings"
	"testing"

	"github.com/cnmctl/cnmctl/state"
	"github.com/cnmctl/cnmctl/state/consul"
)

// TestSecrets: a keyring's secrets come and go with its generations, stay what they are, and
// can be kept from a token that sees all records.
func TestSecrets(t *testing.T) {
	server := guarded(t)
	c := client(t, server, rootToken)
	with := func(secret string) *consul.Store {
		return open(t, server.HTTP, func(o *consul.Options) { o.Token = secret })
	}
	store := with(rootToken)
	ring := state.NewKeyring("shop")
	mustApply(t, store, creates(network("a"), ring))
	first, err := store.Secrets(t.Context())
	check(t, err)
	if len(first) != 1 {
		t.Fatalf("generations %v", first)
	}
	for _, want := range []string{"1 2", "1 2", "2"} {
		next, _ := ring.Rotated()
		mustApply(t, store, []state.Op{{Action: state.Update, Key: ring.Key(), Before: ring, After: next}})
		ring = next
		secrets, err := store.Secrets(t.Context())
		check(t, err)
		_, one := secrets[1]
		_, two := secrets[2]
		if one != strings.Contains(want, "1") || !two || one && !same(t, secrets[1], first[1]) {
			t.Errorf("with %+v there are %d secrets", ring, len(secrets))
		}
	}
	blind := with(token(t, c, enough+"\nkey_prefix \"cnm/keys/esp/\" { policy = \"deny\" }"))
	w, err := blind.Snapshot(t.Context())
	if err != nil || w[state.KeyringKey()] != ring {
		t.Errorf("reading the records: %v, %v", w, err)
	}
	if secrets, err := blind.Secrets(t.Context()); err == nil {
		t.Errorf("%d secrets were told", len(secrets))
	}
	mustApply(t, store, []state.Op{{Action: state.Delete, Key: ring.Key(), Before: ring}})
	if keys, _, err := c.KV().Keys("cnm/keys/", "", nil); err != nil || len(keys) > 0 {
		t.Errorf("left: %v, %v", keys, err)
	}
}

// same compares secrets by what is made of them.
func same(t *testing.T, a, b state.Secret) bool {
	t.Helper()
	s := state.IPsecState{}
	x, err := s.Derive(a)
	check(t, err)
	y, err := s.Derive(b)
	check(t, err)
	return string(x) == string(y)
}

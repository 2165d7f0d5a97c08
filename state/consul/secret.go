package consul

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/consul/api"
)

var _ state.SecretStore = (*Store)(nil)

// Secrets are those of the stack's keyring.
func (s *Store) Secrets(ctx context.Context) (map[uint32]state.Secret, error) {
	pairs, err := s.listSecrets(ctx)
	if err != nil {
		return nil, err
	}
	secrets := make(map[uint32]state.Secret, len(pairs))
	for _, p := range pairs {
		generation, err := s.generation(p.Key)
		if err != nil {
			return nil, err
		}
		bytes, err := base64.StdEncoding.DecodeString(string(p.Value))
		if err != nil {
			return nil, fmt.Errorf("reading %s in Consul: it is no secret of cnmctl's; 'cnmctl key rotate' makes a new one", p.Key)
		}
		if secrets[generation], err = state.NewSecret(bytes); err != nil {
			return nil, fmt.Errorf("reading %s in Consul: %w; 'cnmctl key rotate' makes a new one", p.Key, err)
		}
	}
	return secrets, nil
}

// listSecrets reads the stack's secrets. One is asked for by name: what a list leaves out,
// Consul does not tell those who come without a token.
func (s *Store) listSecrets(ctx context.Context) (pairs api.KVPairs, err error) {
	err = s.try(ctx, "reading the keys of stack "+s.stack, func(ctx context.Context) error {
		if _, _, err := s.client.KV().Get(s.keys.secret(1), consistent(ctx)); err != nil {
			return err
		}
		var meta *api.QueryMeta
		pairs, meta, err = s.client.KV().List(s.keys.secrets, consistent(ctx))
		if err == nil && meta.ResultsFilteredByACLs {
			return hidden("key:read", s.keys.secrets)
		}
		return err
	})
	return pairs, err
}

func (s *Store) generation(key string) (uint32, error) {
	n, err := strconv.ParseUint(strings.TrimPrefix(key, s.keys.secrets), 10, 32)
	if err != nil {
		return 0, fmt.Errorf("reading the keys of stack %s: %s in Consul is none of them; move it away", s.stack, key)
	}
	return uint32(n), nil
}

// secretChanges make a secret for each generation of a keyring that the wave writes, and
// remove those of others, in one transaction with the keyring. A secret is only ever
// created: who comes second with one does not change the keyring either.
func (s *Store) secretChanges(ctx context.Context, after state.World, wave []state.Op) ([]change, error) {
	concerned := false
	for _, op := range wave {
		concerned = concerned || op.Key == state.KeyringKey()
	}
	if !concerned {
		return nil, nil
	}
	pairs, err := s.listSecrets(ctx)
	if err != nil {
		return nil, err
	}
	ring, _ := after[state.KeyringKey()].(state.Keyring)
	missing := map[uint32]bool{}
	for _, generation := range ring.Generations() {
		missing[generation] = true
	}
	c := change{key: state.KeyringKey()}
	for _, p := range pairs {
		generation, err := s.generation(p.Key)
		if err != nil {
			return nil, err
		}
		if missing[generation] {
			delete(missing, generation)
			continue
		}
		c.ops = append(c.ops, s.unset(p.Key, p.ModifyIndex))
	}
	for generation := range missing {
		bytes := make([]byte, state.SecretSize)
		if _, err := rand.Read(bytes); err != nil {
			return nil, err
		}
		c.ops = append(c.ops, s.set(s.keys.secret(generation), []byte(base64.StdEncoding.EncodeToString(bytes)), 0))
	}
	if len(c.ops) == 0 {
		return nil, nil
	}
	return []change{c}, nil
}

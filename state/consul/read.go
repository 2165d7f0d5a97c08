package consul

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/consul/api"
)

// fewKeys is how many keys are read one by one rather than with all of the stack's.
const fewKeys = 60

// entry is a key as it was read.
type entry struct {
	value string
	index uint64
}

// tree is what was read of the stack: by the name of the key, ours only.
type tree struct {
	entries map[string]entry
	// world has other stacks' claims on VNIs too, as they are.
	world state.World
	// places are the keys at which an object is, the one that counts last.
	places   map[state.Key][]string
	revision entry
}

// Snapshot reads all of the stack's claims and records in one consistent read, and which
// VNIs other stacks hold.
func (s *Store) Snapshot(ctx context.Context) (state.World, error) {
	t, err := s.readAll(ctx)
	for k, o := range t.world {
		if holder := o.Owner(); holder.Stack != s.stack {
			t.world[k] = state.Foreign{K: k, What: fmt.Sprintf("a claim of stack %s (%s)", holder.Stack, holder.Address)}
		}
	}
	if err != nil {
		return nil, err
	}
	return t.world, s.witness(ctx, t.world)
}

// readAll reads everything below the stack's root, and the VNIs. One key of each is asked
// for by name: what a list leaves out, Consul does not tell those who come without a token.
func (s *Store) readAll(ctx context.Context) (tree, error) {
	if _, err := s.readSome(ctx, []string{s.keys.vnis + "0"}); err != nil {
		return tree{}, err
	}
	pairs, err := s.list(ctx, s.keys.root)
	if err != nil {
		return tree{}, err
	}
	vnis, err := s.list(ctx, s.keys.vnis)
	if err != nil {
		return tree{}, err
	}
	return s.plant(append(pairs, vnis...))
}

// list reads everything below a prefix. Consul leaves out silently what a token may not
// see; an answer with holes is no answer.
func (s *Store) list(ctx context.Context, prefix string) (pairs api.KVPairs, err error) {
	err = s.try(ctx, "reading the records of stack "+s.stack, func(ctx context.Context) error {
		var meta *api.QueryMeta
		var err error
		pairs, meta, err = s.client.KV().List(prefix, consistent(ctx))
		if err == nil && meta.ResultsFilteredByACLs {
			return hidden("key:read", prefix)
		}
		return err
	})
	return pairs, err
}

// readSome reads the keys in one consistent transaction, and the revision. Who holds the
// lock also learns here that it is lost, before acting on what another may have written.
func (s *Store) readSome(ctx context.Context, keys []string) (tree, error) {
	if err := s.lockLost(); err != nil {
		return tree{}, err
	}
	ops := append(s.fence(), s.op(api.KVGetOrEmpty, s.keys.revision()))
	for _, k := range keys {
		ops = append(ops, s.op(api.KVGetOrEmpty, k))
	}
	pairs, err := s.transact(ctx, ops, consistent(ctx))
	if err != nil {
		return tree{}, err
	}
	return s.plant(pairs)
}

// transact makes a transaction that only reads, and returns the keys that there are.
func (s *Store) transact(ctx context.Context, ops api.TxnOps, opts *api.QueryOptions) (pairs api.KVPairs, err error) {
	var answer *api.TxnResponse
	doing := "reading records of stack " + s.stack
	err = s.try(ctx, doing, func(ctx context.Context) error {
		var err error
		_, answer, _, err = s.client.Txn().Txn(ops, opts.WithContext(ctx))
		if err == nil && len(answer.Errors) == 0 && len(answer.Results) != len(ops) {
			return hidden("key:read", s.keys.root)
		}
		return err
	})
	if err == nil {
		err = s.refusal(doing, ops, answer)
	}
	if err != nil {
		return nil, err
	}
	for _, r := range answer.Results {
		if r.KV.ModifyIndex > 0 {
			pairs = append(pairs, r.KV)
		}
	}
	return pairs, nil
}

// plant makes a tree of pairs. Of an object that is at two keys (it is moving from one to
// the other, or a change was cut in half) the later one is true.
func (s *Store) plant(pairs api.KVPairs) (tree, error) {
	t := tree{entries: make(map[string]entry, len(pairs)), world: make(state.World, len(pairs)), places: make(map[state.Key][]string, len(pairs))}
	slices.SortFunc(pairs, func(a, b *api.KVPair) int { return cmp.Compare(a.ModifyIndex, b.ModifyIndex) })
	for _, p := range pairs {
		e := entry{string(p.Value), p.ModifyIndex}
		if p.Key == s.keys.revision() {
			t.revision = e
		}
		if s.keys.kind(p.Key) == "" {
			continue
		}
		o, err := s.keys.decode(p.Key, p.Value, s.stack)
		if err != nil {
			return tree{}, err
		}
		k := o.Key()
		t.entries[p.Key], t.world[k], t.places[k] = e, o, append(t.places[k], p.Key)
	}
	return t, nil
}

// hidden is Consul's refusal, for what it left out without a word.
func hidden(right, key string) error {
	return api.StatusError{Code: http.StatusForbidden, Body: fmt.Sprintf("the token lacks permission %q on some of %q", right, key)}
}

// op is an operation on a key in a transaction.
func (s *Store) op(verb api.KVOp, key string) *api.TxnOp {
	return &api.TxnOp{KV: &api.KVTxnOp{Verb: verb, Key: key, Namespace: s.namespace}}
}

func consistent(ctx context.Context) *api.QueryOptions {
	return (&api.QueryOptions{RequireConsistent: true}).WithContext(ctx)
}

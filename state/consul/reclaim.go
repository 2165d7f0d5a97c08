package consul

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/consul/api"
)

// Reclaim claims what nobody has claimed, and returns how many those were and what others have
// claimed of it. It does not take the lock, for which a thousand hosts would queue: each of its
// transactions checks that nobody has it. Nor does it make a revision, which would wake all of
// them: who follows records reads no claims.
func (s *Store) Reclaim(ctx context.Context, claims []state.Claim) (claimed int, others []state.Claim, err error) {
	for some := range slices.Chunk(claims, fewKeys) {
		n, theirs, err := s.reclaim(ctx, some)
		if err != nil {
			return claimed, others, err
		}
		claimed, others = claimed+n, append(others, theirs...)
	}
	return claimed, others, nil
}

func (s *Store) reclaim(ctx context.Context, claims []state.Claim) (claimed int, others []state.Claim, err error) {
	for try := 1; ; try++ {
		var ops api.TxnOps
		if ops, others, err = s.unclaimed(ctx, claims); err != nil || len(ops) == 1 {
			return 0, others, err
		}
		if _, err = s.commit(ctx, ops); err == nil {
			return len(ops) - 1, others, nil
		}
		if !errors.Is(err, errConflict) || try == mostTries {
			return 0, others, err
		}
		if err := pause(ctx, rand.N(time.Duration(try)*10*time.Millisecond)); err != nil {
			return 0, others, err
		}
	}
}

// unclaimed are the operations that claim what nobody has, after one that checks that the lock
// is still nobody's.
func (s *Store) unclaimed(ctx context.Context, claims []state.Claim) (ops api.TxnOps, others []state.Claim, err error) {
	ops = api.TxnOps{s.op(api.KVGetOrEmpty, s.keys.lock())}
	for _, c := range claims {
		key, err := s.keys.key(c)
		if err != nil {
			return nil, nil, err
		}
		ops = append(ops, s.op(api.KVGetOrEmpty, key))
	}
	pairs, err := s.transact(ctx, ops, consistent(ctx))
	if err != nil {
		return nil, nil, err
	}
	free := s.op(api.KVCheckNotExists, s.keys.lock())
	for _, p := range pairs {
		if p.Key != s.keys.lock() {
			continue
		}
		if l := lockIn(p); l.session != "" {
			return nil, nil, s.lockedError(l)
		}
		free = s.op(api.KVCheckIndex, s.keys.lock())
		free.KV.Index = p.ModifyIndex
	}
	there, err := s.plant(pairs)
	if err != nil {
		return nil, nil, err
	}
	ops = api.TxnOps{free}
	for _, c := range claims {
		if held, taken := there.world[c.Key()].(state.Claim); taken {
			if held.Mark != c.Mark {
				others = append(others, held)
			}
			continue
		}
		op, err := s.changesOf(there, c, c.Key())
		if err != nil {
			return nil, nil, err
		}
		ops = append(ops, op...)
	}
	return ops, others, nil
}

package consul

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/consul/api"
)

// Report writes what a host says of itself. It is no record, so the revision stays.
//
// A host tells again and again until it is heard, and by then Consul may have lost its data. A
// report there would say that the host has known this store, and that the stack of which there
// is nothing was destroyed. So it is written only beside the revision that it speaks of, or one
// that is known to have come of that: its index alone may be that of another time. Otherwise, and
// of a stack that is gone, it is written only in the place of an earlier report.
func (s *Store) Report(ctx context.Context, status state.Status) error {
	value, err := json.Marshal(status)
	if err != nil {
		return err
	}
	place := s.keys.status(status.Host)
	write := s.op(api.KVSet, place)
	write.KV.Value = value
	for index, try := status.Index, 0; try < mostTries; try++ {
		if index > 0 {
			check := s.op(api.KVCheckIndex, s.keys.revision())
			check.KV.Index = index
			if err = s.report(ctx, status.Host, api.TxnOps{check, write}); !errors.Is(err, errConflict) {
				return err
			}
		}
		now, err := s.latestEdition(ctx)
		if err != nil {
			return err
		}
		_, come := now.news().Since(status.Revision)
		if index = now.index; index > 0 && (come || status.Index == 0) {
			continue
		}
		before, err := s.indexOf(ctx, place)
		if err != nil || status.Index > now.index || before == 0 {
			return err
		}
		return s.report(ctx, status.Host, api.TxnOps{s.set(place, value, before)})
	}
	return err
}

func (s *Store) report(ctx context.Context, host string, ops api.TxnOps) error {
	var answer *api.TxnResponse
	doing := "reporting the status of host " + host
	err := s.try(ctx, doing, func(ctx context.Context) (err error) {
		_, answer, _, err = s.client.Txn().Txn(ops, (&api.QueryOptions{}).WithContext(ctx))
		return err
	})
	if err != nil {
		return err
	}
	return s.refusal(doing, ops, answer)
}

// indexOf is the index of a key, 0 for none.
func (s *Store) indexOf(ctx context.Context, key string) (index uint64, err error) {
	var pair *api.KVPair
	err = s.try(ctx, "reading "+key, func(ctx context.Context) (err error) {
		pair, _, err = s.client.KV().Get(key, consistent(ctx))
		return err
	})
	if err != nil || pair == nil {
		return 0, err
	}
	return pair.ModifyIndex, nil
}

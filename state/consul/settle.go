package consul

import (
	"context"
	"encoding/json"
	"time"

	"github.com/hashicorp/consul/api"
)

// A store without the key cnm/settled is new, or has lost its data, which nobody can tell
// from each other: what hosts hold is not in it then. So nothing that they may hold is given
// out before they had the time to put it back. Their agents look every few seconds for a
// Consul that is away, and renew their sessions every five; where they are many and keep on
// putting VNIs back, they get more time.
const (
	settlingFor    = 8 * time.Second
	settlingAtMost = time.Minute
	quietFor       = 2 * time.Second
	lookEvery      = 250 * time.Millisecond
)

// settlement says that the store is settled, or that somebody waits until it is. A store that
// loses its data loses this too, so who waits for it begins anew.
type settlement struct {
	When    time.Time
	From    string
	Waiting bool `json:",omitempty"`
}

// settling is how long somebody has waited for one settlement.
type settling struct {
	index  uint64
	since  time.Time
	claims int
	// changed is when there was another number of claims.
	changed time.Time
}

// over takes note of what there is, and reports that it need not be waited for any longer.
func (w *settling) over(now time.Time, index uint64, claims int) bool {
	if index != w.index {
		*w = settling{index: index, since: now, claims: claims, changed: now}
	}
	if claims != w.claims {
		w.claims, w.changed = claims, now
	}
	waited := now.Sub(w.since)
	return index > 0 && (waited >= settlingAtMost || waited >= settlingFor && now.Sub(w.changed) >= quietFor)
}

// Settled reports that hosts had the time to put back what they hold.
func (s *Store) Settled(ctx context.Context) (bool, error) {
	now, index, err := s.settlement(ctx)
	return index > 0 && !now.Waiting, err
}

// Settle waits until the store is settled. Before it begins to, it tells for how long at least.
func (s *Store) Settle(ctx context.Context, waiting func(time.Duration)) error {
	if settled, err := s.Settled(ctx); err != nil || settled {
		return err
	}
	waiting(settlingFor)
	for w := (settling{}); ; {
		now, index, err := s.settlement(ctx)
		if err != nil || index > 0 && !now.Waiting {
			return err
		}
		claims, err := s.countVNIs(ctx)
		if over := w.over(time.Now(), index, claims); err == nil && (index == 0 || over) {
			err = s.putSettlement(ctx, !over, index)
		}
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lookEvery):
		}
	}
}

func (s *Store) settlement(ctx context.Context) (now settlement, index uint64, err error) {
	var pair *api.KVPair
	err = s.try(ctx, "reading "+s.keys.settled, func(ctx context.Context) (err error) {
		pair, _, err = s.client.KV().Get(s.keys.settled, consistent(ctx))
		return err
	})
	if err != nil || pair == nil {
		return settlement{}, 0, err
	}
	if err := json.Unmarshal(pair.Value, &now); err != nil {
		return settlement{}, 0, &valueError{s.keys.settled, err}
	}
	return now, pair.ModifyIndex, nil
}

// putSettlement writes the key if it is as it was read. Who comes second reads what the
// first one wrote.
func (s *Store) putSettlement(ctx context.Context, waiting bool, index uint64) error {
	value, err := json.Marshal(settlement{time.Now().UTC().Truncate(time.Millisecond), s.who, waiting})
	if err != nil {
		return err
	}
	pair := &api.KVPair{Key: s.keys.settled, Value: value, ModifyIndex: index}
	return s.try(ctx, "writing "+s.keys.settled, func(ctx context.Context) error {
		_, _, err := s.client.KV().CAS(pair, (&api.WriteOptions{}).WithContext(ctx))
		return err
	})
}

func (s *Store) countVNIs(ctx context.Context) (n int, err error) {
	var keys []string
	err = s.try(ctx, "listing the claims on VNIs", func(ctx context.Context) (err error) {
		keys, _, err = s.client.KV().Keys(s.keys.vnis, "", consistent(ctx))
		return err
	})
	return len(keys), err
}

package consul

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
)

// A store without the key cnm/settled is new, or has lost its data, which nobody can tell
// from each other: what hosts hold is not in it then. So nothing that they may hold is given
// out before they had the time to put it back. Their agents look every few seconds for a
// Consul that is away, and renew their sessions every five; where they are many and keep on
// putting claims back, they get more time.
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
	index uint64
	since time.Time
	// claims is the index of the latest claim, changed when it became another.
	claims  uint64
	changed time.Time
}

// over takes note of what there is, and reports that it need not be waited for any longer.
func (w *settling) over(now time.Time, index, claims uint64) bool {
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
	now, index, err := s.settlement(ctx, 0)
	return index > 0 && !now.Waiting, err
}

// Settle waits until the store is settled. Before it begins to, it tells for how long at least.
// A thousand agents may wait at once: who came first looks after the claims, and the others ask
// Consul to tell them of the end. They look themselves only now and then, in case that one is
// dead.
func (s *Store) Settle(ctx context.Context, waiting func(time.Duration)) error {
	if settled, err := s.Settled(ctx); err != nil || settled {
		return err
	}
	waiting(settlingFor)
	first := false
	var known uint64
	for w := (settling{}); ; {
		now, index, err := s.settlement(ctx, known)
		if err != nil || index > 0 && !now.Waiting {
			return err
		}
		claims, err := s.latestClaim(ctx)
		if err != nil {
			return err
		}
		if over := w.over(time.Now(), index, claims); index == 0 || over {
			if first, err = s.putSettlement(ctx, !over, index); err != nil {
				return err
			}
			known = 0
			continue
		}
		if known = index; first {
			known = 0
			if err := pause(ctx, lookEvery); err != nil {
				return err
			}
		}
	}
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// settlement is what is said now; if an index is known, as soon as something else is, or
// when it is time to look oneself.
func (s *Store) settlement(ctx context.Context, known uint64) (now settlement, index uint64, err error) {
	var pair *api.KVPair
	opts := &api.QueryOptions{RequireConsistent: true}
	if known > 0 {
		opts = &api.QueryOptions{WaitIndex: known, WaitTime: settlingFor}
	}
	err = s.try(ctx, "reading "+s.keys.settled, func(ctx context.Context) (err error) {
		pair, _, err = s.client.KV().Get(s.keys.settled, opts.WithContext(ctx))
		opts.WaitIndex = 0 // another try may ask a Consul that has lost its data, see Await
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

// putSettlement writes the key if it is as it was read, and says whether it did. Who comes
// second reads what the first one wrote.
func (s *Store) putSettlement(ctx context.Context, waiting bool, index uint64) (written bool, err error) {
	value, err := json.Marshal(settlement{time.Now().UTC().Truncate(time.Millisecond), s.who, waiting})
	if err != nil {
		return false, err
	}
	pair := &api.KVPair{Key: s.keys.settled, Value: value, ModifyIndex: index}
	err = s.try(ctx, "writing "+s.keys.settled, func(ctx context.Context) (err error) {
		written, _, err = s.client.KV().CAS(pair, (&api.WriteOptions{}).WithContext(ctx))
		return err
	})
	return written, err
}

// latestClaim is the index of the latest claim of all stacks, 0 for none. Consul sends no more
// than the names of stacks and networks for that.
func (s *Store) latestClaim(ctx context.Context) (latest uint64, err error) {
	stacks, _, err := s.folders(ctx, s.policy+"/")
	if err != nil {
		return 0, err
	}
	places := []string{s.keys.vnis}
	for _, stack := range stacks {
		if strings.HasSuffix(stack, "/") {
			places = append(places, stack+claimDir)
		}
	}
	for _, place := range places {
		claims, index, err := s.folders(ctx, place)
		if err != nil {
			return 0, err
		}
		if len(claims) > 0 { // else it is the index of something else
			latest = max(latest, index)
		}
	}
	return latest, nil
}

// folders lists what there is directly below a prefix, with the index of the latest change
// of anything below it.
func (s *Store) folders(ctx context.Context, prefix string) (names []string, index uint64, err error) {
	err = s.try(ctx, "looking for claims", func(ctx context.Context) error {
		keys, meta, err := s.client.KV().Keys(prefix, "/", consistent(ctx))
		if err == nil {
			names, index = keys, meta.LastIndex
		}
		return err
	})
	return names, index, err
}

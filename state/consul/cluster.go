package consul

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/consul/api"
)

var _ state.Cluster = (*Store)(nil)

// blockFor is how long a blocking query waits for a change: as long as an answer may take.
const blockFor = 45 * time.Second

// Revision is the stack's present one.
func (s *Store) Revision(ctx context.Context) (state.Revision, error) {
	now, err := s.Latest(ctx)
	return now.Revision, err
}

// Latest is the present revision with what led to it.
func (s *Store) Latest(ctx context.Context) (state.News, error) {
	now, _, err := s.readRevision(ctx, consistent(ctx))
	return now, err
}

// Await returns as soon as the revision is another than the known one. It asks whichever
// server it is connected to, and that one only sends what is new: a thousand hosts that
// wait cost the leader nothing.
func (s *Store) Await(ctx context.Context, known state.Revision) (state.News, error) {
	index := known.Index
	if s.estranged.Swap(false) {
		index = 0
	}
	for {
		opts := (&api.QueryOptions{AllowStale: true, WaitIndex: index, WaitTime: blockFor}).WithContext(ctx)
		now, seen, err := s.readRevision(ctx, opts)
		if err != nil {
			// Who answers next may be a Consul that has lost its data. It counts from the
			// beginning, and would have us wait until it gets where the last one was.
			s.estranged.Store(true)
			return now, err
		}
		if now.Revision != known {
			return now, nil
		}
		if seen < index {
			seen = 0 // the index went back: Consul was restored
		}
		index = seen
	}
}

// latestEdition is the revision with the index of its key.
func (s *Store) latestEdition(ctx context.Context) (edition, error) {
	e, _, err := s.readEdition(ctx, consistent(ctx))
	return e, err
}

func (s *Store) readRevision(ctx context.Context, opts *api.QueryOptions) (now state.News, seen uint64, err error) {
	e, seen, err := s.readEdition(ctx, opts)
	return e.news(), seen, err
}

func (s *Store) readEdition(ctx context.Context, opts *api.QueryOptions) (now edition, seen uint64, err error) {
	var pair *api.KVPair
	err = s.try(ctx, "reading the revision of stack "+s.stack, func(ctx context.Context) error {
		var meta *api.QueryMeta
		var err error
		if pair, meta, err = s.client.KV().Get(s.keys.revision(), opts.WithContext(ctx)); err == nil {
			seen = meta.LastIndex
		}
		opts.WaitIndex = 0 // another try may ask a Consul that has lost its data, see Await
		return err
	})
	if err != nil || pair == nil {
		return edition{}, seen, err
	}
	now, err = s.edition(entry{string(pair.Value), pair.ModifyIndex})
	return now, seen, err
}

// Hosts are the records of hosts.
func (s *Store) Hosts(ctx context.Context) (state.World, error) {
	pairs, err := s.list(ctx, s.keys.root+hostDir)
	if err != nil {
		return nil, err
	}
	t, err := s.plant(pairs)
	return t.world, err
}

// Retract removes what a host said of itself.
func (s *Store) Retract(ctx context.Context, host string) error {
	return s.try(ctx, "removing the status of host "+host, func(ctx context.Context) error {
		_, err := s.client.KV().Delete(s.keys.status(host), (&api.WriteOptions{}).WithContext(ctx))
		return err
	})
}

// Said is what one host says.
func (s *Store) Said(ctx context.Context, host string) (status state.Status, ok bool, err error) {
	var pair *api.KVPair
	err = s.try(ctx, "reading the status of host "+host, func(ctx context.Context) (err error) {
		pair, _, err = s.client.KV().Get(s.keys.status(host), consistent(ctx))
		return err
	})
	if err != nil || pair == nil {
		return state.Status{}, false, err
	}
	status, ok = s.status(pair)
	return status, ok, nil
}

// status reads what a host says. A value that is no status is somebody else's.
func (s *Store) status(p *api.KVPair) (status state.Status, ok bool) {
	ok = json.NewDecoder(bytes.NewReader(p.Value)).Decode(&status) == nil && s.keys.status(status.Host) == p.Key
	return status, ok
}

// Statuses are what the hosts say.
func (s *Store) Statuses(ctx context.Context, known uint64) (all []state.Status, next uint64, err error) {
	opts := &api.QueryOptions{RequireConsistent: true}
	if known > 0 {
		opts = &api.QueryOptions{WaitIndex: known, WaitTime: blockFor}
	}
	var pairs api.KVPairs
	err = s.try(ctx, "reading the hosts' statuses of stack "+s.stack, func(ctx context.Context) error {
		var meta *api.QueryMeta
		var err error
		if pairs, meta, err = s.client.KV().List(s.keys.root+statusDir, opts.WithContext(ctx)); err == nil {
			next = meta.LastIndex
		}
		opts.WaitIndex = 0 // see Await
		return err
	})
	for _, p := range pairs {
		if status, ok := s.status(p); ok {
			all = append(all, status)
		}
	}
	if next < known {
		next = 0
	}
	return all, next, err
}

// Attend holds the key of a living agent with a session of its own, which takes the key
// along when it ends: when the agent says so, or is silent for the time to live.
func (s *Store) Attend(ctx context.Context, info state.LockInfo, host string, begun func()) error {
	key := s.keys.alive(host)
	id, err := s.attendingSession(ctx, host)
	if err != nil {
		return err
	}
	defer s.endSession(id)
	value, err := json.Marshal(info)
	if err != nil {
		return err
	}
	pair, held := &api.KVPair{Key: key, Value: value, Session: id}, false
	err = s.try(ctx, "saying that the agent of host "+host+" is alive", func(ctx context.Context) (err error) {
		held, _, err = s.client.KV().Acquire(pair, (&api.WriteOptions{}).WithContext(ctx))
		return err
	})
	if err == nil && !held {
		err = fmt.Errorf("saying that the agent of host %s is alive: another one says so already (see %s); "+
			"one that died is forgotten within %s", host, key, 2*s.ttl)
	}
	if err != nil {
		return err
	}
	begun()
	return s.keepAttending(ctx, id, host)
}

func (s *Store) attendingSession(ctx context.Context, host string) (id string, err error) {
	err = s.try(ctx, "making a session for the agent of host "+host, func(ctx context.Context) (err error) {
		id, _, err = s.client.Session().CreateNoChecks(&api.SessionEntry{
			Name: "cnmctl " + s.keys.alive(host), TTL: s.ttl.String(), LockDelay: time.Millisecond, Behavior: api.SessionBehaviorDelete,
		}, (&api.WriteOptions{}).WithContext(ctx))
		return err
	})
	return id, err
}

func (s *Store) keepAttending(ctx context.Context, id, host string) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(s.ttl / 3):
		}
		var entry *api.SessionEntry
		err := s.try(ctx, "renewing the session of host "+host, func(ctx context.Context) (err error) {
			entry, _, err = s.client.Session().Renew(id, (&api.WriteOptions{}).WithContext(ctx))
			return err
		})
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		case entry == nil:
			return fmt.Errorf("renewing the session of host %s: Consul has forgotten it", host)
		}
	}
}

// Attended lists the hosts whose agents are alive, as they are written in keys.
func (s *Store) Attended(ctx context.Context) (hosts []string, err error) {
	var keys []string
	err = s.try(ctx, "listing the living agents of stack "+s.stack, func(ctx context.Context) (err error) {
		keys, _, err = s.client.KV().Keys(s.keys.root+aliveDir, "", consistent(ctx))
		return err
	})
	for _, k := range keys {
		hosts = append(hosts, strings.TrimPrefix(k, s.keys.root+aliveDir))
	}
	return hosts, err
}

package consul

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/consul/api"
)

// mostTries is how often a change is begun anew because others changed the same records.
const mostTries = 20

var errConflict = errors.New("others changed the same records meanwhile")

// Apply writes the wave. When it fits into one transaction it is seen as a whole; a bigger
// one is written in several, and who is cut off in between goes on from there next time.
// Nothing is written while the lock that this store took is lost.
func (s *Store) Apply(ctx context.Context, wave []state.Op, done func(i int, err error)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(wave) == 0 {
		return nil
	}
	tell := newTeller(wave, done)
	for try := 1; ; try++ {
		again, err := s.attempt(ctx, wave, tell)
		if err == nil {
			tell.all()
			return nil
		}
		if !again {
			return err
		}
		if try == mostTries {
			return fmt.Errorf("writing the records of stack %s: %w, %d times; take the lock to keep them out", s.stack, err, mostTries)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(rand.N(time.Duration(try) * 10 * time.Millisecond)):
		}
	}
}

// attempt reads, compares and writes once. It says whether reading anew may help.
func (s *Store) attempt(ctx context.Context, wave []state.Op, tell *teller) (again bool, err error) {
	if err := s.lockLost(); err != nil {
		return false, err
	}
	t, err := s.readFor(ctx, wave)
	if err != nil {
		return false, err
	}
	after, failed, err := state.Commit(t.world, wave)
	if err != nil {
		tell.op(failed, err)
		return false, err
	}
	changes, err := s.changes(t, after, wave)
	if err != nil {
		return false, err
	}
	services, err := s.services(ctx, t.world, after, wave)
	if err != nil {
		return false, err
	}
	secrets, err := s.secretChanges(ctx, after, wave)
	if err != nil {
		return false, err
	}
	changes = merge(merge(changes, services), secrets)
	now, err := s.edition(t.revision)
	if err != nil || len(changes) == 0 && now.Begun == nil {
		return false, err
	}
	gone, err := s.leavesNothing(ctx, changes)
	if err != nil {
		return false, err
	}
	return s.write(ctx, changes, now, gone, tell)
}

// readFor reads what the wave is about: a few keys, or all of the stack.
func (s *Store) readFor(ctx context.Context, wave []state.Op) (tree, error) {
	keys, err := s.places(wave)
	if err != nil {
		return tree{}, err
	}
	if len(keys) > fewKeys {
		return s.readAll(ctx)
	}
	return s.readSome(ctx, keys)
}

// leavesNothing reports that the changes remove the last of the stack's records.
func (s *Store) leavesNothing(ctx context.Context, changes []change) (bool, error) {
	for _, c := range changes {
		if !c.deletes() {
			return false, nil
		}
	}
	var keys []string
	err := s.try(ctx, "listing the records of stack "+s.stack, func(ctx context.Context) (err error) {
		keys, _, err = s.client.KV().Keys(s.keys.root, "", consistent(ctx))
		return err
	})
	return err == nil && s.emptied(keys, changes), err
}

// write makes the transactions. The last one makes the new revision; if there are several,
// the first one says that it is about to come, and each that follows finds it so: whatever
// is written of a change is told of in the end.
func (s *Store) write(ctx context.Context, changes []change, now edition, gone bool, tell *teller) (again bool, err error) {
	fence := s.fence()
	batch := s.limits()
	parts := batch.split(changes, len(fence)+1)
	if len(parts) == 0 {
		parts = [][]change{nil} // all was written, but for the end
	}
	keys := s.touched(changes)
	for i, part := range parts {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		mark, err := s.mark(now, keys, gone, i == 0, i == len(parts)-1)
		if err != nil {
			return false, err
		}
		ops := append(api.TxnOps{}, fence...)
		for _, c := range part {
			ops = append(ops, c.ops...)
		}
		answer, err := s.commit(ctx, append(ops, mark))
		switch {
		case err == nil:
			tell.written(part)
			now = s.marked(now, keys, answer)
		case tooLarge(err) && len(part) > 1:
			s.shrink(batch)
			return true, err
		case tooLarge(err):
			err = fmt.Errorf("storing %s: it takes %d bytes, more than Consul takes at once (limits.txn_max_req_len and kv_max_value_size): %w",
				part[0].key, bodySize(part[0].ops), err)
			tell.failed(part, err)
			return false, err
		case errors.Is(err, errConflict):
			return true, err
		default:
			tell.failed(part, err)
			return false, err
		}
	}
	return false, nil
}

// touched lists what readers of records are told of, below the stack's root.
func (s *Store) touched(changes []change) (keys []string) {
	for _, c := range changes {
		for _, op := range c.ops {
			if op.KV == nil || c.key.Kind == state.KindClaim {
				continue
			}
			if key, below := strings.CutPrefix(op.KV.Key, s.keys.root); below {
				keys = append(keys, key)
			}
		}
	}
	return keys
}

// mark is what a transaction has to do with the revision: the last one makes it, or removes
// it with the stack's last record.
func (s *Store) mark(now edition, keys []string, gone, first, last bool) (*api.TxnOp, error) {
	switch {
	case last && gone: // if there is none, this says that there shall be none
		return s.unset(s.keys.revision(), now.index), nil
	case last:
		return s.revise(now.end(keys, s.who), now.index)
	case first:
		return s.revise(now.begin(keys), now.index)
	}
	op := s.op(api.KVCheckIndex, s.keys.revision())
	op.KV.Index = now.index
	return op, nil
}

// marked is the edition after a transaction that was not the last.
func (s *Store) marked(now edition, keys []string, answer *api.TxnResponse) edition {
	for _, r := range answer.Results {
		if r.KV != nil && r.KV.Key == s.keys.revision() && r.KV.ModifyIndex != now.index {
			return edition{now.begin(keys), r.KV.ModifyIndex}
		}
	}
	return now
}

// commit makes one transaction. It is not cut short when the run is interrupted, because
// then nobody would know whether it was made; it has a time limit of its own. When its
// answer is lost it is made again, and then may find its own work: a conflict, after which
// the records are read and nothing is left to do.
func (s *Store) commit(ctx context.Context, ops api.TxnOps) (answer *api.TxnResponse, err error) {
	doing := "writing the records of stack " + s.stack
	err = s.try(context.WithoutCancel(ctx), doing, func(ctx context.Context) (err error) {
		_, answer, _, err = s.client.Txn().Txn(ops, (&api.QueryOptions{}).WithContext(ctx))
		return err
	})
	if err == nil {
		err = s.refusal(doing, ops, answer)
	}
	return answer, err
}

// refusal is why Consul did not make the transaction, nil if it did.
func (s *Store) refusal(doing string, ops api.TxnOps, answer *api.TxnResponse) error {
	if len(answer.Errors) == 0 {
		return nil
	}
	what, verb := answer.Errors[0].What, api.KVOp("")
	if kv := ops[answer.Errors[0].OpIndex].KV; kv != nil {
		verb = kv.Verb
	}
	switch {
	case strings.Contains(what, "Permission denied"), strings.Contains(what, "lacks permission"):
		return s.explain(doing, api.StatusError{Code: http.StatusForbidden, Body: what})
	case verb == api.KVCheckSession:
		return s.loseLock(errors.New(what))
	case strings.Contains(what, "index is stale"), verb == api.KVCheckIndex, verb == api.KVCheckNotExists:
		return errConflict
	}
	return fmt.Errorf("%s: Consul refused: %s", doing, what)
}

func tooLarge(err error) bool {
	var status api.StatusError
	return errors.As(err, &status) && status.Code == http.StatusRequestEntityTooLarge
}

func (s *Store) limits() limits {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.batch
}

// shrink makes transactions smaller from now on.
func (s *Store) shrink(was limits) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.batch = was.half()
}

// teller tells of each operation of a wave once.
type teller struct {
	wave []state.Op
	done func(i int, err error)
	told []bool
	at   map[state.Key][]int
}

func newTeller(wave []state.Op, done func(i int, err error)) *teller {
	t := &teller{wave, done, make([]bool, len(wave)), make(map[state.Key][]int, len(wave))}
	for i, op := range wave {
		t.at[op.Key] = append(t.at[op.Key], i)
	}
	return t
}

func (t *teller) op(i int, err error) {
	if !t.told[i] {
		t.told[i] = true
		t.done(i, err)
	}
}

func (t *teller) all() {
	for i := range t.wave {
		t.op(i, nil)
	}
}

func (t *teller) written(part []change) { t.failed(part, nil) }

func (t *teller) failed(part []change, err error) {
	for _, c := range part {
		for _, i := range t.at[c.key] {
			t.op(i, err)
		}
	}
}

package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cnmctl/cnmctl/agent"
	"github.com/cnmctl/cnmctl/state"
	ucli "github.com/urfave/cli/v2"
)

func keyCommand(env Env) *ucli.Command {
	return inventoryCommand(env, "key",
		about(`Looks at the keys of a stack's encrypted networks: by their numbers, and what each is good for. The
keys themselves are shown by no command.`,
			"cnmctl key ls", "cnmctl key ls -stack=shop -store=consul -json"),
		func(_ context.Context, _ *session, i *inventory) (table, error) { return i.keys(), nil },
		&ucli.Command{
			Name:  "rotate",
			Usage: "Give the stack's encrypted networks a new key",
			Description: about(`Makes a new key and puts it in the place of the old one without losing a packet: first all hosts
learn to receive with it, then all send with it, then the old one is forgotten. Each step waits until the agents of all hosts
on encrypted networks have taken the one before. A host whose agent is not alive is named, and nothing is begun; this host
does its share itself if it has no agent. Broken off, the rotation is completed by running it again.`,
				"cnmctl key rotate", "cnmctl key rotate -stack=shop -store=consul -wait-timeout=10m"),
			Flags: flags([]ucli.Flag{waitTimeoutFlag("to wait at most for the hosts in each step (default 2m)")},
				lockFlags(), hostFlag(), stackFlag(), streamFlags()),
			Action: action(env, func(ctx context.Context, s *session) error {
				if err := s.arguments(0, 0); err != nil {
					return err
				}
				if err := s.story(); err != nil {
					return err
				}
				return rotateKeys(ctx, s)
			}),
		})
}

// keys lists the keyring.
func (i *inventory) keys() table {
	t := table{columns: []string{"key", "receives", "sends"}}
	if ring, is := i.world[state.KeyringKey()].(state.Keyring); is {
		for _, n := range ring.Generations() {
			t.add(n, true, n == ring.Sending)
		}
	}
	return t
}

// rotation is a change of keys on its way.
type rotation struct {
	*flow
	cluster state.Cluster
	// alive are the hosts whose agents are.
	alive []string
}

var errKeysNotShared = errors.New("rotating keys: the records are on this host alone, so there are no keys that hosts share")

func rotateKeys(ctx context.Context, s *session) error {
	r := &rotation{flow: &flow{s: s}}
	if err := r.identify(); err != nil {
		return err
	}
	if err := r.open(); err != nil {
		return err
	}
	var shared bool
	if r.cluster, shared = r.store.(state.Cluster); !shared {
		return errKeysNotShared
	}
	ctx, unlock, err := s.lock(ctx, r.store, "key rotate")
	if err != nil {
		return err
	}
	defer unlock()
	begun := false
	for {
		ring, err := r.ready(ctx)
		if err != nil && begun {
			return fmt.Errorf("%w. The rotation is not done; 'cnmctl key rotate' goes on with it", err)
		} else if err != nil {
			return err
		}
		if begun && ring.First == ring.Last {
			s.say.line("%s", s.say.paint(green, fmt.Sprintf("The hosts of stack %s send and receive with key %d.", r.stack, ring.Last)))
			return nil
		}
		if err := r.step(ctx, ring); err != nil {
			return err
		}
		begun = true
	}
}

// ready waits until all that have to do with keys are as the keyring says.
func (r *rotation) ready(ctx context.Context) (ring state.Keyring, err error) {
	if r.records, err = r.store.Snapshot(ctx); err != nil {
		return ring, err
	}
	ring, is := r.records[state.KeyringKey()].(state.Keyring)
	if !is {
		return ring, fmt.Errorf("rotating keys: stack %s has none. Keys are made when a network with encrypted = true is applied to several hosts", r.stack)
	}
	hosts := encryptingHosts(r.records)
	if err := r.checkAlive(ctx, hosts); err != nil {
		return ring, err
	}
	if i := slices.Index(hosts, r.host); i >= 0 && !slices.Contains(r.alive, r.host) {
		hosts = slices.Delete(hosts, i, i+1)
		if err := r.follow(ctx); err != nil {
			return ring, err
		}
	}
	return ring, r.await(ctx, r.cluster, func(*agent.Goal, []state.Status) []string { return hosts })
}

// checkAlive refuses to begin what a host would not follow.
func (r *rotation) checkAlive(ctx context.Context, hosts []string) (err error) {
	if r.alive, err = r.cluster.Attended(ctx); err != nil {
		return err
	}
	var silent []string
	for _, h := range hosts {
		if h != r.host && !slices.Contains(r.alive, h) {
			silent = append(silent, h)
		}
	}
	if len(silent) > 0 {
		return fmt.Errorf("rotating keys: no agent is alive on %s, so nobody there would take the new key. Start 'cnmctl agent' there; "+
			"if the host is dead, 'cnmctl host rm NAME' forgets it", strings.Join(silent, ", "))
	}
	return nil
}

// encryptingHosts are those with endpoints on encrypted networks.
func encryptingHosts(records state.World) []string {
	hosts := map[string]bool{}
	for _, o := range records {
		e, is := o.(state.Endpoint)
		if !is || e.Sandbox == "" || e.Host == "" {
			continue
		}
		n, is := records[state.RecordKey(state.KindNetwork, e.Network)].(state.Network)
		hosts[e.Host] = hosts[e.Host] || is && n.Encrypted()
	}
	maps.DeleteFunc(hosts, func(_ string, on bool) bool { return !on })
	return slices.Sorted(maps.Keys(hosts))
}

// follow does this host's own share, as sync does.
func (r *rotation) follow(ctx context.Context) error {
	unlock, err := lockHost(ctx, r.s, r.stack, r.host, r.store, "key rotate")
	if err != nil {
		return err
	}
	defer unlock()
	if err := r.planShare(ctx); err != nil {
		return err
	}
	if err := r.carryOut(ctx); err != nil {
		return err
	}
	r.reportRecords(ctx)
	return nil
}

// step writes the keyring of the next step.
func (r *rotation) step(ctx context.Context, ring state.Keyring) error {
	next, doing := ring.Rotated()
	op := state.Op{Action: state.Update, Key: ring.Key(), Before: ring, After: next}
	if err := r.s.env.WrapStore(r.store).Apply(ctx, []state.Op{op}, func(int, error) {}); err != nil {
		return fmt.Errorf("rotating keys: %w", err)
	}
	r.s.say.line("All hosts: %s", doing)
	r.s.say.stream.emit("info", "key_rotation", "All hosts: "+doing, map[string]any{"first": next.First, "last": next.Last, "sending": next.Sending})
	return nil
}

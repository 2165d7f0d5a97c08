package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
	ucli "github.com/urfave/cli/v2"
)

func storeCommand(env Env) *ucli.Command {
	return &ucli.Command{
		Name:  "store",
		Usage: "Move a stack's records to another store",
		Description: about(`The store holds what the kernel cannot: which address is whose, and the records of networks,
endpoints and sandboxes. It is a file on this host or, for several hosts, Consul.`,
			"cnmctl store migrate"),
		Subcommands: []*ucli.Command{storeMigrateCommand(env)},
	}
}

func storeMigrateCommand(env Env) *ucli.Command {
	return &ucli.Command{
		Name:  "migrate",
		Usage: "Move the records into the store that the configuration names now",
		Description: about(`Change the store block, then run this: it copies the stack's records from where they were
into the store that is named now, reads them back, and removes them from the old store. The network itself is not
touched. Both stores are locked meanwhile. Broken off, it is completed by running it again.`,
			"cnmctl store migrate", "cnmctl store migrate -from=local:/srv/shop.json", "cnmctl store migrate -stack=shop -store=consul -dry-run"),
		Flags: flags([]ucli.Flag{
			text("from", "TYPE[:PATH]", "where the records are: local or consul, with a file or a prefix of keys that is not the usual one "+
				"(default: the one of the two that the configuration does not name)"),
			dryRunFlag(), toggle("json", "write a JSON object"),
		}, lockFlags(), hostFlag(), stackFlag(), colorFlag()),
		Action: action(env, func(ctx context.Context, s *session) error {
			if err := s.arguments(0, 0); err != nil {
				return err
			}
			return migrate(ctx, s)
		}),
	}
}

// migration is a move of a stack's records between two stores.
type migration struct {
	stack    string
	from, to state.RecordStore
	// have is what the old store holds, missing what of it the new one does not.
	have, missing state.World
}

func migrate(ctx context.Context, s *session) error {
	m, err := openMigration(s)
	if err != nil {
		return err
	}
	if s.Bool("dry-run") {
		if err := m.look(ctx); err != nil {
			return err
		}
		return m.tell(s)
	}
	ctx, unlock, err := m.prepare(ctx, s)
	if err != nil {
		return err
	}
	defer unlock()
	if len(m.have) > 0 {
		if err := m.move(ctx); err != nil {
			return err
		}
	}
	return m.tell(s)
}

// prepare locks both stores and reads them. A store that is new, or has lost its data, is
// given no VNIs before hosts of other stacks had time to put back theirs.
func (m *migration) prepare(ctx context.Context, s *session) (locked context.Context, unlock func(), err error) {
	for {
		locked, unlock, err = m.lock(ctx, s)
		if err != nil {
			return nil, nil, err
		}
		settled := true
		err = m.look(locked)
		if cluster, shared := m.to.(state.Cluster); shared && err == nil && hasVNIs(m.missing) {
			settled, err = cluster.Settled(locked)
		}
		if err == nil && settled {
			return locked, unlock, nil
		}
		unlock()
		if err == nil {
			err = settle(ctx, s, m.to)
		}
		if err != nil {
			return nil, nil, err
		}
	}
}

// lock locks both stores.
func (m *migration) lock(ctx context.Context, s *session) (locked context.Context, unlock func(), err error) {
	locked, first, err := s.lock(ctx, m.from, "store migrate")
	if err != nil {
		return nil, nil, err
	}
	locked, second, err := s.lock(locked, m.to, "store migrate")
	if err != nil {
		first()
		return nil, nil, err
	}
	return locked, func() { second(); first() }, nil
}

// tell says what was moved, or would be.
func (m *migration) tell(s *session) error {
	switch {
	case s.Bool("json"):
		return s.document(map[string]any{
			"stack": m.stack, "from": fmt.Sprint(m.from), "to": fmt.Sprint(m.to),
			"records": len(m.have), "moved": !s.Bool("dry-run"),
		})
	case len(m.have) == 0:
		s.say.line("There is nothing to move: %s holds no records of stack %s.", m.from, m.stack)
	case s.Bool("dry-run"):
		s.say.line("Would move %d records of stack %s from %s to %s.", len(m.have), m.stack, m.from, m.to)
	default:
		s.say.line("%s", s.say.paint(green, fmt.Sprintf("Moved %d records of stack %s from %s to %s.", len(m.have), m.stack, m.from, m.to)))
	}
	return nil
}

func openMigration(s *session) (*migration, error) {
	f := &flow{s: s}
	if err := f.identify(); err != nil {
		return nil, err
	}
	from, err := sourceOf(s.String("from"), f.settings)
	if err != nil {
		return nil, err
	}
	m := &migration{stack: f.stack}
	if m.to, err = s.openStore(f.stack, f.settings); err != nil {
		return nil, err
	}
	if m.from, err = s.openStore(f.stack, from); err != nil {
		return nil, err
	}
	if fmt.Sprint(m.from) == fmt.Sprint(m.to) {
		return nil, fmt.Errorf("moving stack %s: the records are in %s, and that is where they shall go; "+
			"change the store block, or say with -from where they are", f.stack, m.to)
	}
	if from.Type == storeLocal && f.settings.Type == storeLocal {
		return nil, fmt.Errorf("moving stack %s: both stores are files; move %s to %s with mv", f.stack, m.from, m.to)
	}
	return m, nil
}

// sourceOf is the store that -from names, else the one of the other type.
func sourceOf(from string, to spec.Store) (spec.Store, error) {
	switch {
	case from != "":
		return storeSettings(from)
	case to.Type == storeConsul:
		return storeSettings(storeLocal)
	}
	return storeSettings(storeConsul)
}

// look reads both stores. What is in both and not the same is not ours to decide about.
func (m *migration) look(ctx context.Context) (err error) {
	if m.have, err = m.from.Snapshot(ctx); err != nil {
		return err
	}
	maps.DeleteFunc(m.have, func(_ state.Key, o state.Object) bool {
		_, others := o.(state.Foreign)
		return others
	})
	there, err := m.to.Snapshot(ctx)
	if err != nil {
		return err
	}
	m.missing = state.World{}
	var differ []string
	for _, k := range m.have.Keys() {
		if other, is := there[k].(state.Foreign); is {
			return fmt.Errorf("moving stack %s: %s is taken in %s (%s); give the network another with vnis in its overlay block and apply that first, then move",
				m.stack, k.Name, m.to, other.What)
		}
		switch same, err := sameRecord(m.have[k], there[k]); {
		case err != nil:
			return err
		case there[k] == nil:
			m.missing[k] = m.have[k]
		case !same:
			differ = append(differ, k.String())
		}
	}
	if len(differ) > 0 {
		return fmt.Errorf("moving stack %s: %s holds other records already: %s. It is another stack of the same name, or an old copy; "+
			"give one of them another name, or remove what is not wanted", m.stack, m.to, strings.Join(shortened(differ), ", "))
	}
	return nil
}

// move writes what is missing, makes sure that it is there, and only then removes what was.
func (m *migration) move(ctx context.Context) error {
	if err := transfer(ctx, m.to, state.Create, m.missing); err != nil {
		return err
	}
	there, err := m.to.Snapshot(ctx)
	if err != nil {
		return err
	}
	for k, o := range m.have {
		if same, err := sameRecord(o, there[k]); err != nil || !same {
			return errors.Join(fmt.Errorf("moving stack %s: %s is not in %s as it was written; nothing was removed from %s", m.stack, k, m.to, m.from), err)
		}
	}
	return transfer(ctx, m.from, state.Delete, m.have)
}

// transfer creates or deletes all objects of the world in the store.
func transfer(ctx context.Context, store state.RecordStore, action state.Action, w state.World) error {
	wave := make([]state.Op, 0, len(w))
	for _, k := range w.Keys() {
		op := state.Op{Action: action, Key: k}
		if action == state.Create {
			op.After = w[k]
		} else {
			op.Before = w[k]
		}
		wave = append(wave, op)
	}
	return store.Apply(ctx, wave, func(int, error) {})
}

// sameRecord compares two records as they are written.
func sameRecord(a, b state.Object) (bool, error) {
	if b == nil {
		return false, nil
	}
	first, err := state.EncodeObject(a)
	if err != nil {
		return false, err
	}
	second, err := state.EncodeObject(b)
	return bytes.Equal(first, second), err
}

// shortened is a list that fits into a message.
func shortened(list []string) []string {
	const most = 5
	if len(list) <= most {
		return list
	}
	return append(slices.Clone(list[:most]), fmt.Sprintf("and %d more", len(list)-most))
}

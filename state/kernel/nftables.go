package kernel

import (
	"context"
	"errors"
	"fmt"

	"github.com/cnmctl/cnmctl/state"
	"golang.org/x/sys/unix"
)

// readRulesets reads the stack's table in the namespace of the calling thread. It costs one
// question where there is none, as in nearly every sandbox. A table of the name that does
// not bear the stack's mark is somebody else's.
func (k *Kernel) readRulesets(p state.Place) ([]state.Object, error) {
	c, err := k.openFilter()
	if errors.Is(err, unix.EPROTONOSUPPORT) {
		return nil, nil // a kernel without netfilter
	}
	if err != nil {
		return nil, fmt.Errorf("opening a netfilter socket in %s: %w", p, err)
	}
	defer c.close()
	name := state.TableName(k.stack)
	live, err := c.readTable(context.Background(), name)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EINVAL) && !c.speaksFilter() {
		return nil, nil // no such table, or a kernel without nftables
	}
	if err != nil {
		return nil, fmt.Errorf("reading nftables table %s in %s: %w", name, p, err)
	}
	if live.owner != k.stack {
		return []state.Object{state.Foreign{K: state.RulesetKey(p, name), What: foreignTable(live.owner)}}, nil
	}
	live.Place = p
	return []state.Object{live.Ruleset}, nil
}

func foreignTable(owner string) string {
	if owner == "" {
		return "an nftables table that cnmctl did not make"
	}
	return "the nftables table of stack " + owner
}

// applyRuleset creates, replaces or deletes a table in the namespace of the socket, which
// the calling thread is in. It is one transaction: the old rules stand until the new ones
// do, and when the kernel refuses one of the new ones, they go on standing.
func (c *filterConn) applyRuleset(op state.Op) error {
	r, ok := op.Object().(state.Ruleset)
	if !ok {
		return fmt.Errorf("%T is no ruleset", op.Object())
	}
	there, err := c.checkOurs(r)
	if err != nil {
		return err
	}
	switch old, known := oldTable(op); {
	case op.Action == state.Delete:
		err = c.deleteTable(r.Table)
	case known:
		err = c.changeTable(old, r)
	case there:
		err = c.replaceTable(r)
	default:
		err = c.addTable(r)
	}
	if err != nil {
		return err
	}
	return c.forgetStale(op)
}

// checkOurs refuses to touch a table that has appeared under our name since the plan, and
// reports whether there is one.
func (c *filterConn) checkOurs(r state.Ruleset) (there bool, err error) {
	live, err := c.tableHead(r.Table)
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if live.owner != r.Mark.Stack {
		return true, fmt.Errorf("there is %s of that name: %w", foreignTable(live.owner), unix.EEXIST)
	}
	return true, nil
}

func (c *filterConn) deleteTable(name string) error {
	b := newTransaction(name)
	b.begin("deleting the table", unix.NFT_MSG_DELTABLE, 0)
	b.text(unix.NFTA_TABLE_NAME, name)
	b.end()
	err := c.commit(b)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	return err
}

// replaceTable makes the table anew. It is added, with nothing in it, before it is
// deleted, so that the deletion finds one.
func (c *filterConn) replaceTable(r state.Ruleset) error {
	b := newTransaction(r.Table)
	b.addTable("")
	b.begin("deleting the old table", unix.NFT_MSG_DELTABLE, 0)
	b.text(unix.NFTA_TABLE_NAME, r.Table)
	b.end()
	return c.fillTable(b, r)
}

// addTable makes the table where there is none. To delete one first, if only an empty one,
// takes the kernel a grace period, which in a thousand sandboxes is half a minute.
func (c *filterConn) addTable(r state.Ruleset) error {
	return c.fillTable(newTransaction(r.Table), r)
}

// fillTable adds the table and all that is in it to a transaction, and commits that.
func (c *filterConn) fillTable(b *transaction, r state.Ruleset) error {
	b.addTable(state.StackMark(r.Mark.Stack))
	for _, ch := range r.Chains {
		if err := b.addChain(ch); err != nil {
			return err
		}
	}
	for _, s := range r.Sets {
		if err := b.addSet(s); err != nil {
			return err
		}
	}
	for _, ch := range r.Chains {
		for i, rule := range ch.Rules {
			if err := b.addRule(ch.Name, i, rule); err != nil {
				return err
			}
		}
	}
	return c.commit(b)
}

package kernel

import (
	"fmt"

	"github.com/cnmctl/cnmctl/state"
	"golang.org/x/sys/unix"
)

// changeTable makes the table say what r says, where it says what old did. When only
// elements of sets differ (a port was published), only those are sent: the rest of the table, and
// the kernel's own work for it, stays. It is one transaction either way.
func (c *filterConn) changeTable(old, r state.Ruleset) error {
	gone, come, ok := r.OnlyElements(old)
	if !ok {
		return c.replaceTable(r)
	}
	err := c.changeElements(r.Table, gone, come)
	if isAny(err, unix.ENOENT, unix.EEXIST) {
		return c.replaceTable(r) // it is not what it was when the plan was made
	}
	return err
}

func (c *filterConn) changeElements(table string, gone, come []state.Set) error {
	b := newTransaction(table)
	for _, s := range gone {
		// What goes is named by its key. A value would have to match, and cannot be said of a verdict.
		s.Data = ""
		if err := b.elements(unix.NFT_MSG_DELSETELEM, 0, s); err != nil {
			return err
		}
	}
	for _, s := range come {
		if err := b.elements(unix.NFT_MSG_NEWSETELEM, unix.NLM_F_CREATE|unix.NLM_F_EXCL, s); err != nil {
			return err
		}
	}
	if len(b.what) == 1 {
		return nil // nothing but the beginning
	}
	return c.commit(b)
}

// elements adds or deletes elements of a set that is there.
func (t *transaction) elements(typ, flags uint16, s state.Set) error {
	what := "changing elements of " + s.Name
	key, err := dataTypes(s.Key)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return t.elementLists(what, typ, flags, s, key)
}

// oldTable is the table that an op replaces, if it is known.
func oldTable(op state.Op) (state.Ruleset, bool) {
	r, ok := op.Before.(state.Ruleset)
	return r, ok && op.Action == state.Update
}

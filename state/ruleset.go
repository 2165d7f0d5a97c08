package state

import (
	"slices"
	"strings"
)

// Ruleset is one nftables table (family inet) in one namespace: cnm_<stack>. It is
// replaced in one transaction, so the old rules stand until the new ones do. Its comment
// is the stack's mark (StackMark); a table of that name without it is not ours.
type Ruleset struct {
	Place Place
	// Table is the table's name (TableName).
	Table string
	// Mark is the stack; the address is empty, because many networks share the table.
	Mark Owner
	// Sets are named sets, maps and verdict maps, in order of name.
	Sets []Set
	// Chains in the order in which they are made, which is that of `nft list`.
	Chains []Chain
	// Dormant is the flag that switches all base chains off. Never wanted.
	Dormant bool
	// Others counts what a live table holds beside sets and chains (named counters,
	// flowtables): things that cnmctl does not write. Never wanted.
	Others int
}

// RulesetKey is the key of the table called name in place.
func RulesetKey(p Place, name string) Key { return Key{KindRuleset, p, name} }

// TableName is the name of a stack's table.
func TableName(stack string) string { return "cnm_" + NFTName(stack) }

// Key is the table's name.
func (r Ruleset) Key() Key { return RulesetKey(r.Place, r.Table) }

// Owner is the stack.
func (r Ruleset) Owner() Owner { return r.Mark }

// Needs is the namespace.
func (r Ruleset) Needs() []Key { return insideOf(r.Place, "") }

// Inside is the namespace.
func (r Ruleset) Inside() []Key { return insideOf(r.Place, "") }

// Attrs shows a line for each set element, chain and rule, in nft's own words. The names
// count, because two rules of a chain may say the same: forward[0], forward[1].
func (r Ruleset) Attrs() []Attr {
	var attrs []Attr
	for _, b := range r.blocks() {
		attrs = append(attrs, Attr{Name: b.name, Value: b.head})
		for i, line := range b.lines {
			attrs = append(attrs, Attr{Name: b.lineName(i), Value: line})
		}
	}
	if r.Dormant {
		attrs = append(attrs, boolAttr("dormant", true))
	}
	if r.Others > 0 {
		attrs = append(attrs, intAttr("other_objects", r.Others))
	}
	return attrs
}

// Equal reports that both tables say the same.
func (r Ruleset) Equal(o Ruleset) bool {
	return r.Place == o.Place && r.Table == o.Table && r.Mark == o.Mark &&
		r.Dormant == o.Dormant && r.Others == o.Others &&
		slices.EqualFunc(r.Sets, o.Sets, Set.Equal) && slices.EqualFunc(r.Chains, o.Chains, Chain.Equal)
}

// String is the table as `nft list table` prints it, and as `nft -f` reads it.
func (r Ruleset) String() string {
	var b strings.Builder
	b.WriteString("table inet " + r.Table + " {\n\tcomment " + nftQuote(StackMark(r.Mark.Stack)) + "\n")
	for _, s := range r.Sets {
		b.WriteString("\n" + s.String())
	}
	for _, c := range r.Chains {
		b.WriteString("\n" + c.String())
	}
	b.WriteString("}\n")
	return b.String()
}

// Script is what `nft -f` reads to put the table in the place of whatever has its name,
// in one transaction: adding it first makes the deletion succeed when there is none.
func (r Ruleset) Script() string {
	name := "table inet " + r.Table + "\n"
	return name + "delete " + name + r.String()
}

package state

// Ruleset is one nftables table (family inet) in one namespace: cnm_<stack>. It is
// replaced in one transaction, so the old rules stand until the new ones do.
type Ruleset struct {
	Place Place
	// Table is the table's name.
	Table string
	// Mark is the stack; the address is empty, because many networks share the table.
	Mark Owner
	// Chains in the order in which they are made.
	Chains []Chain
}

// Chain is one chain of a Ruleset.
type Chain struct {
	Name  string
	Rules []FilterRule
}

// FilterRule is one rule of a Chain (placeholder until the rule model is written).
type FilterRule struct{ Text string }

// RulesetKey is the key of the table called name in place.
func RulesetKey(p Place, name string) Key { return Key{KindRuleset, p, name} }

// Key is the table's name.
func (r Ruleset) Key() Key { return RulesetKey(r.Place, r.Table) }

// Owner is the stack.
func (r Ruleset) Owner() Owner { return r.Mark }

// Needs is the namespace.
func (r Ruleset) Needs() []Key { return insideOf(r.Place, "") }

// Inside is the namespace.
func (r Ruleset) Inside() []Key { return insideOf(r.Place, "") }

// Attrs shows the rules.
func (r Ruleset) Attrs() []Attr { return nil }

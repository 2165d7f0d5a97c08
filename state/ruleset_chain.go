package state

import (
	"slices"
	"strconv"
	"strings"
)

// Chain is one chain of a Ruleset: a base chain with a Hook, or one to jump to.
type Chain struct {
	Name string
	// Hook is where the kernel calls the chain; nil for a chain that rules jump to.
	Hook *Hook `json:",omitempty"`
	// Owner is the block that asks for the chain (RuleOwner), "" for a shared one.
	Owner string `json:",omitempty"`
	Rules []FilterRule
}

// Hook makes a chain a base chain.
type Hook struct {
	// Type is "filter", "nat" or "route".
	Type string
	// Hook is "prerouting", "input", "forward", "output" or "postrouting".
	Hook     string
	Priority int
	// Policy is what happens to packets that no rule decides on: Accept or Drop.
	Policy Verb
}

// Equal reports that both chains say the same.
func (c Chain) Equal(o Chain) bool {
	return c.Name == o.Name && c.Owner == o.Owner && equalPtr(c.Hook, o.Hook) &&
		slices.EqualFunc(c.Rules, o.Rules, FilterRule.Equal)
}

func equalPtr[T comparable](a, b *T) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

// String is the chain as nft prints it within its table.
func (c Chain) String() string {
	var b strings.Builder
	b.WriteString("\tchain " + c.Name + " {\n")
	if c.Owner != "" {
		b.WriteString("\t\tcomment " + nftQuote(c.Owner) + "\n")
	}
	if c.Hook != nil {
		b.WriteString("\t\t" + c.Hook.String() + "\n")
	}
	for _, r := range c.Rules {
		b.WriteString("\t\t" + r.String() + "\n")
	}
	b.WriteString("\t}\n")
	return b.String()
}

// String is the hook as nft prints it: type filter hook forward priority filter; policy accept;
func (h Hook) String() string {
	return "type " + h.Type + " hook " + h.Hook + " priority " + h.priority() + "; policy " + string(h.Policy) + ";"
}

// priority is the number, or nft's word for it where it has one.
func (h Hook) priority() string {
	words := map[int]string{-300: "raw", -150: "mangle", 0: "filter", 50: "security"}
	switch h.Hook {
	case "prerouting":
		words[-100] = "dstnat"
	case "postrouting":
		words[100] = "srcnat"
	}
	if word, ok := words[h.Priority]; ok {
		return word
	}
	return strconv.Itoa(h.Priority)
}

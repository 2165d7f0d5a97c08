package spec

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"
)

const (
	// maxNetns bounds a namespace's name, which is a file's name (NAME_MAX of
	// linux/limits.h is 255) that others extend.
	maxNetns = 200
	// maxStack bounds the stack's name, which is part of every mark and file name.
	maxStack = 64
	// maxMark is what an ifalias holds (IFALIASZ of linux/if.h less the NUL).
	maxMark = 255
)

// safeByte reports that a byte may stand in a file's name without surprising anybody.
func safeByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '.' || c == '-'
}

// sanitise replaces what may not stand in a name by dashes, always the same way.
func sanitise(s string) string {
	clean := []byte(s)
	for i, c := range clean {
		if !safeByte(c) {
			clean[i] = '-'
		}
	}
	return string(clean)
}

// checkSafeName refuses what sanitise would change.
func checkSafeName(s string, max int) error {
	switch {
	case s == "":
		return fmt.Errorf("the name is empty; leave the attribute out to take the name from the block's label")
	case len(s) > max:
		return fmt.Errorf("%q has %d bytes, at most %d are allowed", s, len(s), max)
	case sanitise(s) != s:
		return fmt.Errorf("%q holds a character other than letters, digits, \"_\", \".\" and \"-\"; %q would do", s, cmp.Or(strings.TrimLeft(sanitise(s), ".-"), "x"))
	case s[0] == '.' || s[0] == '-':
		return fmt.Errorf("%q begins with %q; begin with a letter, a digit or \"_\"", s, s[:1])
	}
	return nil
}

// quoteKey is a for_each key as it is written in an address: "a\"b".
func quoteKey(key string) string {
	for i := range len(key) {
		if !safeByte(key[i]) && key[i] != '/' && key[i] != ':' && key[i] != ' ' {
			return string(hclwrite.TokensForValue(cty.StringVal(key)).Bytes())
		}
	}
	return `"` + key + `"`
}

// join puts a block's own address after its module's.
func join(module, address state.Address) state.Address {
	if module == "" {
		return address
	}
	return module + "." + address
}

// Covers reports that a is address or an instance or member of it: sandbox.web covers
// sandbox.web["a"], module.lab covers module.lab[0].network.front.
func Covers(address, a state.Address) bool {
	rest, ok := strings.CutPrefix(string(a), string(address))
	return ok && (rest == "" || rest[0] == '[' || rest[0] == '.')
}

// CompareAddresses orders addresses as people count: web["w2"] before web["w10"].
func CompareAddresses(a, b state.Address) int {
	x, y := string(a), string(b)
	for x != "" && y != "" {
		if n, m := digits(x), digits(y); n > 0 && m > 0 {
			v, w := strings.TrimLeft(x[:n], "0"), strings.TrimLeft(y[:m], "0")
			if c := cmp.Or(cmp.Compare(len(v), len(w)), cmp.Compare(v, w)); c != 0 {
				return c
			}
			x, y = x[n:], y[m:]
			continue
		}
		if x[0] != y[0] {
			return cmp.Compare(x[0], y[0])
		}
		x, y = x[1:], y[1:]
	}
	return cmp.Or(cmp.Compare(len(x), len(y)), cmp.Compare(a, b))
}

// digits is how many digits s begins with.
func digits(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}

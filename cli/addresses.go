package cli

import (
	"strings"

	"github.com/cnmctl/cnmctl/state"
)

// addressWords are the steps of an address without their keys: module, a, sandbox, db of
// module.a["x"].sandbox.db[0]. Dots in keys separate nothing.
func addressWords(a state.Address) []string {
	var words []string
	var word strings.Builder
	depth, quoted := 0, false
	for i := 0; i < len(a); i++ {
		c := a[i]
		switch {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[':
			depth++
		case c == ']':
			depth--
		case c == '.' && depth == 0:
			words = append(words, word.String())
			word.Reset()
		case depth == 0:
			word.WriteByte(c)
		}
	}
	return append(words, word.String())
}

// blockKind is the kind of block and its name: sandbox and db of
// module.a["x"].sandbox.db[0].
func blockKind(a state.Address) (kind, name string) {
	words := addressWords(a)
	if len(words) < 2 {
		return "block", string(a)
	}
	return words[len(words)-2], words[len(words)-1]
}

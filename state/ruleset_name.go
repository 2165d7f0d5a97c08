package state

import (
	"fmt"
	"hash/fnv"
	"strings"
)

// StackMark marks what a stack has one of: its table's comment, its files' first line.
func StackMark(stack string) string { return markPrefix + stack }

// NFTName is text as nft takes it for the name of a table, chain or set: letters, digits,
// "_", "." and "-". Text that had to be changed gets a hash, so that two texts never share
// a name. Callers put a word of their own before it, because nft's keywords are no names.
func NFTName(text string) string {
	const max = 100 // NFT_NAME_MAXLEN is 256, but nft 1.0 and older cut chain names at 128
	name := strings.Map(func(r rune) rune {
		if r < 128 && (r == '_' || r == '.' || r == '-' || r >= '0' && r <= '9' || r|0x20 >= 'a' && r|0x20 <= 'z') {
			return r
		}
		return '_'
	}, text)
	if name == text && len(name) <= max {
		return name
	}
	return name[:min(len(name), max)] + "-" + shortHash(text)
}

// RuleOwner is the address of a block as the comment of a rule, set or element holds it:
// nft has no way to write a double quote in a comment and takes at most 128 bytes, so
// quotes become single ones and what is too long is cut and gets a hash.
func RuleOwner(a Address) string {
	const max = 120
	text := strings.Map(func(r rune) rune {
		switch {
		case r == '"':
			return '\''
		case r < ' ' || r == 0x7f:
			return ' '
		}
		return r
	}, string(a))
	if len(text) <= max {
		return text
	}
	head := strings.ToValidUTF8(text[:max-9], "")
	return head + "~" + shortHash(string(a))
}

func shortHash(text string) string {
	h := fnv.New32a()
	h.Write([]byte(text))
	return fmt.Sprintf("%08x", h.Sum32())
}

// nftQuote is text as nft reads strings: it knows no escapes.
func nftQuote(text string) string { return `"` + strings.ReplaceAll(text, `"`, "'") + `"` }

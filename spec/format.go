package spec

import (
	"bytes"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
)

// Format brings source into the canonical style: spaces and alignment, and what has two
// spellings into one. A file that does not parse is left alone and reported. The source of
// a *.hcl.json file has no style of ours and stays as it is.
func Format(src []byte, filename string) ([]byte, hcl.Diagnostics) {
	if strings.HasSuffix(filename, ".json") {
		return src, nil
	}
	if problem := unreadable(src, filename); problem != nil {
		return nil, hcl.Diagnostics{problem}
	}
	if _, diags := hclsyntax.ParseConfig(src, filename, hcl.InitialPos); diags.HasErrors() {
		return src, diags
	}
	f, diags := hclwrite.ParseConfig(src, filename, hcl.InitialPos)
	if diags.HasErrors() {
		return src, diags
	}
	formatBody(f.Body())
	out := hclwrite.Format(f.Bytes())
	if _, diags := hclsyntax.ParseConfig(out, filename, hcl.InitialPos); diags.HasErrors() {
		return src, nil // never make a file worse
	}
	return out, nil
}

// formatBody normalises the arguments and labels of a body and all below it.
func formatBody(b *hclwrite.Body) {
	for _, name := range sortedNames(b.Attributes()) {
		tokens := b.Attributes()[name].Expr().BuildTokens(nil)
		if better := unwrapped(tokens); better != nil {
			b.SetAttributeRaw(name, better)
		}
	}
	for _, inner := range b.Blocks() {
		inner.SetLabels(inner.Labels()) // quotes around all of them
		formatBody(inner.Body())
	}
}

// unwrapped is what stands in "${…}" when there is nothing around it, nil otherwise: a
// template of one value is the value itself.
func unwrapped(tokens hclwrite.Tokens) hclwrite.Tokens {
	n := len(tokens)
	if n < 5 || tokens[0].Type != hclsyntax.TokenOQuote || tokens[1].Type != hclsyntax.TokenTemplateInterp ||
		tokens[n-2].Type != hclsyntax.TokenTemplateSeqEnd || tokens[n-1].Type != hclsyntax.TokenCQuote {
		return nil
	}
	// With ~ at either end it strips spaces, of which there are none; still leave it alone.
	if !bytes.Equal(tokens[1].Bytes, []byte("${")) || !bytes.Equal(tokens[n-2].Bytes, []byte("}")) {
		return nil
	}
	inner, depth := tokens[2:n-2], 0
	for _, t := range inner {
		switch t.Type {
		case hclsyntax.TokenOQuote, hclsyntax.TokenCQuote:
			if depth == 0 && t.Type == hclsyntax.TokenCQuote {
				return nil // "${a}${b}": more than one
			}
			if t.Type == hclsyntax.TokenOQuote {
				depth++
			} else {
				depth--
			}
		case hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl:
			depth++
		case hclsyntax.TokenTemplateSeqEnd:
			if depth--; depth < 0 {
				return nil
			}
		case hclsyntax.TokenNewline, hclsyntax.TokenComment:
			if depth == 0 {
				return parenthesised(inner)
			}
		}
	}
	if depth != 0 {
		return nil
	}
	if better := unwrapped(trimmed(inner)); better != nil {
		return better
	}
	return inner
}

// parenthesised puts an expression of several lines into parentheses, in which lines may
// end.
func parenthesised(tokens hclwrite.Tokens) hclwrite.Tokens {
	out := hclwrite.Tokens{{Type: hclsyntax.TokenOParen, Bytes: []byte("(")}}
	out = append(out, tokens...)
	return append(out, &hclwrite.Token{Type: hclsyntax.TokenCParen, Bytes: []byte(")")})
}

// trimmed is the tokens without spaces before the first.
func trimmed(tokens hclwrite.Tokens) hclwrite.Tokens {
	if len(tokens) > 0 {
		first := *tokens[0]
		first.SpacesBefore = 0
		tokens = append(hclwrite.Tokens{&first}, tokens[1:]...)
	}
	return tokens
}

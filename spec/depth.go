package spec

import (
	"bytes"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// The parser, and what evaluates what it made, call themselves for each bracket in a bracket
// and each operand of a chain. No person writes as many as there may be; with some ten times
// of that a process would run for minutes, or out of stack.
const (
	deepest = 500  // brackets in brackets, with those of templates
	longest = 5000 // operators in a row, without a comma or the end of a line
)

// lexer cuts source into tokens: hclsyntax.LexConfig, which JSON's are close enough to, or that
// of expressions or templates.
type lexer func(src []byte, filename string, start hcl.Pos) (hclsyntax.Tokens, hcl.Diagnostics)

// tooDeep refuses source that is nested beyond all measure.
func tooDeep(src []byte, name string, lex lexer) *hcl.Diagnostic {
	if !mayBeDeep(src) {
		return nil
	}
	tokens, _ := lex(src, name, hcl.InitialPos) // what is wrong with them is the parser's to say
	depth, chain := 0, 0
	for _, t := range tokens {
		switch t.Type {
		case hclsyntax.TokenOBrace, hclsyntax.TokenOBrack, hclsyntax.TokenOParen, hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl:
			depth++
			chain++
		case hclsyntax.TokenCBrace, hclsyntax.TokenCBrack, hclsyntax.TokenCParen:
			depth = max(depth-1, 0)
		case hclsyntax.TokenTemplateSeqEnd:
			depth, chain = max(depth-1, 0), 0
		case hclsyntax.TokenComma, hclsyntax.TokenNewline:
			chain = 0
		case hclsyntax.TokenIdent, hclsyntax.TokenNumberLit, hclsyntax.TokenQuotedLit, hclsyntax.TokenStringLit:
		default:
			chain++
		}
		switch {
		case depth > deepest:
			return fault(nil, "Nested too deeply", "In line %d of %s there are more than %d brackets inside each other. Take it apart: name its parts in locals.", t.Range.Start.Line, name, deepest)
		case chain > longest:
			return fault(nil, "Expression too long", "In line %d of %s there are more than %d operators in one expression. Take it apart: name its parts in locals, or put them into a list.", t.Range.Start.Line, name, longest)
		}
	}
	return nil
}

// mayBeDeep is a quick look, which counts what is in texts and comments too.
func mayBeDeep(src []byte) bool {
	depth, row := 0, 0
	for _, c := range src {
		switch {
		case c == '\n' || c == ',':
			row = 0
			continue
		case bytes.IndexByte([]byte("{[("), c) >= 0:
			depth++
		case bytes.IndexByte([]byte("}])"), c) >= 0:
			depth = max(depth-1, 0)
		}
		if row++; depth > deepest || row > longest {
			return true
		}
	}
	return false
}

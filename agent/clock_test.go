package agent_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// TestNoClockIsCompared: hosts' clocks may be hours apart, because nobody compares a time
// that another host wrote with his own. Such times are for people; what decides is the
// index that Consul gave to a change, and sessions, which Consul times.
func TestNoClockIsCompared(t *testing.T) {
	files := token.NewFileSet()
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(files, path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if call, is := n.(*ast.CallExpr); is && comparesClocks(call) {
				t.Errorf("%s: a time that another host may have written is compared", files.Position(call.Pos()))
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// comparesClocks reports a comparison with a time of a record: When of reports, revisions
// and their news, Since of locks.
func comparesClocks(call *ast.CallExpr) bool {
	method, is := call.Fun.(*ast.SelectorExpr)
	if !is {
		return false
	}
	switch method.Sel.Name {
	case "Before", "After", "Sub", "Compare", "Since", "Until", "Parse":
	default:
		return false
	}
	for _, e := range append([]ast.Expr{method.X}, call.Args...) {
		if s, is := e.(*ast.SelectorExpr); is && (s.Sel.Name == "When" || s.Sel.Name == "Since") {
			return true
		}
	}
	return false
}

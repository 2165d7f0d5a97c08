package spec

import (
	"bytes"
	"strings"
	"testing"
)

// Every attribute of every block, and every function, is in the reference with something
// said about it.
func TestReferenceIsComplete(t *testing.T) {
	var b bytes.Buffer
	if err := Reference(&b, testDrivers()); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	var walk func(s *Schema)
	walk = func(s *Schema) {
		for _, a := range s.Attrs {
			if a.Doc == "" || !strings.Contains(text, "| `"+a.Name+"` |") {
				t.Errorf("%s.%s is not described", s.Name, a.Name)
			}
		}
		for i := range s.Blocks {
			walk(&s.Blocks[i].Schema)
		}
	}
	walk(&newLanguage(testDrivers()).top)
	for name, f := range Functions(".") {
		if f.Description() == "" {
			t.Errorf("function %s is not described", name)
		}
	}
}

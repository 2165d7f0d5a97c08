package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	featureRow  = regexp.MustCompile(`(?m)^\| ([DISC]\d\d) \| .* \| (.*) \| (.*) \|$`)
	anyRow      = regexp.MustCompile(`(?m)^\|.*$`)
	namedFile   = regexp.MustCompile("`([a-z0-9_/.-]+/[a-z0-9_.-]+\\.(?:go|txtar))`")
	namedTest   = regexp.MustCompile("`([a-z0-9_/.-]+_test\\.go)` `(Test\\w+)`")
	hasFeatures = map[string]int{"D": 61, "I": 21, "S": 18, "C": 15}
)

// TestLibnetwork looks that the page on libnetwork has each feature once, that what it
// says to be there is shown by something, and that all tests that it names are there.
func TestLibnetwork(t *testing.T) {
	text, err := os.ReadFile("libnetwork.md")
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for _, group := range []string{"D", "I", "S", "C"} {
		for i := range hasFeatures[group] {
			want = append(want, fmt.Sprintf("%s%02d", group, i+1))
		}
	}
	for _, row := range featureRow.FindAllStringSubmatch(string(text), -1) {
		id, here, shown := row[1], row[2], row[3]
		got = append(got, id)
		why := strings.HasPrefix(here, "no: ") || here == "not yet"
		if shown == "–" && !why || shown != "–" && !namedFile.MatchString(shown) {
			t.Errorf("%s is shown by %q, and is no sentence on why there is nothing to show: %q", id, shown, here)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("the page has the features\n%s, want\n%s", got, want)
	}
	for _, row := range anyRow.FindAllString(string(text), -1) {
		for _, file := range namedFile.FindAllStringSubmatch(row, -1) {
			if _, err := os.Stat(filepath.Join("..", file[1])); err != nil {
				t.Errorf("%s: %v", row, err)
			}
		}
		for _, test := range namedTest.FindAllStringSubmatch(row, -1) {
			source, err := os.ReadFile(filepath.Join("..", test[1]))
			if err != nil || !strings.Contains(string(source), "func "+test[2]+"(") {
				t.Errorf("%s: %s has no %s (%v)", row, test[1], test[2], err)
			}
		}
	}
}

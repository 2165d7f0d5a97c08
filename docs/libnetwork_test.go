package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

var (
	featureRow  = regexp.MustCompile(`(?m)^\| ([DISC]\d\d) \| .* \| (.*) \| (.*) \|$`)
	anyRow      = regexp.MustCompile(`(?m)^\|.*$`)
	namedFile   = regexp.MustCompile("`([a-z0-9_/.-]+/[a-z0-9_.-]+\\.(?:go|txtar))`")
	anyQuoted   = regexp.MustCompile("`([^`]+)`")
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
		file := "" // that of the tests behind it
		for _, quoted := range anyQuoted.FindAllStringSubmatch(row, -1) {
			if !strings.HasPrefix(quoted[1], "Test") {
				file = quoted[1]
				continue
			}
			source, err := os.ReadFile(filepath.Join("..", file))
			if err != nil || !strings.Contains(string(source), "func "+quoted[1]+"(") {
				t.Errorf("%s: %s has no %s (%v)", row, file, quoted[1], err)
			}
		}
	}
}

// TestLibnetworkNamesWhatThereIs looks that what the page says to be ours is in the pages that are
// written from the program: options, blocks, commands and flags.
func TestLibnetworkNamesWhatThereIs(t *testing.T) {
	read := func(name string) string {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	known := read("language.md") + read("commands.md")
	for _, row := range anyRow.FindAllString(read("libnetwork.md"), -1) {
		cells := strings.Split(row, " | ")
		ours := cells[len(cells)-1] // of libnetwork's options
		if featureRow.MatchString(row) {
			ours = cells[2]
		}
		for _, quoted := range anyQuoted.FindAllStringSubmatch(ours, -1) {
			if strings.Contains(quoted[1], "/") || unicode.IsUpper(rune(quoted[1][0])) {
				continue // a test, or somebody else's name
			}
			for _, word := range strings.FieldsFunc(quoted[1], notOfNames) {
				if word != "br-" && !strings.Contains(known, word) {
					t.Errorf("%s: neither language.md nor commands.md has %q", row, word)
				}
			}
		}
	}
}

// notOfNames reports what stands between the names of options, commands and flags.
func notOfNames(r rune) bool {
	return r != '-' && r != '_' && (r < 'a' || r > 'z') && (r < '0' || r > '9')
}

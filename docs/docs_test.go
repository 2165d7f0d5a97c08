// Package docs keeps the documentation true: reference pages are written from the program
// itself, and every command whose output a page shows is run. With -update the pages are
// written anew (make docs); without it, a page that is not as it would be written fails.
package docs

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cnmctl/cnmctl/cli"
	"github.com/cnmctl/cnmctl/drivers/registry"
	"github.com/cnmctl/cnmctl/e2e/apart"
	"github.com/cnmctl/cnmctl/spec"
	"github.com/rogpeppe/go-internal/diff"
	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "write the pages anew")

func TestMain(m *testing.M) {
	apart.Main()
	testscript.Main(m, map[string]func(){"cnmctl": func() {
		os.Exit(cli.Main(os.Args, cli.Env{
			Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv,
		}))
	}})
}

// TestCommands writes commands.md from the help texts.
func TestCommands(t *testing.T) {
	var b strings.Builder
	b.WriteString("# Commands\n\nWritten from `cnmctl help`. Flags may have one dash or two.\n")
	overview := help(t)
	b.WriteString("\n```text\n" + overview + "```\n")
	for _, name := range commandsIn(overview) {
		text := help(t, name)
		b.WriteString("\n## cnmctl " + name + "\n\n```text\n" + text + "```\n")
		for _, sub := range commandsIn(text) {
			b.WriteString("\n### cnmctl " + name + " " + sub + "\n\n```text\n" + help(t, name, sub) + "```\n")
		}
	}
	same(t, "commands.md", b.String())
}

// TestLanguage writes language.md from the tables that configurations are read with.
func TestLanguage(t *testing.T) {
	var b strings.Builder
	if err := spec.Reference(&b, registry.Schemas()); err != nil {
		t.Fatal(err)
	}
	same(t, "language.md", b.String())
}

// help is what `cnmctl help` says of a command.
func help(t *testing.T, command ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	env := cli.Env{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, Getenv: func(string) string { return "" }}
	if code := cli.Main(append([]string{"cnmctl", "help"}, command...), env); code != 0 {
		t.Fatalf("cnmctl help %s: exit code %d\n%s", strings.Join(command, " "), code, errs.String())
	}
	return out.String()
}

// commandsIn lists the commands that a help text names: the first words of the sections
// that are neither flags nor examples.
func commandsIn(text string) []string {
	var names []string
	listing := false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		word, _, _ := strings.Cut(strings.TrimPrefix(line, "  "), " ")
		switch {
		case !strings.HasPrefix(line, " "):
			listing = strings.HasSuffix(line, ":") && !strings.HasPrefix(line, "Usage:") && line != "Examples:" &&
				!strings.HasPrefix(line, "Flags") && line != "Exit codes:" && line != "Environment:"
		case listing && strings.HasPrefix(line, "  ") && !strings.HasPrefix(line, "   ") && word != "":
			names = append(names, word)
		}
	}
	return names
}

// same compares a page with what it should be, or writes it.
func same(t *testing.T, path, want string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not up to date (make docs):\n%s", path, diff.Diff(path, got, "now", []byte(want)))
	}
}

// TestShownOutput runs what the pages show. Each page has a machine of its own, with the
// examples in the working directory, and its commands run in order.
func TestShownOutput(t *testing.T) {
	pages, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range append(pages, "../README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(text, []byte(runMarker)) {
			continue
		}
		t.Run(filepath.Base(page), func(t *testing.T) {
			t.Parallel()
			apart.Test(t, func(t *testing.T) { checkPage(t, page, string(text)) }, "-update="+boolText(*update))
		})
	}
}

func boolText(b bool) string {
	if b {
		return "true"
	}
	return "false"
}

package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/cnmctl/cnmctl/spec"
	"github.com/google/renameio/v2"
	"github.com/hashicorp/hcl/v2"
	"github.com/rogpeppe/go-internal/diff"
	ucli "github.com/urfave/cli/v2"
)

func fmtCommand(env Env) *ucli.Command {
	return &ucli.Command{
		Name: "fmt", ArgsUsage: "[FILE|DIR|-]...",
		Usage: "Bring configuration files into the canonical form",
		Description: about(`Rewrites the *.hcl and *.vars files of a directory in the canonical form, and prints the names of those
that changed. With "-", reads standard input and writes standard output.`,
			"cnmctl fmt", "cnmctl fmt -check -diff -recursive", "cnmctl fmt - < main.hcl"),
		Flags: flags([]ucli.Flag{
			toggle("check", "change nothing; exit with 3 when a file is not formatted"),
			toggle("diff", "show the changes"),
			toggle("recursive", "go into subdirectories too"),
			&ucli.BoolFlag{Name: "list", Value: true, Usage: "list the files that change"},
			&ucli.BoolFlag{Name: "write", Value: true, Usage: "write the files"},
		}, colorFlag()),
		Action: action(env, formatAll),
	}
}

func formatAll(_ context.Context, s *session) error {
	targets := s.Args().Slice()
	if len(targets) == 0 {
		targets = []string{"."}
	}
	changed := false
	for _, t := range targets {
		files, err := sourcesIn(t, s.Bool("recursive"))
		if err != nil {
			return err
		}
		for _, file := range files {
			c, err := formatOne(s, file)
			if err != nil {
				return err
			}
			changed = changed || c
		}
	}
	if changed && s.Bool("check") {
		return quietly(codeUnformatted)
	}
	return nil
}

// sourcesIn lists the files that the argument means.
func sourcesIn(target string, recursive bool) ([]string, error) {
	if target == "-" {
		return []string{target}, nil
	}
	info, err := os.Stat(target)
	if err != nil {
		return nil, fmt.Errorf("formatting: %w", err)
	}
	if !info.IsDir() {
		return []string{target}, nil
	}
	var files []string
	err = filepath.WalkDir(target, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != target && (!recursive || strings.HasPrefix(d.Name(), ".")):
			return fs.SkipDir
		case d.IsDir():
			found, err := spec.FormattableFiles(path)
			files = append(files, found...)
			return err
		}
		return nil
	})
	return files, err
}

// formatOne formats one file and reports whether it was not in the canonical form.
func formatOne(s *session, file string) (changed bool, err error) {
	src, err := readSource(s.env.Stdin, file)
	if err != nil {
		return false, err
	}
	name := file
	if file == "-" {
		name = "<stdin>"
	}
	out, diags := spec.Format(src, name)
	if diags.HasErrors() {
		s.say.files = map[string]*hcl.File{name: {Bytes: src}}
		return false, diags
	}
	changed = !bytes.Equal(src, out)
	if file == "-" && !s.Bool("check") && !s.Bool("diff") {
		_, err := s.say.text.Write(out)
		return changed, err
	}
	if !changed {
		return false, nil
	}
	if s.Bool("list") && file != "-" {
		s.say.line("%s", file)
	}
	if s.Bool("diff") {
		_, _ = s.say.text.Write(diff.Diff("old/"+name, src, "new/"+name, out))
	}
	if s.Bool("check") || !s.Bool("write") || file == "-" {
		return true, nil
	}
	info, err := os.Stat(file)
	if err != nil {
		return true, err
	}
	if err := renameio.WriteFile(file, out, info.Mode().Perm()); err != nil {
		return true, fmt.Errorf("formatting: %w", err)
	}
	return true, nil
}

func readSource(stdin io.Reader, file string) ([]byte, error) {
	if file == "-" {
		return io.ReadAll(stdin)
	}
	src, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("formatting: %w", err)
	}
	return src, nil
}

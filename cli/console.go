package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/cnmctl/cnmctl/spec"
	ucli "github.com/urfave/cli/v2"
)

func consoleCommand(env Env) *ucli.Command {
	return &ucli.Command{
		Name:  "console",
		Usage: "Evaluate expressions of the language",
		Description: about(`Reads expressions from standard input, a line each, and prints their values. An expression
goes on in the next line while a bracket is open. It may refer to everything in the configuration here; addresses
are the ones in use. No lock is taken. The exit code is 1 when an expression of a pipe has an error.`,
			"cnmctl console", `echo 'cidrhost(network.front.cidr, 5)' | cnmctl console`),
		Flags:  flags(varFlags(), hostFlag(), colorFlag()),
		Action: looking(env, console),
	}
}

func console(ctx context.Context, s *session) error {
	if err := s.arguments(0, 0); err != nil {
		return err
	}
	f := &flow{s: s}
	if err := f.begin(ctx); err != nil {
		return err
	}
	if err := f.look(ctx); err != nil {
		return f.preferMistakes(ctx, err)
	}
	if err := f.evaluate(ctx); err != nil {
		return err
	}
	_, tty := terminal(s.env.Stdin)
	in := bufio.NewReader(s.env.Stdin)
	failed := false
	for more := true; more; {
		text, err := s.readExpression(ctx, in, tty)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if more = err == nil; text == "exit" {
			break
		}
		if text != "" {
			failed = !s.evaluateLine(f.config, text) || failed
		}
	}
	if failed && !tty {
		return quietly(codeError)
	}
	return nil
}

// readExpression reads a line, and those after it while a bracket is open. An empty line
// ends what was begun.
func (s *session) readExpression(ctx context.Context, in *bufio.Reader, tty bool) (string, error) {
	var text strings.Builder
	for prompt := "> "; ; prompt = ": " {
		if tty {
			fmt.Fprint(s.say.text, prompt)
		}
		line, err := readLine(ctx, in)
		text.WriteString(line)
		if whole := strings.TrimSpace(text.String()); err != nil || !spec.Unfinished(whole) || strings.TrimSpace(line) == "" {
			return whole, err
		}
	}
}

// evaluateLine prints an expression's value, and reports whether it has one.
func (s *session) evaluateLine(config *spec.Config, text string) bool {
	v, sensitive, diags := config.Eval(text)
	s.say.files = config.Files()
	s.say.diagnostics(diags)
	switch {
	case diags.HasErrors():
		return false
	case sensitive:
		s.say.line("(sensitive value)")
	default:
		s.say.line("%s", literal(v))
	}
	return true
}

// mayAsk reports that there is somebody to ask.
func (s *session) mayAsk() bool {
	if !s.hasFlag("input") || !s.Bool("input") || s.Bool("json") {
		return false
	}
	_, tty := terminal(s.env.Stdin)
	return tty
}

func (s *session) hasFlag(name string) bool {
	for _, f := range s.Command.Flags {
		for _, n := range f.Names() {
			if n == name {
				return true
			}
		}
	}
	return false
}

// askVariables asks for the variables that have no value.
func (s *session) askVariables(names []string) ([]spec.VarFlag, error) {
	in := bufio.NewReader(s.env.Stdin)
	var given []spec.VarFlag
	for _, name := range names {
		fmt.Fprintf(s.say.text, "var.%s\n  Enter a value: ", name)
		line, err := readLine(context.Background(), in)
		if err != nil {
			return nil, fmt.Errorf("asking for the variable %s: %w", name, err)
		}
		given = append(given, spec.VarFlag{Assignment: name + "=" + strings.TrimRight(line, "\r\n")})
	}
	return given, nil
}

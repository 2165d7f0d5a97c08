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
		Description: about(`Reads expressions from standard input, a line each, and prints their values. They may refer
to everything in the configuration here; addresses are the ones in use. No lock is taken.`,
			"cnmctl console", `echo 'cidrhost(network.front.subnet[0].cidr, 5)' | cnmctl console`),
		Flags:  flags(varFlags(), hostFlag(), colorFlag()),
		Action: action(env, console),
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
	for {
		if tty {
			fmt.Fprint(s.say.text, "> ")
		}
		line, err := readLine(ctx, in)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		text := strings.TrimSpace(line)
		if text == "exit" {
			return nil
		}
		if text != "" {
			failed = !s.evaluateLine(f.config, text) || failed
		}
		if err != nil {
			break
		}
	}
	if failed && !tty {
		return quietly(codeError)
	}
	return nil
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

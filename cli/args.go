package cli

import (
	"fmt"
	"slices"
	"strings"

	ucli "github.com/urfave/cli/v2"
)

// line is a command line taken apart: the flags before the command, the command that it
// names (a path through subcommands, [app] for none) and what follows.
type line struct {
	global []string
	path   []*ucli.Command
	rest   []string
}

// leaf is the command that the line names, nil for cnmctl alone.
func (l line) leaf() *ucli.Command {
	if len(l.path) == 0 {
		return nil
	}
	return l.path[len(l.path)-1]
}

// split takes a command line apart.
func split(app *ucli.App, args []string) line {
	var l line
	l.global, l.rest = leadingFlags(app.Flags, args)
	commands := app.Commands
	for len(l.rest) > 0 {
		i := slices.IndexFunc(commands, func(c *ucli.Command) bool { return c.HasName(l.rest[0]) })
		if i < 0 {
			break
		}
		l.path = append(l.path, commands[i])
		commands, l.rest = commands[i].Subcommands, l.rest[1:]
	}
	return l
}

// words is the whole line again, as the parser wants it: flags before arguments.
func (l line) words(program string) []string {
	words := append([]string{program}, l.global...)
	for _, c := range l.path {
		words = append(words, c.Name)
	}
	if c := l.leaf(); c != nil && !c.SkipFlagParsing {
		return append(words, flagsFirst(c, l.rest)...)
	}
	return append(words, l.rest...)
}

// name is the command's name as in CNMCTL_CLI_ARGS_<name>: "plan", "state_rm".
func (l line) name() string {
	names := make([]string, len(l.path))
	for i, c := range l.path {
		names[i] = c.Name
	}
	return strings.Join(names, "_")
}

// wantsHelp reports that one of the flags asks for help. What comes after "--", or after
// the sandbox of exec, is another program's.
func (l line) wantsHelp() bool {
	c := l.leaf()
	if c != nil && c.SkipFlagParsing {
		return false
	}
	for _, arg := range slices.Concat(l.global, l.rest) {
		switch {
		case arg == "--", c != nil && c.Name == "exec" && !isFlag(arg):
			return false
		case arg == "-h", arg == "-help", arg == "--help":
			return true
		}
	}
	return false
}

// withEnv puts the arguments of CNMCTL_CLI_ARGS and CNMCTL_CLI_ARGS_<command> before those
// of the line, so that the line's win.
func (l line) withEnv(getenv func(string) string) (line, error) {
	if l.leaf() == nil {
		return l, nil
	}
	var extra []string
	for _, name := range []string{"CNMCTL_CLI_ARGS", "CNMCTL_CLI_ARGS_" + l.name()} {
		words, err := shellWords(getenv(name))
		if err != nil {
			return l, fmt.Errorf("reading %s: %w", name, err)
		}
		extra = append(extra, words...)
	}
	l.rest = append(extra, l.rest...)
	return l, nil
}

// leadingFlags cuts the flags off the front.
func leadingFlags(flags []ucli.Flag, args []string) (lead, rest []string) {
	for len(args) > 0 && isFlag(args[0]) && args[0] != "--" {
		n := min(flagWords(flags, args[0]), len(args))
		lead, args = append(lead, args[:n]...), args[n:]
	}
	return lead, args
}

// flagsFirst moves flags before arguments, because the parser stops at the first argument.
// Commands that hand their arguments on to another program keep them as they are.
func flagsFirst(c *ucli.Command, args []string) []string {
	var flags, plain []string
	for len(args) > 0 && args[0] != "--" {
		n := 1
		switch {
		case isFlag(args[0]):
			n = min(flagWords(c.Flags, args[0]), len(args))
			flags = append(flags, args[:n]...)
		case c.Name == "exec":
			return append(append(flags, plain...), args...)
		default:
			plain = append(plain, args[0])
		}
		args = args[n:]
	}
	if len(args) > 0 || len(plain) > 0 {
		flags = append(flags, "--")
	}
	if len(args) > 0 {
		args = args[1:]
	}
	return append(append(flags, plain...), args...)
}

// isFlag tells flags from arguments; "-" alone is an argument (standard input).
func isFlag(arg string) bool { return len(arg) > 1 && arg[0] == '-' }

// flagWords is how many words the flag takes: 2 when its value is a word of its own.
func flagWords(flags []ucli.Flag, arg string) int {
	name := strings.TrimLeft(arg, "-")
	if strings.Contains(name, "=") {
		return 1
	}
	for _, f := range flags {
		if !slices.Contains(f.Names(), name) {
			continue
		}
		if _, isBool := f.(*ucli.BoolFlag); isBool {
			return 1
		}
		return 2
	}
	return 1
}

// shellWords splits text at blanks as a shell does, with quotes and backslashes.
func shellWords(text string) ([]string, error) {
	var words []string
	var word strings.Builder
	var quote rune
	inWord, escaped := false, false
	for _, r := range text {
		switch {
		case escaped:
			word.WriteRune(r)
			escaped = false
		case r == '\\' && quote != '\'':
			inWord, escaped = true, true
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '\'' || r == '"'):
			inWord, quote = true, r
		case quote == 0 && strings.ContainsRune(" \t\n", r):
			if inWord {
				words = append(words, word.String())
				word.Reset()
			}
			inWord = false
		default:
			inWord = true
			word.WriteRune(r)
		}
	}
	if quote != 0 || escaped {
		return nil, fmt.Errorf("%q ends inside a quotation", text)
	}
	if inWord {
		words = append(words, word.String())
	}
	return words, nil
}

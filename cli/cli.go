// Package cli is the command line: it parses flags, calls the other rooms and prints what
// they answer. It has one file for each command, and no logic of its own.
package cli

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/agext/levenshtein"
	ucli "github.com/urfave/cli/v2"
)

// Main runs cnmctl with the arguments of a process, the first being its name, and returns
// its exit code.
func Main(args []string, env Env) int {
	env = env.withDefaults()
	err := dispatch(newApp(env), args, env)
	var exit *exitError
	if err != nil && !(errors.As(err, &exit) && exit.Err == nil) {
		fmt.Fprintf(env.Stderr, "Error: %s\n", err)
	}
	return exitCode(err)
}

func newApp(env Env) *ucli.App {
	app := &ucli.App{
		Name: "cnmctl", HelpName: "cnmctl",
		Description: "cnmctl builds container networks from a configuration: networks, sandboxes and " +
			"endpoints. It plans against the live kernel and does exactly what the plan says.",
		HideHelp: true, HideVersion: true,
		Reader: env.Stdin, Writer: env.Stdout, ErrWriter: env.Stderr,
		// A comma is part of a value: -var 'zones=["a","b"]'.
		DisableSliceFlagSeparator: true,
		ExitErrHandler:            func(*ucli.Context, error) {},
		OnUsageError:              usageError,
		Flags: []ucli.Flag{
			text("chdir", "DIR", "work in another directory"),
			toggle("version", "the same as the version command"),
		},
		Before: func(c *ucli.Context) error {
			if dir := c.String("chdir"); dir != "" {
				if err := os.Chdir(dir); err != nil {
					return fmt.Errorf("changing to the directory of -chdir: %w", err)
				}
			}
			return nil
		},
		Commands: commands(env),
	}
	for _, c := range app.Commands {
		prepare(c, "cnmctl")
	}
	return app
}

// commands lists all there are, in the order of the help text.
func commands(env Env) []*ucli.Command {
	return inCategories([]category{
		{"Main commands", []*ucli.Command{
			validateCommand(env), fmtCommand(env), planCommand(env), applyCommand(env), destroyCommand(env), driftCommand(env),
		}},
		{"Looking at what is there", []*ucli.Command{
			showCommand(env), outputCommand(env), graphCommand(env), stateCommand(env), execCommand(env),
		}},
		{"Several hosts", []*ucli.Command{
			syncCommand(env), agentCommand(env), networkCommand(env), endpointCommand(env), sandboxCommand(env), hostCommand(env), keyCommand(env),
		}},
		{"Other commands", []*ucli.Command{
			storeCommand(env), forceUnlockCommand(env), consoleCommand(env), benchCommand(env), completionCommand(env), versionCommand(env), helpCommand(env),
			completeCommand(env),
		}},
	})
}

type category struct {
	name     string
	commands []*ucli.Command
}

func inCategories(categories []category) (all []*ucli.Command) {
	for _, cat := range categories {
		for _, c := range cat.commands {
			c.Category = cat.name
			all = append(all, c)
		}
	}
	return all
}

// prepare sets what all commands have in common.
func prepare(c *ucli.Command, parent string) {
	c.HelpName = parent + " " + c.Name
	c.HideHelp, c.HideHelpCommand = true, true
	c.OnUsageError = usageError
	for _, sub := range c.Subcommands {
		prepare(sub, c.HelpName)
	}
}

// dispatch finds the command, answers requests for help, and runs it.
func dispatch(app *ucli.App, args []string, env Env) error {
	app.Setup()
	for _, c := range app.Commands {
		c.HelpName = "cnmctl " + c.Name // Setup doubles it
	}
	l := split(app, args[min(1, len(args)):])
	c := l.leaf()
	switch {
	case l.wantsHelp():
		printHelp(env.Stdout, app, c)
		return nil
	case c == nil && len(l.rest) == 0 && hasVersion(l.global):
		l.path = []*ucli.Command{app.Command("version")}
	case c == nil && len(l.rest) == 0 && len(l.global) == 0:
		printHelp(env.Stdout, app, nil)
		return quietly(codeError)
	case c == nil || len(c.Subcommands) > 0:
		return unknownCommand(app, l)
	}
	l, err := l.withEnv(env.Getenv)
	if err != nil {
		return err
	}
	return app.Run(l.words(app.Name))
}

func hasVersion(global []string) bool {
	for _, g := range global {
		if strings.TrimLeft(g, "-") == "version" {
			return true
		}
	}
	return false
}

// unknownCommand says that there is no such command, and which one may be meant.
func unknownCommand(app *ucli.App, l line) error {
	there, prefix := app.Commands, "cnmctl"
	if c := l.leaf(); c != nil {
		there, prefix = c.Subcommands, c.HelpName
	}
	if len(l.rest) == 0 {
		return fmt.Errorf("%s needs a command; run '%s -help' to see which", prefix, prefix)
	}
	var names []string
	for _, c := range there {
		if !c.Hidden {
			names = append(names, c.Name)
		}
	}
	return fmt.Errorf("there is no command '%s %s'.%s\n\nRun '%s -help' to see all",
		prefix, l.rest[0], didYouMean(l.rest[0], names), prefix)
}

// usageError says what is wrong with the flags of a command.
func usageError(c *ucli.Context, err error, _ bool) error {
	name, unknown := strings.CutPrefix(err.Error(), "flag provided but not defined: -")
	if !unknown {
		return fmt.Errorf("%w\n\nRun '%s -help' for its flags", err, c.Command.HelpName)
	}
	var names []string
	for _, f := range c.Command.Flags {
		names = append(names, "-"+f.Names()[0])
	}
	hint := didYouMean("-"+name, names)
	if c.Command.HelpName == "cnmctl" {
		hint += " Flags of a command come after its name."
	}
	return fmt.Errorf("%s has no flag -%s.%s\n\nRun '%s -help' for its flags",
		c.Command.HelpName, name, hint, c.Command.HelpName)
}

// didYouMean is a sentence with the name that was probably meant, "" when none is near.
func didYouMean(given string, names []string) string {
	best, distance := "", len(given)/3+1
	for _, name := range names {
		if d := levenshtein.Distance(given, name, nil); d <= distance {
			best, distance = name, d-1
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" Did you mean %s?", best)
}

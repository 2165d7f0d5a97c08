package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/mitchellh/go-wordwrap"
	ucli "github.com/urfave/cli/v2"
)

// about is a command's description: what it does, and examples.
func about(text string, examples ...string) string {
	var b strings.Builder
	b.WriteString(strings.ReplaceAll(strings.TrimSpace(text), "\n", " "))
	b.WriteString("\n\nExamples:\n")
	for _, e := range examples {
		b.WriteString("  " + e + "\n")
	}
	return b.String()
}

func helpCommand(env Env) *ucli.Command {
	return &ucli.Command{
		Name: "help", ArgsUsage: "[COMMAND]",
		Usage:       "List the commands, or show all about one",
		Description: about("Prints this tool's commands, or the description and flags of one.", "cnmctl help state mv"),
		Action: looking(env, func(_ context.Context, s *session) error {
			l := split(s.App, s.Args().Slice())
			if len(l.rest) > 0 {
				return unknownCommand(s.App, l)
			}
			printHelp(s.say.text, s.App, l.leaf())
			return nil
		}),
	}
}

// printHelp prints the help of a command, or of cnmctl when it is nil.
func printHelp(w io.Writer, app *ucli.App, c *ucli.Command) {
	if c == nil {
		printOverview(w, app)
		return
	}
	fmt.Fprintf(w, "Usage: %s\n\n%s\n", usageOf(c), wrap(c.Description, ""))
	printCommands(w, c.Subcommands)
	printFlags(w, "Flags", c.Flags)
}

func printOverview(w io.Writer, app *ucli.App) {
	fmt.Fprintf(w, "Usage: cnmctl [-chdir=DIR] COMMAND [FLAGS] [ARGUMENTS]\n\n%s\n", wrap(app.Description, ""))
	printCommands(w, app.Commands)
	printFlags(w, "Flags before the command", app.Flags)
	fmt.Fprint(w, environmentHelp)
}

const environmentHelp = `
Exit codes:
  0  done                       3  unformatted (fmt -check)
  1  error                      4  the lock is held by somebody else
  2  changes (drift, and plan   5  the saved plan is stale
     -detailed-exitcode)        130  interrupted

Environment:
  CNMCTL_VAR_name                 a variable of the configuration
  CNMCTL_CLI_ARGS[_command]       flags for every command, or for one
  CNMCTL_HOST                     this machine's name
  CNMCTL_LOG, CNMCTL_LOG_PATH     log debug, info, warn or error, to stderr or a file
  CNMCTL_IN_AUTOMATION, NO_COLOR  no hints, no colors

Run 'cnmctl help COMMAND' for the flags of a command.
`

func printCommands(w io.Writer, commands []*ucli.Command) {
	category := "\x00"
	for _, c := range commands {
		if c.Hidden {
			continue
		}
		if c.Category != category {
			category = c.Category
			title := category
			if title == "" {
				title = "Commands"
			}
			fmt.Fprintf(w, "\n%s:\n", title)
		}
		fmt.Fprintf(w, "  %-14s%s\n", c.Name, c.Usage)
	}
}

// printFlags prints flags as Go's and Terraform's users write them: one dash.
func printFlags(w io.Writer, title string, flags []ucli.Flag) {
	flags = slices.DeleteFunc(slices.Clone(flags), hidden)
	if len(flags) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s:\n", title)
	for _, f := range flags {
		name, usage := flagHelp(f)
		const column = 26
		if len(name) > column-4 {
			fmt.Fprintf(w, "  %s\n  %*s", name, column-2, "")
		} else {
			fmt.Fprintf(w, "  %-*s", column-2, name)
		}
		fmt.Fprintln(w, strings.TrimSpace(wrap(usage, strings.Repeat(" ", column))))
	}
}

// hidden are the flags that cnmctl passes to itself.
func hidden(f ucli.Flag) bool {
	v, ok := f.(ucli.VisibleFlag)
	return ok && !v.IsVisible()
}

// flagHelp is the flag as it is written and what it does. The value's name stands in
// backquotes at the beginning of the usage.
func flagHelp(f ucli.Flag) (name, usage string) {
	name = "-" + f.Names()[0]
	doc, ok := f.(ucli.DocGenerationFlag)
	if !ok {
		return name, ""
	}
	usage = doc.GetUsage()
	if b, isBool := f.(*ucli.BoolFlag); isBool {
		if b.Value {
			return name + "=false", "do not " + usage
		}
		return name, usage
	}
	if rest, quoted := strings.CutPrefix(usage, "`"); quoted {
		value, what, _ := strings.Cut(rest, "`")
		name, usage = name+"="+value, strings.TrimSpace(what)
	}
	if s, isText := f.(*ucli.StringFlag); isText && s.Value != "" {
		usage += " (default " + s.Value + ")"
	}
	return name, usage
}

// usageOf is how the command is called.
func usageOf(c *ucli.Command) string {
	text := c.HelpName
	if len(c.Subcommands) > 0 {
		text += " COMMAND"
	}
	if len(c.Flags) > 0 {
		text += " [FLAGS]"
	}
	return strings.TrimSpace(text + " " + c.ArgsUsage)
}

// wrap breaks the paragraphs of text; lines that begin with a blank stay as they are.
func wrap(text, indent string) string {
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		if !strings.HasPrefix(l, " ") {
			l = wordwrap.WrapString(l, uint(80-len(indent)))
		}
		lines[i] = indent + strings.ReplaceAll(l, "\n", "\n"+indent)
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n ")
}

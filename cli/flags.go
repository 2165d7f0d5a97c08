package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cnmctl/cnmctl/spec"
	ucli "github.com/urfave/cli/v2"
)

func toggle(name, usage string) ucli.Flag {
	return &ucli.BoolFlag{Name: name, Usage: usage}
}

func text(name, value, usage string) ucli.Flag {
	return &ucli.StringFlag{Name: name, Usage: "`" + value + "` " + usage}
}

func list(name, value, usage string) ucli.Flag {
	return &ucli.StringSliceFlag{Name: name, Usage: "`" + value + "` " + usage + "; may be repeated"}
}

// choice is a flag with a fixed set of values, the first of which is the default.
func choice(name, usage string, values ...string) ucli.Flag {
	return &ucli.StringFlag{
		Name: name, Value: values[0], Usage: "`" + strings.Join(values, "|") + "` " + usage,
		Action: func(_ *ucli.Context, v string) error {
			if !slices.Contains(values, v) {
				return fmt.Errorf("-%s is %q; it can be %s", name, v, strings.Join(values, " or "))
			}
			return nil
		},
	}
}

// flags joins groups of flags.
func flags(groups ...[]ucli.Flag) []ucli.Flag { return slices.Concat(groups...) }

// varFlags give values to the configuration's variables. Both keep one list, because the
// last one on the command line wins, whichever flag it came with.
func varFlags() []ucli.Flag {
	given := &[]spec.VarFlag{}
	return []ucli.Flag{
		&ucli.GenericFlag{Name: "var", Value: &varFlag{given: given},
			Usage: "`NAME=VALUE` sets a variable of the configuration; may be repeated"},
		&ucli.GenericFlag{Name: "var-file", Value: &varFlag{given: given, file: true},
			Usage: "`FILE` sets variables from a file; may be repeated"},
		&ucli.BoolFlag{Name: "input", Value: true, Usage: "ask for what is not given"},
	}
}

// varFlag is the value of -var or -var-file.
type varFlag struct {
	given *[]spec.VarFlag
	file  bool
}

// Set takes one occurrence of the flag.
func (v *varFlag) Set(text string) error {
	if v.file {
		*v.given = append(*v.given, spec.VarFlag{File: text})
	} else {
		*v.given = append(*v.given, spec.VarFlag{Assignment: text})
	}
	return nil
}

// String is the default, of which there is none.
func (v *varFlag) String() string { return "" }

// givenVars lists the -var and -var-file flags of a run.
func givenVars(c *ucli.Context) []spec.VarFlag {
	if v, ok := c.Generic("var").(*varFlag); ok {
		return *v.given
	}
	return nil
}

// colorFlag and the following are the groups of flags that commands share.
func colorFlag() []ucli.Flag {
	return []ucli.Flag{toggle("no-color", "no colors, whatever the output is")}
}

func hostFlag() []ucli.Flag {
	return []ucli.Flag{text("host", "NAME", "this machine's name among the hosts (default: CNMCTL_HOST, else the host name)")}
}

func stackFlag() []ucli.Flag {
	return []ucli.Flag{
		text("stack", "NAME", "the stack to look at, instead of that of the configuration here"),
		text("store", "TYPE[:PATH]", "where the stack of -stack has its records: local or consul (whose environment variables say where it is), "+
			"with a file or a prefix of keys that is not the usual one"),
	}
}

// streamFlags are for commands that tell a story.
func streamFlags() []ucli.Flag {
	return flags(colorFlag(), []ucli.Flag{
		toggle("json", "write one JSON object a line to stdout instead of text"),
		text("json-into", "FILE", "write the JSON lines to a file, and the text as usual"),
		toggle("compact-warnings", "show warnings as one line each"),
	})
}

// scopeFlags say which part of the configuration a plan is for.
func scopeFlags() []ucli.Flag {
	return []ucli.Flag{
		list("target", "ADDRESS", "plan only for this block and what it needs"),
		list("exclude", "ADDRESS", "plan without this block and what needs it"),
		list("replace", "ADDRESS", "make this block anew"),
	}
}

func lockFlags() []ucli.Flag {
	return []ucli.Flag{
		&ucli.BoolFlag{Name: "lock", Value: true, Usage: "keep other writers of the stack out"},
		&ucli.DurationFlag{Name: "lock-timeout", Usage: "`DURATION` to wait for a lock that is held, like 30s"},
	}
}

// runFlags say how a plan is carried out.
func runFlags() []ucli.Flag {
	return []ucli.Flag{
		toggle("auto-approve", "do not ask"),
		choice("on-failure", "what to do when something fails", "rollback", "keep"),
	}
}

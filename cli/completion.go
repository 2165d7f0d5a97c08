package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cnmctl/cnmctl/drivers"
	"github.com/cnmctl/cnmctl/drivers/registry"
	"github.com/cnmctl/cnmctl/planner"
	"github.com/cnmctl/cnmctl/state"
	ucli "github.com/urfave/cli/v2"
)

func completionCommand(env Env) *ucli.Command {
	return &ucli.Command{
		Name: "completion", ArgsUsage: "bash|zsh|fish",
		Usage: "Print a script that completes commands, flags and addresses",
		Description: about(`Prints a shell script to stdout. With it, the shell completes commands, flags and the
addresses of this directory's blocks.`,
			"source <(cnmctl completion bash)",
			"cnmctl completion zsh > ~/.zfunc/_cnmctl",
			"cnmctl completion fish > ~/.config/fish/completions/cnmctl.fish"),
		Action: looking(env, printCompletion),
	}
}

func printCompletion(_ context.Context, s *session) error {
	if err := s.arguments(1, 1); err != nil {
		return err
	}
	script, ok := completionScripts[s.Args().First()]
	if !ok {
		return s.misuse(fmt.Errorf("there is no completion for the shell %q", s.Args().First()))
	}
	fmt.Fprint(s.say.text, script)
	return nil
}

// completionScripts ask `cnmctl __complete SHELL WORDS...` for candidates, one a line.
var completionScripts = map[string]string{
	"bash": `_cnmctl() {
  local candidate
  COMPREPLY=()
  while IFS= read -r candidate; do
    COMPREPLY+=("$(printf %q "$candidate")")
  done < <(cnmctl __complete bash "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o default -F _cnmctl cnmctl
`,
	"zsh": `#compdef cnmctl
_cnmctl() {
  local -a candidates
  candidates=("${(@f)$(cnmctl __complete zsh "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n "$candidates" ]]; then compadd -a candidates; else _files; fi
}
compdef _cnmctl cnmctl
`,
	"fish": `function __cnmctl_complete
  set -l words (commandline -opc) (commandline -ct)
  cnmctl __complete fish $words[2..-1] 2>/dev/null
end
complete -c cnmctl -a '(__cnmctl_complete)'
`,
}

func completeCommand(env Env) *ucli.Command {
	return &ucli.Command{
		Name: "__complete", Hidden: true, SkipFlagParsing: true,
		Usage:       "Print the candidates for the last word of a command line",
		Description: about("For the scripts of the completion command.", `cnmctl __complete bash plan -tar`),
		Action: looking(env, func(ctx context.Context, s *session) error {
			words := s.Args().Slice()
			if len(words) == 0 {
				return nil
			}
			for _, c := range complete(ctx, s, words[0] == "bash", words[1:]) {
				fmt.Fprintln(s.say.text, c)
			}
			return nil
		}),
	}
}

// complete lists the candidates for the last word. Bash breaks words at "=", and wants
// only what comes after it.
func complete(ctx context.Context, s *session, bash bool, words []string) []string {
	words = joinEquals(words)
	if len(words) == 0 {
		words = []string{""}
	}
	before, word := words[:len(words)-1], strings.NewReplacer(`\`, "", `'`, "").Replace(words[len(words)-1])
	l := split(s.App, before)
	prefix := ""
	if name, value, ok := strings.Cut(word, "="); ok && isFlag(name) {
		if !bash {
			prefix = name + "="
		}
		before, word = append(before, name), value
	}
	candidates := candidatesFor(ctx, s, l, before, word)
	slices.Sort(candidates)
	out := make([]string, 0, len(candidates))
	for _, c := range slices.Compact(candidates) {
		if strings.HasPrefix(c, word) {
			out = append(out, prefix+c)
		}
	}
	return out
}

// joinEquals undoes bash's breaking of words at "=".
func joinEquals(words []string) []string {
	var out []string
	for i, w := range words {
		afterEquals := i > 0 && words[i-1] == "="
		if (w == "=" || afterEquals) && len(out) > 0 {
			out[len(out)-1] += w
			continue
		}
		out = append(out, w)
	}
	return out
}

// candidatesFor lists what may stand where the cursor is, whatever was begun there.
func candidatesFor(ctx context.Context, s *session, l line, before []string, word string) []string {
	c := l.leaf()
	if flag := pendingFlag(c, before); flag != "" {
		return flagValues(ctx, s, flag)
	}
	if isFlag(word) || word == "-" {
		return flagNames(s.App, c)
	}
	if c == nil || len(c.Subcommands) > 0 {
		return commandNames(s.App, c)
	}
	return argumentValues(ctx, s, l)
}

// pendingFlag is the flag that waits for its value.
func pendingFlag(c *ucli.Command, before []string) string {
	if c == nil || len(before) == 0 {
		return ""
	}
	last := before[len(before)-1]
	if isFlag(last) && !strings.Contains(last, "=") && flagWords(c.Flags, last) == 2 {
		return strings.TrimLeft(last, "-")
	}
	return ""
}

func flagNames(app *ucli.App, c *ucli.Command) []string {
	all := app.Flags
	if c != nil {
		all = c.Flags
	}
	names := []string{"-help"}
	for _, f := range all {
		names = append(names, "-"+f.Names()[0])
	}
	return names
}

func commandNames(app *ucli.App, c *ucli.Command) []string {
	there := app.Commands
	if c != nil {
		there = c.Subcommands
	}
	var names []string
	for _, c := range there {
		if !c.Hidden {
			names = append(names, c.Name)
		}
	}
	return names
}

func flagValues(ctx context.Context, s *session, flag string) []string {
	switch flag {
	case "target", "exclude", "replace":
		return knownAddresses(ctx, s, "")
	case "on-failure":
		return []string{"rollback", "keep"}
	case "as":
		return []string{"text", "script", "json"}
	case "format":
		return []string{"dot", "mermaid", "json"}
	}
	return nil
}

func argumentValues(ctx context.Context, s *session, l line) []string {
	switch l.name() {
	case "state_show", "state_rm", "state_mv":
		return knownAddresses(ctx, s, "")
	case "exec":
		return knownAddresses(ctx, s, "sandbox")
	case "help":
		return commandNames(s.App, nil)
	case "completion":
		return slices.Collect(maps.Keys(completionScripts))
	}
	return nil
}

// knownAddresses lists the addresses of blocks for the shell's completion, of one kind or
// all: what the configuration says, and what is there. It is silent about errors.
func knownAddresses(ctx context.Context, s *session, kind string) []string {
	f := &flow{s: s}
	if f.identify() != nil || f.open() != nil {
		return nil
	}
	if f.look(ctx) != nil {
		f.live = nil
	}
	var all []state.Address
	if f.before != nil {
		all = ownersOf(f.before)
	}
	if f.config != nil {
		f.topology, _ = f.config.Evaluate(planner.NewAllocator(registry.Traits(), planner.Held{}))
		r := drivers.RecordsOf(f.topology)
		for _, n := range r.Networks {
			all = append(all, n.Mark.Address)
		}
		for _, b := range r.Sandboxes {
			all = append(all, b.Mark.Address)
		}
		for _, e := range r.Endpoints {
			all = append(all, e.Mark.Address)
		}
	}
	var names []string
	for _, a := range all {
		if is, _ := blockKind(a); kind == "" || is == kind {
			names = append(names, string(a))
		}
	}
	return names
}

package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/cnmctl/cnmctl/state"
	"github.com/cnmctl/cnmctl/state/kernel"
	ucli "github.com/urfave/cli/v2"
)

func execCommand(env Env) *ucli.Command {
	return &ucli.Command{
		Name: "exec", ArgsUsage: "SANDBOX -- COMMAND [ARGUMENTS]",
		Usage: "Run a command in a sandbox",
		Description: about(`Replaces itself by the command, in the sandbox's namespace and with its hosts and resolv.conf,
as 'ip netns exec' does. The sandbox may be given by name, by address, or by its namespace. The exit code is the
command's; 127 when there is no such command, 126 when it cannot be run.`,
			"cnmctl exec web -- ping -c 1 db", `cnmctl exec 'sandbox.web["w0"]' -- ss -tln`, "cnmctl exec -stack=shop web -- bash"),
		Flags:  flags(stackFlag(), hostFlag()),
		Action: action(env, execute),
	}
}

func execute(ctx context.Context, s *session) error {
	if err := s.arguments(2, -1); err != nil {
		return err
	}
	argv := s.Args().Tail()
	if argv[0] == "--" {
		argv = argv[1:]
	}
	if len(argv) == 0 {
		return s.misuse(errors.New("COMMAND is missing"))
	}
	f := &flow{s: s}
	if err := f.findRunning(ctx); err != nil {
		return err
	}
	place, err := f.sandboxPlace(s.Args().First())
	if err != nil {
		return err
	}
	s.log.Info("exec", "place", place, "argv", argv)
	return notRun(f.kernel.Exec(place, argv, s.env.Environ()))
}

// notRun gives the exit codes that a shell gives for a command that cannot be run, so that
// they are told from those of the command and of cnmctl.
func notRun(err error) error {
	var command *kernel.NotRunError
	switch {
	case !errors.As(err, &command):
		return err
	case errors.Is(err, kernel.ErrNoCommand), errors.Is(err, fs.ErrNotExist):
		return &exitError{Code: codeNotFound, Err: err}
	}
	return &exitError{Code: codeNotRun, Err: err}
}

// findRunning opens what is there of a stack, as far as it can be seen: what runs can be
// worked in without the store, whose trouble is only told of.
func (f *flow) findRunning(ctx context.Context) error {
	if err := f.identify(); err != nil {
		return err
	}
	if err := f.open(); err != nil {
		return err
	}
	err := f.look(ctx)
	if err == nil || f.live == nil || ctx.Err() != nil {
		return err
	}
	f.s.say.note("Warning: %s", err)
	f.records = f.sandboxesSeen()
	f.join()
	return nil
}

// sandboxesSeen are the sandboxes as the marks of their namespaces tell of them: by the
// names that they have if nobody gave them others.
func (f *flow) sandboxesSeen() state.World {
	seen := state.World{}
	for _, o := range f.live.World {
		if ns, ok := o.(state.Namespace); ok {
			name := strings.TrimPrefix(string(ns.Mark.Address), "sandbox.")
			seen.Add(state.Sandbox{Mark: ns.Mark, Name: name, Netns: ns.Name})
		}
	}
	return seen
}

// sandboxPlace finds a sandbox by address, name or namespace. The kernel knows which
// namespaces are ours even when the store has lost its record of them.
func (f *flow) sandboxPlace(name string) (state.Place, error) {
	found := map[state.Place]state.Address{}
	var known []string
	elsewhere := ""
	for _, k := range f.before.Keys() {
		switch o := f.before[k].(type) {
		case state.Sandbox:
			if o.Host != "" && o.Host != f.host {
				if name == o.Name || name == string(o.Mark.Address) {
					elsewhere = o.Host
				}
				continue
			}
			known = append(known, string(o.Mark.Address))
			if slices.Contains([]string{string(o.Mark.Address), o.Name, o.Netns}, name) {
				found[o.Place()] = o.Mark.Address
			}
		case state.Namespace:
			known = append(known, string(o.Mark.Address))
			if slices.Contains([]string{string(o.Mark.Address), o.Name, strings.TrimPrefix(o.Name, f.stack+"-")}, name) {
				found[state.Netns(o.Name)] = o.Mark.Address
			}
		}
	}
	if len(found) == 1 {
		for place := range found {
			return place, nil
		}
	}
	if len(found) > 1 {
		var which []string
		for _, a := range found {
			which = append(which, string(a))
		}
		slices.Sort(which)
		return "", fmt.Errorf("%q may be %s; give the address", name, strings.Join(which, " or "))
	}
	if elsewhere != "" {
		return "", fmt.Errorf("sandbox %q of stack %s is on host %s, and this is %s: run the command there", name, f.stack, elsewhere, f.host)
	}
	return "", fmt.Errorf("stack %s has no sandbox %q here%s", f.stack, name, listing(known))
}

// listing is a clause with the names that there are.
func listing(names []string) string {
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) == 0 {
		return "; it has none. Run 'cnmctl apply' first"
	}
	const most = 12
	more := ""
	if len(names) > most {
		more, names = fmt.Sprintf(" and %d more", len(names)-most), names[:most]
	}
	return "; there is " + strings.Join(names, ", ") + more
}

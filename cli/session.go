package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"sync/atomic"
	"syscall"

	"github.com/cnmctl/cnmctl/applier"
	"github.com/cnmctl/cnmctl/state"
	"github.com/cnmctl/cnmctl/state/kernel"
	ucli "github.com/urfave/cli/v2"
)

// session is one run of one command.
type session struct {
	*ucli.Context
	env Env
	say *voice
	log *slog.Logger
	// hard is cancelled by the second interrupt, and when the lock is lost; the first
	// interrupt cancels the context that commands get.
	hard context.Context
	// onInterrupt says what the next interrupt means at this point of the run.
	onInterrupt func(n int)
	closers     []io.Closer
	// idle: nothing is being changed, nor has been, so the process may end anywhere.
	idle *atomic.Bool
}

// looking makes a command of a run that changes nothing.
func looking(env Env, run func(context.Context, *session) error) ucli.ActionFunc {
	return action(env, func(ctx context.Context, s *session) error {
		s.idle.Store(true)
		return run(ctx, s)
	})
}

// action makes a command of run.
func action(env Env, run func(context.Context, *session) error) ucli.ActionFunc {
	return func(c *ucli.Context) error {
		s := &session{Context: c, env: env, onInterrupt: func(int) {}, idle: new(atomic.Bool)}
		defer s.close()
		if err := s.open(); err != nil {
			return err
		}
		signals := watchSignals(func(n int) { s.onInterrupt(n) }, s.idle.Load)
		defer signals.stop()
		s.hard = signals.hard
		s.log.Info("begin", "command", c.Command.FullName(), "version", version)
		err := run(signals.soft, s)
		s.log.Info("end", "error", err, "code", exitCode(err))
		if err == nil {
			return nil
		}
		var lost *state.LockLostError
		if errors.Is(err, context.Canceled) {
			err = applier.ErrInterrupted
			if errors.As(context.Cause(s.hard), &lost) {
				err = lost
			}
		}
		if !unread(err) {
			s.say.failure(withRemedy(err))
		}
		return quietly(exitCode(err))
	}
}

// unread reports that nobody reads what is written, as with `cnmctl graph | head`: there is
// nobody to tell.
func unread(err error) bool {
	var at *fs.PathError
	return errors.As(err, &at) && at.Path == os.Stdout.Name() && errors.Is(err, syscall.EPIPE)
}

// withRemedy says what to do about a missing permission.
func withRemedy(err error) error {
	var command *kernel.NotRunError
	switch {
	case !errors.Is(err, fs.ErrPermission), errors.As(err, &command):
		return err
	case os.Geteuid() != 0:
		return fmt.Errorf("%w; run cnmctl as root, which namespaces and network devices belong to", err)
	}
	return fmt.Errorf("%w; cnmctl needs what root may do with networks and mounts (CAP_NET_ADMIN and CAP_SYS_ADMIN), "+
		"which this process has not: in a container, start it with --privileged", err)
}

// open prepares what every command needs.
func (s *session) open() error {
	log, closer, err := openLog(s.env)
	if err != nil {
		return err
	}
	s.log, s.closers = log, append(s.closers, closer)
	s.say = newVoice(s.env, s.Bool("no-color"), s.Bool("compact-warnings"))
	return nil
}

// story makes the session speak in JSON lines too, if asked for.
func (s *session) story() error {
	if s.Bool("json") {
		s.say.stream = newStream(s.env.Stdout)
		s.say.text, s.say.notes = io.Discard, io.Discard
		return nil
	}
	if path := s.String("json-into"); path != "" {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
		if err != nil {
			return fmt.Errorf("opening the file of -json-into: %w", err)
		}
		s.closers = append(s.closers, f)
		s.say.stream = newStream(f)
	}
	return nil
}

func (s *session) close() {
	for _, c := range s.closers {
		c.Close()
	}
}

// arguments checks how many arguments there are; most < 0: any number.
func (s *session) arguments(least, most int) error {
	n := s.NArg()
	switch {
	case n < least:
		return s.misuse(fmt.Errorf("%s is missing", s.Command.ArgsUsage))
	case most >= 0 && n > most && most == 0:
		return s.misuse(fmt.Errorf("unexpected argument %q", s.Args().First()))
	case most >= 0 && n > most:
		return s.misuse(fmt.Errorf("too many arguments: %q", s.Args().Slice()[most:]))
	}
	return nil
}

// misuse is an error in how the command was called.
func (s *session) misuse(err error) error {
	return fmt.Errorf("%w\n\nUsage: %s", err, usageOf(s.Command))
}

package cli

import (
	"io"
	"os"
	"time"

	"github.com/cnmctl/cnmctl/state"
	"golang.org/x/term"
)

// Env is what a run of cnmctl gets from outside.
type Env struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Getenv         func(string) string
	// Environ is the whole environment, as os.Environ gives it.
	Environ func() []string
	// WrapKernel and WrapStore put something between the applier and its targets; nil in
	// production. Tests inject faults with them.
	WrapKernel, WrapStore func(state.Target) state.Target
	// ConsulSilence is for how long Consul may say nothing, 0 for as long as is usual. Tests
	// are more patient on a busy machine.
	ConsulSilence time.Duration
}

// withDefaults fills in what was left out, so that nobody else has to ask.
func (e Env) withDefaults() Env {
	if e.Getenv == nil {
		e.Getenv = os.Getenv
	}
	if e.Environ == nil {
		e.Environ = os.Environ
	}
	same := func(t state.Target) state.Target { return t }
	if e.WrapKernel == nil {
		e.WrapKernel = same
	}
	if e.WrapStore == nil {
		e.WrapStore = same
	}
	return e
}

// terminal is the terminal that w writes to, if it is one.
func terminal(w any) (fd int, ok bool) {
	f, isFile := w.(*os.File)
	if !isFile || !term.IsTerminal(int(f.Fd())) {
		return 0, false
	}
	return int(f.Fd()), true
}

// width is the terminal's width in columns, or what text without a terminal is wrapped to.
func width(w any) int {
	const usual = 78
	fd, ok := terminal(w)
	if !ok {
		return usual
	}
	columns, _, err := term.GetSize(fd)
	if err != nil || columns < 20 {
		return usual
	}
	return columns
}

// color reports whether w shall get colors: it is a terminal that knows them, and
// nobody said no (https://no-color.org).
func (e Env) color(w any, off bool) bool {
	_, tty := terminal(w)
	return tty && !off && e.Getenv("NO_COLOR") == "" && e.Getenv("TERM") != "dumb"
}

// inAutomation reports that no person reads the output, so hints on what to do next are
// left out.
func (e Env) inAutomation() bool { return e.Getenv("CNMCTL_IN_AUTOMATION") != "" }

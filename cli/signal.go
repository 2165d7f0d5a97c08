package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// grace is how long a run may take to wind up after the second interrupt, or after the first
// while it changes nothing.
const grace = 2 * time.Second

// interrupts turns signals into cancelled contexts: the first interrupt cancels soft, the
// second hard.
type interrupts struct {
	soft, hard context.Context
	stop       func()
}

// watchSignals begins to listen for INT, TERM and HUP. heard is called at each of the
// first two with its number. If the process is still there a little after the second, or
// at the third, it exits: what it was at is safe to leave anywhere. While idle says that
// nothing is being changed, it is so after the first.
//
// SIGPIPE is listened for and dropped, so that `apply | head` gets an error from its
// writes instead of dying in the middle. It is not set to be ignored, because programs
// started by exec would inherit that.
func watchSignals(heard func(n int), idle func() bool) interrupts {
	soft, cancelSoft := context.WithCancel(context.Background())
	hard, cancelHard := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 3)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	pipe := make(chan os.Signal, 1)
	signal.Notify(pipe, syscall.SIGPIPE)
	go func() {
		<-signals
		heard(1)
		cancelSoft()
		select {
		case <-signals:
		case <-time.After(grace):
			if idle() {
				os.Exit(codeInterrupted) //nolint:forbidigo // reading a pipe, or evaluating much, cannot be cancelled
			}
			<-signals
		}
		heard(2)
		cancelHard()
		select {
		case <-signals:
		case <-time.After(grace):
		}
		os.Exit(codeInterrupted) //nolint:forbidigo // a system call that hangs cannot be waited for
	}()
	return interrupts{soft, hard, func() { signal.Stop(signals); signal.Stop(pipe) }}
}

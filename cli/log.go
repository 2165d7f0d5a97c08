package cli

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
)

// openLog makes the logger that CNMCTL_LOG asks for, to the file CNMCTL_LOG_PATH or to
// stderr. Without CNMCTL_LOG nothing is logged.
func openLog(env Env) (*slog.Logger, io.Closer, error) {
	level, ok, err := logLevel(env.Getenv("CNMCTL_LOG"))
	if err != nil || !ok {
		return slog.New(slog.DiscardHandler), io.NopCloser(nil), err
	}
	path := env.Getenv("CNMCTL_LOG_PATH")
	if path == "" {
		return newLogger(env.Stderr, level), io.NopCloser(nil), nil
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("opening the log of CNMCTL_LOG_PATH: %w", err)
	}
	return newLogger(f, level), f, nil
}

func newLogger(w io.Writer, level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level}))
}

// logLevel reads a level; ok is false when nothing is to be logged.
func logLevel(text string) (level slog.Level, ok bool, err error) {
	switch strings.ToLower(text) {
	case "", "off":
		return 0, false, nil
	case "trace", "debug":
		return slog.LevelDebug, true, nil
	case "info":
		return slog.LevelInfo, true, nil
	case "warn":
		return slog.LevelWarn, true, nil
	case "error":
		return slog.LevelError, true, nil
	}
	return 0, false, fmt.Errorf("CNMCTL_LOG is %q; it can be debug, info, warn, error or off", text)
}

package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	ucli "github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"
)

// version is the release that this source is on its way to.
const version = "0.1.0"

// commit is what git describe says of the source, given by the linker (-X); "" leaves it to
// what the compiler knows.
var commit string

func versionCommand(env Env) *ucli.Command {
	return &ucli.Command{
		Name:  "version",
		Usage: "Show the version of cnmctl and what it runs on",
		Description: about(`Prints the version, the commit it was built from, the Go release and the running
kernel's.`, "cnmctl version -json"),
		Flags:  []ucli.Flag{toggle("json", "write a JSON object")},
		Action: looking(env, showVersion),
	}
}

// build is what there is to know about this program.
type build struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
	Kernel   string `json:"kernel,omitempty"`
}

func thisBuild() build {
	b := build{Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "_" + runtime.GOARCH}
	if b.Commit, b.Modified = strings.CutSuffix(commit, "-dirty"); b.Commit != "" {
		b.Commit = strings.TrimPrefix(b.Commit, "v"+version+"-")
	} else if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				b.Commit = s.Value
			case "vcs.modified":
				b.Modified = s.Value == "true"
			}
		}
	}
	var uts unix.Utsname
	if unix.Uname(&uts) == nil {
		b.Kernel = unix.ByteSliceToString(uts.Release[:])
	}
	return b
}

func (b build) String() string {
	text := "cnmctl " + b.Version
	if b.Commit != "" {
		text += " (" + shortCommit(b.Commit)
		if b.Modified {
			text += ", modified"
		}
		text += ")"
	}
	return text + "\n" + strings.Join([]string{b.Go, b.Platform, "Linux " + b.Kernel}, ", ")
}

// shortCommit is enough of a commit's hash, or all of what git describe says.
func shortCommit(c string) string {
	const hash, enough = 40, 12
	if len(c) == hash {
		return c[:enough]
	}
	return c
}

func showVersion(_ context.Context, s *session) error {
	if err := s.arguments(0, 0); err != nil {
		return err
	}
	b := thisBuild()
	if s.Bool("json") {
		return s.document(b)
	}
	fmt.Fprintln(s.say.text, b)
	return nil
}

// document writes one JSON document to stdout.
func (s *session) document(v any) error {
	enc := json.NewEncoder(s.env.Stdout)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

package docs

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// runMarker begins the comment before a block whose commands are run:
//
//	<!-- run in examples/quickstart -->
//	```console
//	$ cnmctl plan
//	(what it prints)
//	```
const runMarker = "<!-- run in "

// block is one block of commands in a page.
var block = regexp.MustCompile("(?s)<!-- run in (\\S+) -->\n```console\n(.*?)```\n")

// checkPage runs all blocks of the page in order and compares what they print, or writes
// it into the page.
func checkPage(t *testing.T, page, text string) {
	work := t.TempDir()
	if err := os.CopyFS(filepath.Join(work, "examples"), os.DirFS("../examples")); err != nil {
		t.Fatal(err)
	}
	fresh := block.ReplaceAllStringFunc(text, func(whole string) string {
		part := block.FindStringSubmatch(whole)
		dir := filepath.Join(work, part[1])
		return runMarker + part[1] + " -->\n```console\n" + replay(t, dir, part[2]) + "```\n"
	})
	switch {
	case settled(fresh) == settled(text):
	case *update:
		if err := os.WriteFile(page, []byte(fresh), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		same(t, page, fresh)
	}
}

// replay runs the lines that begin with "$ " and puts after each what it prints now.
func replay(t *testing.T, dir, console string) string {
	var b strings.Builder
	for line := range strings.Lines(console) {
		command, ok := strings.CutPrefix(line, "$ ")
		if !ok {
			continue
		}
		b.WriteString(line)
		b.WriteString(shell(t, dir, strings.TrimSpace(command)))
	}
	return b.String()
}

func shell(t *testing.T, dir, command string) string {
	cmd := exec.Command("sh", "-c", command)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CNMCTL_IN_AUTOMATION=1", "NO_COLOR=1")
	out, err := cmd.CombinedOutput()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		t.Fatalf("%s: %v", command, err)
	}
	return trimLines(string(out))
}

// trimLines takes blanks from the ends of lines, and empty lines from the end.
func trimLines(text string) string {
	lines := strings.Split(strings.TrimRight(text, "\n "), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, " ")
	}
	if text = strings.Join(lines, "\n"); text == "" {
		return ""
	}
	return text + "\n"
}

// duration is what differs from run to run.
var duration = regexp.MustCompile(`\d+(\.\d+)? ?(ms|µs|s)\b|time[= ]\S+|rtt .*|ttl=\d+`)

// settled is the page without what differs from run to run.
func settled(text string) string { return duration.ReplaceAllString(text, "…") }

package cli

import (
	"os/exec"
	"strings"
	"testing"
)

func TestCompletion(t *testing.T) {
	t.Chdir(t.TempDir()) // no configuration: no addresses
	for line, want := range map[string]string{
		"bash pl":                      "plan",
		"bash state ":                  "list mv rm show",
		"bash state m":                 "mv",
		"bash plan -detailed":          "-detailed-exitcode",
		"bash apply -on-failure ":      "keep rollback",
		"bash apply -on-failure = k":   "keep",
		"zsh apply -on-failure=k":      "-on-failure=keep",
		"fish completion ":             "bash fish zsh",
		"bash help sta":                "state",
		"bash -chd":                    "-chdir",
		"bash -chdir=/tmp version -js": "-json",
		"bash nosuch ":                 "",
	} {
		env, out, _ := testEnv(nil)
		words := strings.Split(line, " ")
		if code := Main(append([]string{"cnmctl", "__complete"}, words...), env); code != 0 {
			t.Errorf("%q: code %d", line, code)
		}
		got := strings.Fields(out.String())
		if strings.HasSuffix(line, "nosuch ") {
			continue
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: got %q, want %q", line, got, want)
		}
	}
}

func TestCompletionScriptsParse(t *testing.T) {
	for shell, script := range completionScripts {
		path, err := exec.LookPath(shell)
		if err != nil {
			continue
		}
		cmd := exec.Command(path, "-n")
		cmd.Stdin = strings.NewReader(script)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s does not parse its script: %v\n%s", shell, err, out)
		}
	}
}

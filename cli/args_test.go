package cli

import (
	"slices"
	"strings"
	"testing"
)

func testEnv(env map[string]string) (Env, *strings.Builder, *strings.Builder) {
	var out, err strings.Builder
	e := Env{
		Stdin: strings.NewReader(""), Stdout: &out, Stderr: &err,
		Getenv:  func(name string) string { return env[name] },
		Environ: func() []string { return nil },
	}
	return e.withDefaults(), &out, &err
}

func TestFlagsMayFollowArguments(t *testing.T) {
	env, _, _ := testEnv(nil)
	app := newApp(env)
	for line, want := range map[string]string{
		"apply p -auto-approve":                         "cnmctl apply -auto-approve -- p",
		"apply p --auto-approve --lock-timeout 3s":      "cnmctl apply --auto-approve --lock-timeout 3s -- p",
		"-chdir=x plan -out p -json":                    "cnmctl -chdir=x plan -out p -json",
		"-chdir x plan":                                 "cnmctl -chdir x plan",
		"state mv a b -dry-run":                         "cnmctl state mv -dry-run -- a b",
		"state list -- -x":                              "cnmctl state list -- -x",
		"fmt - -check":                                  "cnmctl fmt -check -- -",
		"exec -stack=s web -- ls -l -stack":             "cnmctl exec -stack=s web -- ls -l -stack",
		"exec web ls -json":                             "cnmctl exec web ls -json",
		"plan -nosuch value -var a=b":                   "cnmctl plan -nosuch -var a=b -- value",
		"plan -target endpoint.a -target=endpoint.b":    "cnmctl plan -target endpoint.a -target=endpoint.b",
		"destroy -lock=false -auto-approve -stack shop": "cnmctl destroy -lock=false -auto-approve -stack shop",
	} {
		got := strings.Join(split(app, strings.Fields(line)).words("cnmctl"), " ")
		if got != want {
			t.Errorf("%s\n got %s\nwant %s", line, got, want)
		}
	}
}

func TestEnvironmentGivesArguments(t *testing.T) {
	env, _, _ := testEnv(nil)
	app := newApp(env)
	vars := map[string]string{"CNMCTL_CLI_ARGS": "-no-color", "CNMCTL_CLI_ARGS_state_mv": `-host='a b'`}
	l, err := split(app, []string{"state", "mv", "a", "b"}).withEnv(func(n string) string { return vars[n] })
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(l.words("cnmctl"), "|"), "cnmctl|state|mv|-no-color|-host=a b|--|a|b"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestShellWords(t *testing.T) {
	for text, want := range map[string][]string{
		"":                    nil,
		"  a  b ":             {"a", "b"},
		`-var 'x=["a", "b"]'`: {"-var", `x=["a", "b"]`},
		`a\ b "c \" d" ''`:    {"a b", `c " d`, ""},
		`'a\'`:                {`a\`},
		"a\nb\tc":             {"a", "b", "c"},
		`-target="s.w['k']"x`: {"-target=s.w['k']x"},
	} {
		got, err := shellWords(text)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: got %q, %v; want %q", text, got, err, want)
		}
	}
	for _, text := range []string{`'a`, `"a`, `a\`} {
		if got, err := shellWords(text); err == nil {
			t.Errorf("%q: got %q, want an error", text, got)
		}
	}
}

func TestExitCodesAndMisuse(t *testing.T) {
	for line, want := range map[string]struct {
		code int
		says string
	}{
		"":                       {1, ""},
		"version":                {0, ""},
		"-version":               {0, ""},
		"help":                   {0, ""},
		"help state mv":          {0, ""},
		"plan -help":             {0, ""},
		"state -h":               {0, ""},
		"plna":                   {1, "Did you mean plan?"},
		"help nosuch":            {1, "there is no command"},
		"state":                  {1, "cnmctl state needs a command"},
		"state nosuch":           {1, "there is no command"},
		"-no-color plan":         {1, "Flags of a command come after its name"},
		"plan -auto-aprove":      {1, "has no flag -auto-aprove"},
		"apply -auto-aprove":     {1, "Did you mean -auto-approve?"},
		"plan -lock-timeout=x":   {1, "has no flag -lock-timeout"},
		"apply -lock-timeout=x":  {1, "invalid value"},
		"apply -on-failure=stay": {1, "rollback or keep"},
		"plan extra":             {1, `unexpected argument "extra"`},
		"apply a b":              {1, "too many arguments"},
		"state mv a":             {1, "is missing"},
		"state mv a b c":         {1, "no address to move to"},
		"exec":                   {1, "is missing"},
		"completion tcsh":        {1, "no completion for the shell"},
		"-chdir=/nosuch plan":    {1, "no such file"},
		"apply -input=false":     {1, "-auto-approve"},
		"version -nosuch":        {1, "has no flag"},
	} {
		env, _, stderr := testEnv(nil)
		code := Main(append([]string{"cnmctl"}, strings.Fields(line)...), env)
		if code != want.code || !strings.Contains(stderr.String(), want.says) {
			t.Errorf("%q: code %d, want %d, with %q in:\n%s", line, code, want.code, want.says, stderr)
		}
		if want.code != 0 && want.says != "" && !strings.HasPrefix(stderr.String(), "Error: ") {
			t.Errorf("%q: stderr does not begin with Error:\n%s", line, stderr)
		}
	}
}

// Every command says what it does and shows an example.
func TestEveryCommandIsDescribed(t *testing.T) {
	env, _, _ := testEnv(nil)
	app := newApp(env)
	var check func(path string, l line)
	check = func(path string, l line) {
		c := l.leaf()
		if c.Usage == "" || c.Action == nil && len(c.Subcommands) == 0 || !strings.Contains(c.Description, "Examples:\n  ") {
			t.Errorf("%s is not described in full", path)
		}
		for _, f := range c.Flags {
			if _, usage := flagHelp(f); usage == "" && !hidden(f) {
				t.Errorf("%s: flag -%s is not described", path, f.Names()[0])
			}
		}
		for _, sub := range c.Subcommands {
			check(path+" "+sub.Name, split(app, append(strings.Fields(path), sub.Name)))
		}
	}
	for _, c := range app.Commands {
		check(c.Name, split(app, []string{c.Name}))
	}
}

// Package e2e runs cnmctl as a user does: the scripts in testdata/script call its
// commands on a real kernel and look at the outcome with ip, nft and ping. Every script
// has a machine to itself: network, mount and process namespaces that die with it.
package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cnmctl/cnmctl/cli"
	"github.com/cnmctl/cnmctl/e2e/apart"
	"github.com/cnmctl/cnmctl/examples/remote/veth"
	"github.com/cnmctl/cnmctl/plugin"
	"github.com/cnmctl/cnmctl/state/consul/consultest"
	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	apart.Main()
	testscript.Main(m, map[string]func(){"cnmctl": cnmctl, "veth-plugin": vethPlugin, "scripted-plugin": scriptedPlugin})
}

// cnmctl is the command under test, in a process of its own.
func cnmctl() {
	silence, _ := time.ParseDuration(os.Getenv(silenceEnv)) // "" outside of a script
	os.Exit(cli.Main(os.Args, cli.Env{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv, ConsulSilence: silence,
	}))
}

// silenceEnv says how long Consul may be silent. One that only has too little of a busy machine
// is waited for, and one that is frozen for no longer than is usual: "0s".
const silenceEnv, patiently, asUsual = "CNMCTL_E2E_CONSUL_SILENCE", "30s", "0s"

// vethPlugin is the plugin of the example "remote", in a process of its own. Its networks are of
// the scope that is its argument, or local.
func vethPlugin() {
	scope := string(plugin.Local)
	if len(os.Args) > 1 {
		scope = os.Args[1]
	}
	if err := veth.Serve(plugin.Docker.Sockets, scope); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// TestScripts runs every script, each in a process and namespaces of its own.
func TestScripts(t *testing.T) {
	scripts, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("finding scripts: %v, %v", scripts, err)
	}
	for _, script := range scripts {
		t.Run(strings.TrimSuffix(filepath.Base(script), ".txtar"), func(t *testing.T) {
			t.Parallel()
			needConsul(t, script)
			needDocker(t, script)
			needKernel(t, script)
			apart.Test(t, func(t *testing.T) { testscript.Run(t, params(script)) })
		})
	}
}

func params(script string) testscript.Params {
	return testscript.Params{
		Files:               []string{script},
		Setup:               setup,
		Cmds:                verbs,
		Condition:           condition,
		RequireUniqueNames:  true,
		RequireExplicitExec: false,
	}
}

// setup gives a script its own copy of the examples, which it may edit, and Consul.
func setup(env *testscript.Env) error {
	if consul, err := consultest.Binary(); err == nil { // who cannot do without it says so
		env.Setenv("PATH", env.Getenv("PATH")+":"+filepath.Dir(consul))
	}
	env.Setenv("CNMCTL_IN_AUTOMATION", "1")
	env.Setenv("HOME", env.WorkDir)
	env.Setenv(silenceEnv, patiently)
	env.Values[memoryKey{}] = &memory{kernels: map[string]string{}, talks: map[string]net.Conn{}, strangers: map[string]*exec.Cmd{}}
	return os.CopyFS(filepath.Join(env.WorkDir, "examples"), os.DirFS("../examples"))
}

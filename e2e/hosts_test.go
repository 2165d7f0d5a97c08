package e2e

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/cnmctl/cnmctl/e2e/apart"
	"github.com/rogpeppe/go-internal/testscript"
)

// on runs a command on a host, in the folder that it is called in. It becomes the command,
// so that signals get there.
const on = `#!/bin/sh
pid=$(cat "$(dirname "$0")/$1.pid"); shift
export CONSUL_HTTP_ADDR=$CONSUL_SOCKET
exec nsenter --target "$pid" --net --mount --uts sh -c 'cd "$0" && exec "$@"' "$PWD" "$@"
`

// hosts makes hosts called by letters, and the command `on HOST CMD...`, for use with exec.
func hosts(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) >= 1, "hosts NAME...")
	m, dir := remembered(ts), ts.MkAbs(".hosts")
	if m.hosts == nil {
		m.hosts = map[string]*apart.Host{}
		ts.Check(os.Mkdir(dir, 0o755))
		ts.Check(os.WriteFile(filepath.Join(dir, "on"), []byte(on), 0o755))
		ts.Setenv("PATH", dir+":"+ts.Getenv("PATH"))
		ts.Check(apart.Switch())
	}
	for _, name := range args {
		h, err := apart.NewHost(name, int(name[0]-'a'))
		ts.Check(err)
		ts.Defer(h.Close)
		m.hosts[name] = h
		ts.Check(os.WriteFile(filepath.Join(dir, name+".pid"), []byte(fmt.Sprint(h.PID())), 0o644))
	}
}

// crash ends a host with all that its kernel holds. Who runs on it has to be killed first.
func crash(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 1 && remembered(ts).hosts[args[0]] != nil, "crash HOST, after hosts")
	remembered(ts).hosts[args[0]].Close()
}

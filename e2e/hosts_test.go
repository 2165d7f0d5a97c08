package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// A host of a cluster is a process with network, mount and name of its own, on one switch
// with the others: 10.99.0.10 for host a, and so on.
type host struct{ cmd *exec.Cmd }

// furnish is what makes a host of a process. Its directories are its own, like its kernel.
const furnish = `
mount --make-rprivate / && mount -t sysfs sysfs /sys && mount -t tmpfs tmpfs /run
mkdir -p /etc/netns && mount -t tmpfs tmpfs /etc/netns && mount -t tmpfs tmpfs /var/lib
echo $1 >/proc/sys/kernel/hostname
ip link set lo up && echo ready && exec sleep infinity
`

// on runs a command on a host, in the folder that it is called in. It becomes the command,
// so that signals get there.
const on = `#!/bin/sh
pid=$(cat "$(dirname "$0")/$1.pid"); shift
export CONSUL_HTTP_ADDR=$CONSUL_SOCKET
exec nsenter --target "$pid" --net --mount --uts sh -c 'cd "$0" && exec "$@"' "$PWD" "$@"
`

// hosts makes hosts, and the command `on HOST CMD...`, for use with exec.
func hosts(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) >= 1, "hosts NAME...")
	dir := ts.MkAbs(".hosts")
	if _, err := os.Stat(dir); err != nil {
		ts.Check(os.Mkdir(dir, 0o755))
		ts.Check(os.WriteFile(filepath.Join(dir, "on"), []byte(on), 0o755))
		ts.Setenv("PATH", dir+":"+ts.Getenv("PATH"))
		remembered(ts).hosts = map[string]host{}
		shell(ts, "ip link add under type bridge mcast_snooping 0 && ip link set under up && ip address add 10.99.0.1/24 dev under")
	}
	for _, name := range args {
		h, pid := boot(ts, name)
		remembered(ts).hosts[name] = h
		ts.Check(os.WriteFile(filepath.Join(dir, name+".pid"), []byte(pid), 0o644))
		shell(ts, fmt.Sprintf(`
			ip link add up-%[1]s type veth peer name eth0 netns %[2]s && ip link set up-%[1]s master under up
			nsenter --target %[2]s --net sh -c "ip link set eth0 up && ip address add 10.99.0.%[3]d/24 dev eth0 && ip route add default via 10.99.0.1"
		`, name, pid, 10+name[0]-'a'))
	}
}

func boot(ts *testscript.TestScript, name string) (h host, pid string) {
	cmd := exec.Command("sh", "-ec", furnish, "sh", name)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWUTS}
	out := &output{}
	cmd.Stdout, cmd.Stderr = out, out
	ts.Check(cmd.Start())
	h = host{cmd}
	ts.Defer(h.end)
	for deadline := time.Now().Add(time.Minute); !strings.Contains(out.String(), "ready"); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			ts.Fatalf("host %s does not begin: %s", name, out)
		}
	}
	return h, fmt.Sprint(cmd.Process.Pid)
}

func (h host) end() {
	_ = h.cmd.Process.Kill() // it may have ended
	_ = h.cmd.Wait()
}

// crash ends a host with all that its kernel holds. Who runs on it has to be killed first.
func crash(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 1 && remembered(ts).hosts[args[0]].cmd != nil, "crash HOST, after hosts")
	remembered(ts).hosts[args[0]].end()
	shell(ts, "ip link del up-"+args[0]+" 2>/dev/null || :") // its other end goes when the kernel gets to it
}

func shell(ts *testscript.TestScript, script string) {
	if out, err := exec.Command("sh", "-ec", script).CombinedOutput(); err != nil {
		ts.Fatalf("%s: %v\n%s", script, err, out)
	}
}

package registry_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/cnmctl/cnmctl/drivers"
	"github.com/cnmctl/cnmctl/drivers/drivertest"
	"github.com/cnmctl/cnmctl/drivers/registry"
	"github.com/cnmctl/cnmctl/planner"
	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
	"github.com/cnmctl/cnmctl/state/kernel"
	"github.com/cnmctl/cnmctl/state/kernel/kerneltest"
	"golang.org/x/sys/unix"
)

// cluster is three hosts, each a namespace with directories of its own, on one switch,
// which is the machine that the test runs on. There is a machine outside, too.
type cluster struct {
	*kerneltest.Host
	t     *testing.T
	hosts map[string]*node
}

// node is one host of a cluster.
type node struct {
	name string
	dir  string
	k    *kernel.Kernel
}

var hostNames = []string{"a", "b", "c"}

// newCluster makes hosts with 10.99.0.10 and 2001:db8::10, and so on.
func newCluster(t *testing.T) *cluster {
	c := &cluster{Host: kerneltest.NewHost(t), t: t, hosts: map[string]*node{}}
	c.Sh("ip link add under type bridge mcast_snooping 0; ip link set under up; ip netns add lan")
	c.plug("lan", "192.0.2.9/24", "2001:db8::9/64")
	for i, name := range hostNames {
		c.Sh("ip netns add " + name)
		c.plug(name, fmt.Sprintf("10.99.0.%d/24", 10+i), fmt.Sprintf("192.0.2.%d/24", 10+i), fmt.Sprintf("2001:db8::%d/64", 10+i))
		n := &node{name: name, dir: filepath.Join(t.TempDir(), name)}
		if err := os.Mkdir(n.dir, 0o755); err != nil {
			t.Fatal(err)
		}
		inNamespace(t, "/run/netns/"+name, func() (err error) {
			n.k, err = kernel.Open(kernel.Config{Stack: drivertest.Stack, Secrets: drivertest.Secrets, NetnsDir: n.dir + "/netns", EtcDir: n.dir + "/etc"})
			return err
		})
		c.hosts[name] = n
	}
	t.Cleanup(c.close)
	return c
}

// plug connects a namespace to the switch.
func (c *cluster) plug(name string, addresses ...string) {
	c.Sh(fmt.Sprintf(`ip link add up-%[1]s type veth peer name eth0 netns %[1]s
ip link set up-%[1]s master under up
ip netns exec %[1]s sh -c "echo 0 > /proc/sys/net/ipv6/conf/eth0/accept_dad"
ip -n %[1]s link set lo up; ip -n %[1]s link set eth0 up`, name))
	for _, a := range addresses {
		c.Sh("ip -n " + name + " addr add " + a + " dev eth0")
	}
}

func (c *cluster) close() {
	for _, n := range c.hosts {
		if err := n.k.Close(); err != nil {
			c.t.Error(err)
		}
	}
	c.Sh("for h in lan a b c; do ip netns del $h; done; ip link del under; for h in lan a b c; do ip link del up-$h 2>/dev/null || :; done; umount -l /run/netns; rmdir /run/netns")
}

// inNamespace runs fn on a thread in a namespace.
func inNamespace(t *testing.T, path string, fn func() error) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			err = unix.Setns(fd, unix.CLONE_NEWNET)
			unix.Close(fd)
		}
		if err == nil {
			err = fn()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// topology evaluates a configuration, to the last address.
func (c *cluster) topology(hcl string) *spec.Topology {
	c.t.Helper()
	dir := c.t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "main.hcl"), []byte("cnm {\n  stack = \""+drivertest.Stack+"\"\n}\n"+hcl), 0o644); err != nil {
		c.t.Fatal(err)
	}
	config, diags := spec.Load(dir, spec.Options{Drivers: registry.Schemas()})
	if diags.HasErrors() {
		c.t.Fatal(diags)
	}
	topology, diags := config.Evaluate(planner.NewAllocator(registry.Traits(), planner.Held{}))
	diags = append(diags, drivers.Validate(topology, registry.All())...)
	if diags.HasErrors() {
		c.t.Fatal(diags)
	}
	return topology
}

// become makes every host carry its share of the topology.
func (c *cluster) become(t *spec.Topology) {
	c.t.Helper()
	for _, name := range hostNames {
		c.converge(name, t)
	}
}

// converge makes one host carry its share, and expects nothing to be left to do.
func (c *cluster) converge(host string, t *spec.Topology) {
	c.t.Helper()
	c.convergeTo(host, drivers.RecordsOf(t))
}

// convergeTo makes one host carry its share of records.
func (c *cluster) convergeTo(host string, records drivers.Records) {
	c.t.Helper()
	want, err := drivers.Expand(drivertest.Stack, host, records, registry.All())
	if err != nil {
		c.t.Fatal(err)
	}
	maps.DeleteFunc(want, func(k state.Key, _ state.Object) bool { return k.Place == state.Store })
	n := c.hosts[host]
	p := n.plan(c.t, want)
	from := 0
	for _, to := range p.Waves {
		if err := n.k.Apply(context.Background(), p.Ops[from:to], func(int, error) {}); err != nil {
			c.t.Fatalf("host %s: %v", host, err)
		}
		from = to
	}
	for _, op := range n.plan(c.t, want).Ops {
		c.t.Errorf("host %s: still to do: %s %s: %+v", host, op.Action, op.Key, op.Delta.Fields)
	}
}

func (n *node) plan(t *testing.T, want state.World) *planner.Plan {
	t.Helper()
	live, err := n.k.Snapshot(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if err := n.k.ReadSysctls(context.Background(), live.World, want); err != nil {
		t.Fatal(err)
	}
	p, diags := planner.Diff(live.World, want, planner.Options{Stack: drivertest.Stack})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return p
}

// in is a command in a namespace of a host, or with "" on the host itself.
func (c *cluster) in(host, space string) string {
	return "nsenter --net=" + c.path(host, space) + " "
}

// path is the file of a namespace of a host, or with "" of the host itself.
func (c *cluster) path(host, space string) string {
	if space == "" {
		return "/run/netns/" + host
	}
	return c.hosts[host].dir + "/netns/" + drivertest.Stack + "-" + space
}

// pings expects each line "host sandbox address" to be answered, or with "!" before it not to.
func (c *cluster) pings(lines ...string) {
	c.t.Helper()
	var b strings.Builder
	for i, line := range lines {
		f := strings.Fields(strings.TrimPrefix(line, "!"))
		if len(f) == 2 {
			f = []string{f[0], "", f[1]}
		}
		ping := "ping -n -c 2 -i 0.2 -W 1 " + f[2]
		if !strings.HasPrefix(line, "!") { // the machine may be slow
			ping = "timeout 60 sh -c 'until ping -n -c 1 -W 1 " + f[2] + "; do sleep 0.1; done'"
		}
		ping = c.in(f[0], f[1]) + ping + " >/dev/null 2>&1"
		fmt.Fprintf(&b, "(%s && echo %d) &\n", ping, i)
	}
	works := map[string]bool{}
	for _, n := range strings.Fields(c.Sh(b.String() + "wait")) {
		works[n] = true
	}
	for i, line := range lines {
		if want := !strings.HasPrefix(line, "!"); works[fmt.Sprint(i)] != want {
			c.t.Errorf("ping %s: works %t", line, !want)
		}
	}
}

// clear takes everything away, and looks whether anything is left.
func (c *cluster) clear() {
	c.t.Helper()
	for _, name := range hostNames {
		c.converge(name, &spec.Topology{Stack: drivertest.Stack})
		for what, command := range map[string]string{
			"links": "ip -o link | grep -v 'lo:\\|eth0@' || :", "rules": "nft list ruleset", "sockets": "ss -ulnH",
			"IPsec": "ip xfrm state; ip xfrm policy",
		} {
			if left := c.Sh(c.in(name, "") + "sh -c \"" + command + "\""); left != "" {
				c.t.Errorf("%s left on host %s:\n%s", what, name, left)
			}
		}
		if left, _ := os.ReadDir(c.hosts[name].dir); len(left) > 0 {
			c.t.Errorf("left in the directories of host %s: %v", name, left)
		}
	}
}

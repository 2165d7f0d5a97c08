package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cnmctl/cnmctl/e2e/apart"
	"github.com/cnmctl/cnmctl/state/consul/consultest"
)

// lab is a cluster: hosts, each with an agent, and a Consul.
type lab struct {
	binary, dir string
	consul      *consultest.Server
	hosts       []*apart.Host
	agents      []*exec.Cmd
}

// deadline is how long anything may take that is not measured.
const deadline = 5 * time.Minute

func newLab(binary, logs string, hosts int) (l *lab, err error) {
	l = &lab{binary: binary}
	if l.dir, err = os.MkdirTemp("", "cnmctl-bench-cluster-"); err != nil {
		return nil, err
	}
	if l.consul, err = consultest.New(consultest.Options{Durable: true}); err != nil {
		return nil, errors.Join(err, l.close())
	}
	if err := errors.Join(l.consul.Start(), l.settle(), apart.Switch()); err != nil {
		return nil, errors.Join(err, l.close())
	}
	for i := range hosts {
		h, err := apart.NewHost(fmt.Sprintf("h%d", i), i)
		if err != nil {
			return nil, errors.Join(err, l.close())
		}
		l.hosts = append(l.hosts, h)
		agent := l.on(i, "agent", "-stack=lab", "-store=consul")
		if logs != "" {
			f, err := os.Create(filepath.Join(logs, h.Name+".log"))
			if err != nil {
				return nil, errors.Join(err, l.close())
			}
			defer f.Close()
			agent.Stderr, agent.Env = f, append(agent.Env, "CNMCTL_LOG=debug")
		}
		if err := agent.Start(); err != nil {
			return nil, errors.Join(err, l.close())
		}
		l.agents = append(l.agents, agent)
	}
	return l, l.await("the agents live", func() bool { return l.alive() == hosts })
}

// settle has Consul be one that has been in use: in a new one, the first apply waits.
func (l *lab) settle() error { return l.ask("kv", "put", "cnm/settled", "{}").Run() }

// alive counts the living agents.
func (l *lab) alive() int {
	out, _ := l.ask("kv", "get", "-keys", "-separator=", "cnm/lab/alive/").Output() // no keys is an error
	return strings.Count(string(out), "/alive/")
}

// ask is a command of Consul's own.
func (l *lab) ask(args ...string) *exec.Cmd {
	cmd := exec.Command(must(consultest.Binary()), args...)
	cmd.Env = append(os.Environ(), "CONSUL_HTTP_ADDR="+l.consul.HTTP)
	return cmd
}

func must(path string, err error) string {
	if err != nil {
		return ""
	}
	return path
}

// on is cnmctl on a host.
func (l *lab) on(host int, args ...string) *exec.Cmd {
	return l.run(host, append([]string{l.binary}, args...)...)
}

// run is a program on a host.
func (l *lab) run(host int, args ...string) *exec.Cmd {
	cmd := l.hosts[host].Command(l.dir, args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "CONSUL_HTTP_ADDR=unix://"+l.consul.Socket, "CNMCTL_IN_AUTOMATION=1")
	return cmd
}

// apply makes the configuration on a host, and says when it returned.
func (l *lab) apply(host int, hcl string, flags ...string) (begun, ended time.Time, err error) {
	if err := os.WriteFile(filepath.Join(l.dir, "main.hcl"), []byte(hcl), 0o644); err != nil {
		return begun, ended, err
	}
	cmd := l.on(host, append([]string{"apply", "-auto-approve"}, flags...)...)
	begun = time.Now()
	out, err := cmd.CombinedOutput()
	ended = time.Now()
	if err != nil {
		err = fmt.Errorf("applying on host %d: %w\n%s", host, err, out)
	}
	return begun, ended, err
}

func (l *lab) await(what string, is func() bool) error {
	for end := time.Now().Add(deadline); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			return fmt.Errorf("waited in vain until %s", what)
		}
	}
	return nil
}

// close ends all that runs, and removes what it leaves.
func (l *lab) close() error {
	for _, a := range l.agents {
		_ = a.Process.Kill() // it may have ended
		_ = a.Wait()
	}
	for _, h := range l.hosts {
		h.Close()
	}
	if l.consul != nil {
		l.consul.Close()
	}
	_ = exec.Command("ip", "link", "del", "under").Run() // it may not be there
	return os.RemoveAll(l.dir)
}

// config is a stack with hosts, and what else there is.
func (l *lab) config(more string) string {
	var b strings.Builder
	b.WriteString("cnm {\n  stack = \"lab\"\n  store \"consul\" {}\n}\n")
	for _, h := range l.hosts {
		fmt.Fprintf(&b, "host %q { vtep = %q }\n", h.Name, h.Address)
	}
	return b.String() + more
}

func median(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}

// report is a line of the outcome: the median, and the extremes.
func report(what string, all []time.Duration) {
	if len(all) == 0 {
		fmt.Printf("%-66s %s\n", what, "no figures")
		return
	}
	m := median(all)
	fmt.Printf("%-66s %8.1f ms   (%.1f to %.1f, %d times)\n", what, ms(m), ms(all[0]), ms(all[len(all)-1]), len(all))
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

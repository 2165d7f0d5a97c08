// Package consultest runs real Consul servers for tests. Each has a loopback address of its
// own, so that any number of them can run at once with the ports that Consul always has,
// on a test machine as on the developer's.
package consultest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Options say what a server is like.
type Options struct {
	// Config is more configuration, in Consul's own language.
	Config string
	// Durable: the server keeps its data on disk, so that it has them after a restart.
	// Others forget all.
	Durable bool
	// Peers is how many servers elect a leader; 0 is one. Cluster starts them.
	Peers int
}

// Server is a Consul server that a test may stop, freeze and start again.
type Server struct {
	// IP is the server's loopback address, HTTP where its API is, Socket the same as a file.
	IP, HTTP, Socket string

	tb   testing.TB
	opts Options
	join []string
	dir  string
	cmd  *exec.Cmd
	done chan struct{}
}

// Binary is the Consul that the Makefile builds. Where it is not built, a quick test is
// skipped, and any other fails: what is not tested must be seen.
func Binary(tb testing.TB) string {
	tb.Helper()
	root, err := moduleRoot()
	if err != nil {
		tb.Fatal(err)
	}
	path := filepath.Join(root, "bin", "consul")
	if _, err := os.Stat(path); err == nil {
		return path
	}
	if testing.Short() {
		tb.Skip("needs Consul; 'make bin/consul' builds it")
	}
	tb.Fatal("Consul is not built; 'make bin/consul' does that, once")
	return ""
}

func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	for ; err == nil && dir != "/"; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
	}
	return "", fmt.Errorf("finding the module that this test belongs to: %w", errors.Join(err, os.ErrNotExist))
}

// Start runs a server until the test ends, and returns when it can be used.
func Start(tb testing.TB, o Options) *Server {
	tb.Helper()
	s := prepare(tb, o)
	s.Start()
	return s
}

// Cluster runs n servers that elect a leader.
func Cluster(tb testing.TB, n int, o Options) []*Server {
	tb.Helper()
	o.Durable, o.Peers = true, n
	servers := make([]*Server, n)
	for i := range servers {
		servers[i] = prepare(tb, o)
	}
	for _, s := range servers {
		s.join = []string{"-retry-join=" + servers[0].IP, "-retry-interval=200ms"}
		s.launch()
	}
	for _, s := range servers {
		s.Ready()
	}
	return servers
}

func prepare(tb testing.TB, o Options) *Server {
	tb.Helper()
	Binary(tb)
	ip := fmt.Sprintf("127.%d.%d.%d", 64+rand.N(128), rand.N(256), 1+rand.N(254))
	// A socket's path is short, and a test's own directory may not be.
	dir, err := os.MkdirTemp("", "consul")
	if err != nil {
		tb.Fatal(err)
	}
	s := &Server{IP: ip, HTTP: net.JoinHostPort(ip, "8500"), Socket: filepath.Join(dir, "http.sock"), tb: tb, opts: o, dir: dir}
	tb.Cleanup(func() {
		s.Kill()
		os.RemoveAll(dir)
	})
	config := fmt.Sprintf("addresses { http = \"%s unix://%s\" }", ip, s.Socket) + `
		ports { dns = -1 grpc = -1 grpc_tls = -1 serf_wan = -1 }
		performance { raft_multiplier = 1 }
		limits { http_max_conns_per_client = 2000 }
		` + o.Config
	if err := os.WriteFile(filepath.Join(s.dir, "config.hcl"), []byte(config), 0o600); err != nil {
		tb.Fatal(err)
	}
	return s
}

// Start starts the server again, at the address that it had, and waits until it can be used.
func (s *Server) Start() {
	s.tb.Helper()
	s.launch()
	s.Ready()
}

func (s *Server) launch() {
	s.tb.Helper()
	args := []string{"agent", "-node=" + strings.ReplaceAll(s.IP, ".", "-"), "-bind=" + s.IP, "-client=" + s.IP,
		"-config-file=" + filepath.Join(s.dir, "config.hcl"), "-log-level=warn"}
	if s.opts.Durable {
		args = append(args, "-server", fmt.Sprintf("-bootstrap-expect=%d", max(1, s.opts.Peers)), "-data-dir="+filepath.Join(s.dir, "data"))
	} else {
		args = append(args, "-dev")
	}
	log, err := os.OpenFile(s.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.tb.Fatal(err)
	}
	defer log.Close()
	s.cmd = exec.Command(Binary(s.tb), append(args, s.join...)...)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	s.cmd.Env = withoutConsul(os.Environ())
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		s.tb.Fatal(err)
	}
	s.done = make(chan struct{})
	go func(cmd *exec.Cmd, done chan struct{}) {
		_ = cmd.Wait()
		close(done)
	}(s.cmd, s.done)
}

// withoutConsul is the environment without what is meant for Consul's clients.
func withoutConsul(environ []string) (rest []string) {
	for _, e := range environ {
		if !strings.HasPrefix(e, "CONSUL_") {
			rest = append(rest, e)
		}
	}
	return rest
}

func (s *Server) log() string { return filepath.Join(s.dir, "log") }

// Log is what the server wrote.
func (s *Server) Log() string {
	text, _ := os.ReadFile(s.log()) // without a log there is nothing to show
	return string(text)
}

// Ready waits until there is a leader, and the server says so.
func (s *Server) Ready() {
	s.tb.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		leader, err := s.get("/v1/status/leader")
		if err == nil && strings.Contains(leader, ":8300") {
			return
		}
		select {
		case <-s.done:
			s.tb.Fatalf("Consul ended:\n%s", s.Log())
		default:
		}
		if time.Now().After(deadline) {
			s.tb.Fatalf("Consul has no leader after 30 s (%v):\n%s", err, s.Log())
		}
	}
}

func (s *Server) get(path string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.HTTP+path, nil)
	if err != nil {
		return "", err
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return string(bytes.TrimSpace(text)), err
}

// Kill ends the server at once, if it runs.
func (s *Server) Kill() { s.signal(syscall.SIGKILL, true) }

// Freeze stops the server without ending it: connections stay open and nothing answers.
func (s *Server) Freeze() { s.signal(syscall.SIGSTOP, false) }

// Thaw lets a frozen server go on.
func (s *Server) Thaw() { s.signal(syscall.SIGCONT, false) }

// signal goes to a process that has not been waited for, so it can be no other's.
func (s *Server) signal(sig syscall.Signal, ends bool) {
	if s.cmd == nil {
		return
	}
	select {
	case <-s.done:
		return
	default:
	}
	_ = s.cmd.Process.Signal(sig) // it may have ended by itself
	if ends {
		<-s.done
	}
}

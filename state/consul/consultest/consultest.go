// Package consultest runs real Consul servers for tests. Each has a loopback address of its
// own, so that any number of them can run at once with the ports that Consul always has,
// on a test machine as on the developer's.
package consultest

import (
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
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
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

// Server is a Consul server that may be stopped, frozen and started again.
type Server struct {
	// IP is the server's loopback address, HTTP where its API is, Socket the same as a file.
	IP, HTTP, Socket string

	opts   Options
	binary string
	join   []string
	dir    string
	cmd    *exec.Cmd
	done   chan struct{}
}

// Need checks that there is a Consul to test with. Where it is not built, a quick test is
// skipped, and any other fails: what is not tested must be seen.
func Need(tb testing.TB) {
	tb.Helper()
	if _, err := Binary(); err != nil && testing.Short() {
		tb.Skip(err)
	} else if err != nil {
		tb.Fatal(err)
	}
}

// Binary is the Consul that the Makefile builds.
func Binary() (string, error) {
	dir, err := os.Getwd()
	for ; err == nil && dir != "/"; dir = filepath.Dir(dir) {
		path := filepath.Join(dir, "bin", "consul")
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", errors.Join(errors.New("needs Consul; 'make bin/consul' builds it, once"), err)
}

// Start runs a server until the test ends, and returns when it can be used.
func Start(tb testing.TB, o Options) *Server {
	tb.Helper()
	Need(tb)
	s, err := New(o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.Close)
	if err := s.Start(); err != nil {
		tb.Fatal(err)
	}
	return s
}

// Cluster runs n servers that elect a leader.
func Cluster(tb testing.TB, n int, o Options) []*Server {
	tb.Helper()
	Need(tb)
	o.Durable, o.Peers = true, n
	servers := make([]*Server, n)
	for i := range servers {
		s, err := New(o)
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(s.Close)
		servers[i] = s
		s.join = []string{"-retry-join=" + servers[0].IP, "-retry-interval=200ms"}
		if err := s.launch(); err != nil {
			tb.Fatal(err)
		}
	}
	for _, s := range servers {
		if err := s.Ready(); err != nil {
			tb.Fatal(err)
		}
	}
	return servers
}

// New is a server that does not run yet. Close has to be called in the end.
func New(o Options) (*Server, error) {
	binary, err := Binary()
	if err != nil {
		return nil, err
	}
	// A socket's path is short, and a test's own directory may not be.
	dir, err := os.MkdirTemp("", "consul")
	if err != nil {
		return nil, err
	}
	ip := fmt.Sprintf("127.%d.%d.%d", 64+rand.N(128), rand.N(256), 1+rand.N(254))
	s := &Server{IP: ip, HTTP: net.JoinHostPort(ip, "8500"), Socket: filepath.Join(dir, "http.sock"), opts: o, binary: binary, dir: dir}
	config := fmt.Sprintf("addresses { http = \"%s unix://%s\" }", ip, s.Socket) + `
		ports { dns = -1 grpc = -1 grpc_tls = -1 serf_wan = -1 }
		performance { raft_multiplier = 1 }
		`
	// Two files, because a block may be written once in each.
	return s, errors.Join(
		os.WriteFile(filepath.Join(dir, "config.hcl"), []byte(config), 0o600),
		os.WriteFile(filepath.Join(dir, "more.hcl"), []byte(o.Config), 0o600))
}

// Close ends the server and removes what it leaves.
func (s *Server) Close() {
	s.Kill()
	os.RemoveAll(s.dir)
}

// Start starts the server, at the address that it had, and waits until it can be used.
func (s *Server) Start() error {
	if err := s.launch(); err != nil {
		return err
	}
	return s.Ready()
}

func (s *Server) launch() error {
	args := []string{"agent", "-node=" + strings.ReplaceAll(s.IP, ".", "-"), "-bind=" + s.IP, "-client=" + s.IP,
		"-config-file=" + filepath.Join(s.dir, "config.hcl"),
		"-config-file=" + filepath.Join(s.dir, "more.hcl"), "-log-level=warn"}
	if s.opts.Durable {
		args = append(args, "-server", fmt.Sprintf("-bootstrap-expect=%d", max(1, s.opts.Peers)), "-data-dir="+filepath.Join(s.dir, "data"))
	} else {
		args = append(args, "-dev")
	}
	log, err := os.OpenFile(s.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(s.binary, append(args, s.join...)...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = withoutConsul(os.Environ())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	s.cmd, s.done = cmd, make(chan struct{})
	started := make(chan error)
	go func(done chan struct{}) {
		// The death signal comes when the thread ends that started the process, so that
		// thread has to be there for as long.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // however it ended
		}
		close(done)
	}(s.done)
	return <-started
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

// Ready waits until there is a leader, and the server knows it.
func (s *Server) Ready() error {
	for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(10 * time.Millisecond) {
		leader, err := s.leader()
		if err == nil && strings.Contains(leader, ":8300") {
			return nil
		}
		select {
		case <-s.done:
			return fmt.Errorf("starting Consul: it ended: %s", s.Log())
		default:
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("starting Consul: it has no leader after three minutes: %w\n%s", err, s.Log())
		}
	}
}

// leader is the address of the leader, as the server knows it.
func (s *Server) leader() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.HTTP+"/v1/status/leader", nil)
	if err != nil {
		return "", err
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return string(text), err
}

// Kill ends the server at once, if it runs.
func (s *Server) Kill() {
	if s.signal(syscall.SIGKILL) {
		<-s.done
	}
}

// Lose starts the server anew without anything that it held.
func (s *Server) Lose() error {
	s.Kill()
	if err := os.RemoveAll(filepath.Join(s.dir, "data")); err != nil {
		return err
	}
	return s.Start()
}

// PID is the server's process.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Freeze stops the server without ending it: connections stay open and nothing answers. On
// a busy machine its last thread stops some time after the signal was sent.
func (s *Server) Freeze() {
	if !s.signal(syscall.SIGSTOP) {
		return
	}
	for {
		err := unix.Waitid(unix.P_PID, s.PID(), nil, unix.WSTOPPED|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			return
		}
	}
}

// Thaw lets a frozen server go on.
func (s *Server) Thaw() { s.signal(syscall.SIGCONT) }

// signal goes to a process that has not been waited for, so it can be no other's.
func (s *Server) signal(sig syscall.Signal) bool {
	if s.cmd == nil {
		return false
	}
	select {
	case <-s.done:
		return false
	default:
	}
	return s.cmd.Process.Signal(sig) == nil
}

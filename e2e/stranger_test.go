package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// stranger starts a process in a network namespace of its own that cnmctl did not make, and
// sets the variable NAME to its number. `ip netns` sees the namespace as NAME-ns.
func stranger(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 1, "stranger NAME")
	cmd := exec.Command("unshare", "-n", "sleep", "3600")
	ts.Check(cmd.Start())
	people := remembered(ts)
	if old := people.strangers[args[0]]; old != nil {
		leave(ts, old)
	} else {
		people.strangers[args[0]] = nil
		ts.Defer(func() { leave(ts, people.strangers[args[0]]) })
	}
	people.strangers[args[0]] = cmd
	pid := strconv.Itoa(cmd.Process.Pid)
	home, err := os.Readlink("/proc/thread-self/ns/net") // the process's first thread may be elsewhere
	ts.Check(err)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(2 * time.Millisecond) {
		if now, err := os.Readlink("/proc/" + pid + "/ns/net"); err == nil && now != home {
			break
		}
		if time.Now().After(deadline) {
			ts.Fatalf("unshare did not come to its namespace")
		}
	}
	ts.Setenv(args[0], pid)
	ts.Check(ts.Exec("ip", "netns", "attach", args[0]+"-ns", pid))
}

// leaves ends a stranger, and with it its namespace.
func leaves(ts *testscript.TestScript, neg bool, args []string) {
	people := remembered(ts)
	usage(ts, neg, len(args) == 1 && people.strangers[args[0]] != nil, "leaves NAME")
	leave(ts, people.strangers[args[0]])
	people.strangers[args[0]] = nil
	ts.Check(ts.Exec("ip", "netns", "del", args[0]+"-ns"))
}

func leave(ts *testscript.TestScript, cmd *exec.Cmd) {
	if cmd != nil {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
	}
}

// engine is as much of Docker's engine as says which process a container is.
type engine struct {
	mu         sync.Mutex
	containers map[string]string // name to process, "" for one that has ended
	server     *http.Server
}

// docker starts an engine, and says what runs in it: docker start | runs NAME PID | stops NAME
// | removes NAME | end.
func docker(ts *testscript.TestScript, neg bool, args []string) {
	m := remembered(ts)
	usage(ts, neg, len(args) > 0 && (args[0] == "start") == (m.engine == nil), "docker start|runs NAME PID|stops NAME|removes NAME|end")
	if args[0] == "start" {
		m.engine = &engine{containers: map[string]string{}}
		socket := ts.MkAbs("docker.sock")
		l, err := net.Listen("unix", socket)
		ts.Check(err)
		m.engine.server = &http.Server{Handler: m.engine, ReadHeaderTimeout: time.Minute}
		go func() { _ = m.engine.server.Serve(l) }()
		ts.Defer(func() { _ = m.engine.server.Close() })
		ts.Setenv("DOCKER_HOST", "unix://"+socket)
		return
	}
	m.engine.mu.Lock()
	defer m.engine.mu.Unlock()
	switch strings.Join(args[:1], "") {
	case "runs":
		m.engine.containers[args[1]] = args[2]
	case "stops":
		m.engine.containers[args[1]] = ""
	case "removes":
		delete(m.engine.containers, args[1])
	case "end":
		ts.Check(m.engine.server.Close())
	default:
		ts.Fatalf("docker %s is unknown", args[0])
	}
}

// ServeHTTP answers GET /containers/NAME/json as Docker's engine does.
func (e *engine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	name, ok := strings.CutSuffix(strings.TrimPrefix(r.URL.Path, "/containers/"), "/json")
	pid, known := e.containers[name]
	w.Header().Set("Content-Type", "application/json")
	if r.Method != http.MethodGet || !ok || !known {
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprintf(w, `{"message":"No such container: %s"}`, name)
		return
	}
	number, _ := strconv.Atoi(pid)
	status := map[bool]string{true: "running", false: "exited"}[number > 0]
	_ = json.NewEncoder(w).Encode(map[string]any{
		"Id": "4f5a", "Name": "/" + name,
		"State":      map[string]any{"Status": status, "Running": number > 0, "Pid": number},
		"HostConfig": map[string]any{"NetworkMode": "none"},
	})
}

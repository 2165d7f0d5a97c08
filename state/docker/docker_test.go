package docker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cnmctl/cnmctl/state"
)

// engine is an Engine that is answered by handler, over a socket.
func engine(t *testing.T, handler http.HandlerFunc) *Engine {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	e, err := New("unix://" + socket)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

func TestProcess(t *testing.T) {
	e := engine(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.Path != "/containers/web/json" {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		answer(http.StatusOK, `{"Id": "4f5a", "State": {"Status": "running", "Running": true, "Paused": false, "Pid": 4242}, "HostConfig": {"NetworkMode": "none"}}`)(w, r)
	})
	if pid, err := e.Process(t.Context(), "web"); pid != 4242 || err != nil {
		t.Errorf("process %d, %v", pid, err)
	}
}

// TestAbsent: what is certainly not there is told from what nobody knows.
func TestAbsent(t *testing.T) {
	for _, test := range []struct {
		name    string
		handler http.HandlerFunc
		absent  bool
		says    string
	}{
		{"none", answer(http.StatusNotFound, `{"message":"No such container: web"}`), true, "Docker has no container web"},
		{"stopped", answer(http.StatusOK, `{"State": {"Status": "exited", "Running": false, "Pid": 0}}`), true, "does not run (exited)"},
		{"created", answer(http.StatusOK, `{"State": {"Status": "created"}}`), true, "does not run (created)"},
		{"on the host", answer(http.StatusOK, `{"State": {"Running": true, "Pid": 7}, "HostConfig": {"NetworkMode": "host"}}`), true, "no network namespace of its own"},
		{"ill", answer(http.StatusInternalServerError, `{"message":"disk full"}`), false, "500 Internal Server Error: disk full"},
		{"garbage", answer(http.StatusOK, `<html>`), false, "reading its answer"},
		{"nothing", answer(http.StatusOK, ``), false, "reading its answer"},
		{"hangs up", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, false, "EOF"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := engine(t, test.handler).Process(t.Context(), "web")
			var absent *state.AbsentError
			if err == nil || errors.As(err, &absent) != test.absent || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v, want %q, absent %t", err, test.says, test.absent)
			}
		})
	}
}

func TestUnreachable(t *testing.T) {
	for _, host := range []string{"tcp://10.0.0.1:2375", "ssh://me@there", "unix://relative", "/var/run/docker.sock"} {
		if _, err := New(host); err == nil || !strings.Contains(err.Error(), "DOCKER_HOST is") {
			t.Errorf("%s: %v", host, err)
		}
	}
	e, err := New("unix://" + filepath.Join(t.TempDir(), "none"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = e.Process(t.Context(), "web")
	var absent *state.AbsentError
	if err == nil || errors.As(err, &absent) || !strings.Contains(err.Error(), "start Docker") {
		t.Errorf("no socket: %v", err)
	}
}

// TestSilence: an engine that does not answer ends with whoever asks.
func TestSilence(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	e := engine(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	if _, err := e.Process(ctx, "web"); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

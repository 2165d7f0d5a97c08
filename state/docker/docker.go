// Package docker asks Docker's engine, over its socket, which process a container is. It is
// the one thing that is asked: what a container's network is made of is read from the kernel.
package docker

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/cnmctl/cnmctl/state"
)

const (
	// defaultHost is where the engine listens unless it is told otherwise (dockerd -H).
	defaultHost = "unix:///var/run/docker.sock"
	// patience is for an engine that is busy; one that starts answers when it has started.
	patience = 30 * time.Second
	// mostAnswer bounds what is read of an answer; a container's description has some kB.
	mostAnswer = 8 << 20
)

// Engine is a Docker engine on this machine.
type Engine struct {
	socket string
	client http.Client
}

// New is the engine at host, as in the variable DOCKER_HOST: "unix:///run/docker.sock"; "" is
// Docker's default. Nobody is asked yet.
func New(host string) (*Engine, error) {
	socket, ok := strings.CutPrefix(cmp.Or(host, defaultHost), "unix://")
	if !ok || !strings.HasPrefix(socket, "/") {
		return nil, fmt.Errorf("DOCKER_HOST is %q; the containers of sandboxes are on this machine, whose engine has a socket, as in unix:///var/run/docker.sock", host)
	}
	e := &Engine{socket: socket}
	e.client = http.Client{
		Timeout: patience,
		Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, "unix", socket)
			},
		},
	}
	return e, nil
}

// container is what concerns us of the answer to GET /containers/NAME/json (Docker's Engine
// API, ContainerInspect).
type container struct {
	State struct {
		Status  string
		Running bool
		Pid     int
	}
	HostConfig struct{ NetworkMode string }
}

// Process is the process of a running container, by its name or ID. A *state.AbsentError says
// that there is none.
func (e *Engine) Process(ctx context.Context, name string) (pid int, err error) {
	var c container
	if err := e.inspect(ctx, name, &c); err != nil {
		return 0, err
	}
	switch {
	case !c.State.Running || c.State.Pid <= 0:
		return 0, &state.AbsentError{Why: fmt.Sprintf("container %s does not run (%s): start it first", name, cmp.Or(c.State.Status, "no process"))}
	case c.HostConfig.NetworkMode == "host":
		return 0, &state.AbsentError{Why: fmt.Sprintf("container %s has no network namespace of its own (--network host)", name)}
	}
	return c.State.Pid, nil
}

func (e *Engine) inspect(ctx context.Context, name string, into *container) error {
	what := "asking Docker at " + e.socket + " for container " + name
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://docker/containers/"+url.PathEscape(name)+"/json", http.NoBody)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	resp, err := e.client.Do(req)
	if err != nil {
		return fmt.Errorf("%s: %w%s", what, cause(err), remedy(err))
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, mostAnswer))
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", what, err)
	case resp.StatusCode == http.StatusNotFound:
		return &state.AbsentError{Why: fmt.Sprintf("Docker has no container %s (docker ps -a lists those that there are)", name)}
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("%s: it answers %s%s", what, resp.Status, reason(body))
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("%s: reading its answer: %w", what, err)
	}
	return nil
}

// cause is an error of a request without the request, whose URL says nothing.
func cause(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

// remedy is what to do about an engine that cannot be asked.
func remedy(err error) string {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return "; run cnmctl as root, which the socket belongs to"
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return "; start Docker, or say where its socket is with DOCKER_HOST"
	}
	return ""
}

// reason is what the engine says of an error ({"message": …}), for the end of a sentence.
func reason(body []byte) string {
	var said struct{ Message string }
	if json.Unmarshal(body, &said) != nil || said.Message == "" {
		return ""
	}
	return ": " + said.Message
}

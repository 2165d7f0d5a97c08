package consul

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/consul/api"
)

// How long a call is tried. A command makes several calls, and ends within ten seconds
// with Consul gone: so once a call had no answer the next ones are tried for a moment
// only, until one has.
const (
	patience      = 5 * time.Second
	impatience    = time.Second
	firstPause    = 50 * time.Millisecond
	longestPause  = time.Second
	longestAnswer = time.Minute
)

// link remembers how Consul answered lately.
type link struct {
	address string

	mu            sync.Mutex
	reached, lost bool
}

func (l *link) state() (reached, lost bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reached, l.lost
}

func (l *link) note(answered bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reached = l.reached || answered
	l.lost = !answered
}

// try makes a call until Consul has answered it: yes or no. What passes by itself (no
// leader, too many requests, a server that restarts) is waited for, within limits. The
// call must be one that can be made twice.
func (s *Store) try(ctx context.Context, doing string, call func(context.Context) error) error {
	reached, lost := s.link.state()
	limit, silence := patience, s.silence
	if lost {
		limit, silence = impatience, min(impatience, s.silence)
	}
	ctx, cancel := context.WithTimeout(ctx, longestAnswer)
	defer cancel()
	ctx = withSilence(ctx, silence)
	deadline := time.Now().Add(limit)
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		err := call(ctx)
		switch {
		case err == nil || answered(err):
			s.link.note(true)
			return s.explain(doing, err)
		case ctx.Err() != nil:
			return fmt.Errorf("%s: %w", doing, context.Cause(ctx))
		}
		// A wrong address or certificate does not become right by waiting; a server that was
		// there may be restarting.
		hopeless := errors.Is(err, errSilent) || distrust(err) || !reached && !passing(err) && !brokenOff(err)
		wait := pause/2 + rand.N(pause/2)
		if hopeless || time.Now().Add(wait).After(deadline) {
			s.link.note(passing(err))
			return s.explain(doing, err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// answered reports that the error is Consul's answer, and not one that passes by itself.
func answered(err error) bool {
	var status api.StatusError
	if !errors.As(err, &status) {
		var network net.Error
		return !errors.As(err, &network) && !errors.Is(err, errSilent) && !brokenOff(err)
	}
	return !passing(err)
}

// brokenOff reports an answer that ended in the middle: the server died.
func brokenOff(err error) bool {
	for _, text := range []string{"EOF", "connection reset", "broken pipe", "closed network connection"} {
		if strings.Contains(err.Error(), text) {
			return true
		}
	}
	return false
}

// distrust reports that one side does not accept the other's certificate.
func distrust(err error) bool { return strings.Contains(err.Error(), "tls: ") }

// passing reports that a server answered that it cannot now: it has no leader, or too
// much to do, or it has only now begun and is not in its own catalog yet. The rate limiter says 429 when another server may help and 503 when only
// the leader could; all else that passes is a 500 and told by its text.
func passing(err error) bool {
	var status api.StatusError
	if !errors.As(err, &status) {
		return false
	}
	switch status.Code {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	case http.StatusInternalServerError:
		for _, text := range []string{"No cluster leader", "not leader", "leadership lost", "leadership transfer",
			"No path to datacenter", "Missing node registration", "rpc error", "raft is already shutdown", "lead thread didn't get connection",
			"connection refused", "EOF", "timed out", "timeout"} {
			if strings.Contains(status.Body, text) {
				return true
			}
		}
	}
	return false
}

// explain says what was being done, and what to do about it where that is known.
func (s *Store) explain(doing string, err error) error {
	var status api.StatusError
	var network net.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &status):
		return fmt.Errorf("%s: %w", doing, s.explainStatus(status))
	case errors.As(err, &network), errors.Is(err, errSilent), brokenOff(err):
		return &UnreachableError{doing, s.link.address, err}
	}
	return fmt.Errorf("%s: %w", doing, err)
}

func (s *Store) explainStatus(status api.StatusError) error {
	switch {
	case status.Code == http.StatusForbidden:
		return &DeniedError{Reason: status.Body, Path: s.policy}
	case passing(status):
		return fmt.Errorf("Consul at %s cannot now (%d, %s); see 'consul operator raft list-peers', and try again", s.link.address, status.Code, status.Body) //nolint:staticcheck // a name is capitalized
	}
	return &refusedError{status}
}

// refusedError is an answer of Consul's for which we have no better words.
type refusedError struct{ status api.StatusError }

func (e *refusedError) Error() string {
	return fmt.Sprintf("Consul answered %d: %s", e.status.Code, e.status.Body)
}

func (e *refusedError) Unwrap() error { return e.status }

// UnreachableError reports that Consul could not be spoken to.
type UnreachableError struct {
	Doing, Address string
	Err            error
}

func (e *UnreachableError) Error() string {
	hint := "Is its agent running, and is the address right (CONSUL_HTTP_ADDR, or address in the store block)?"
	if distrust(e.Err) {
		hint = "The certificates are those of ca_file, cert_file and key_file in the store block, or CONSUL_CACERT, CONSUL_CLIENT_CERT and CONSUL_CLIENT_KEY."
	}
	return fmt.Sprintf("%s: Consul at %s cannot be reached: %v. %s What runs goes on running", e.Doing, e.Address, innermost(e.Err), hint)
}

func (e *UnreachableError) Unwrap() error { return e.Err }

// innermost leaves out the request's address, which is said already.
func innermost(err error) error {
	if inner := errors.Unwrap(err); inner != nil && strings.Contains(err.Error(), "/v1/") {
		return innermost(inner)
	}
	return err
}

// DeniedError reports that Consul refused because of its access control lists.
type DeniedError struct{ Reason, Path string }

func (e *DeniedError) Error() string {
	if strings.Contains(e.Reason, "ACL not found") {
		return "Consul does not know the token; set CONSUL_HTTP_TOKEN, or token_file in the store block"
	}
	text := fmt.Sprintf(`Consul denies it (%s). The token (CONSUL_HTTP_TOKEN, or token_file in the store block) needs a policy with
  key_prefix "%s/" { policy = "write" }
  session_prefix "" { policy = "write" }`, strings.TrimSuffix(e.Reason, "."), e.Path)
	if strings.Contains(e.Reason, "service:") || strings.Contains(e.Reason, "node:") {
		text += fmt.Sprintf(`
and, because endpoints are registered as services,
  node_prefix "%s-" { policy = "write" }
  service_prefix "" { policy = "write" }`, strings.ReplaceAll(e.Path, "/", "-"))
	}
	return text
}

package plugin

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	// mediaType is what docker accepts from plugins.
	mediaType = "application/vnd.docker.plugins.v1.2+json"
	// mostAnswer bounds what a plugin may answer.
	mostAnswer = 1 << 20
	// DefaultTimeout is how long a call may take when nobody says otherwise.
	DefaultTimeout = 30 * time.Second
	// longestRetry is for how long a plugin is waited for that does not listen yet.
	longestRetry = 15 * time.Second
	firstPause   = 50 * time.Millisecond
)

var errNotDirectory error = syscall.ENOTDIR

// Client calls one plugin.
type Client struct {
	Address
	// Timeout is how long each call may take, with all its retries.
	Timeout time.Duration

	http *http.Client
	base string
	// implements is what the plugin said when it was activated; nil: it was not yet.
	implements []string
	// absent: it was waited for in vain. It is asked again, but not waited for again.
	absent bool
	// unanswered is how many calls in a row were sent in vain, the last one at hung.
	unanswered int
	hung       time.Time
}

// mostUnanswered is how many calls in a row may go unanswered. One may have been at a bad
// moment; a plugin that hangs shall not cost its time-out for each thing that is to be
// taken back.
const mostUnanswered = 2

// Error is why a call did not succeed.
type Error struct {
	Plugin, Call string
	// Status is the HTTP status of the answer, 0 when there was none.
	Status int
	// Sent: the plugin may have done what it was asked for.
	Sent bool
	// Refused: the plugin says that it did not.
	Refused bool
	// Said is what it wrote into its answer's error field.
	Said string
	Err  error
}

func (e *Error) Error() string {
	return fmt.Sprintf("plugin %q, %s: %v", e.Plugin, e.Call, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// Unsent reports that the plugin was never asked.
func Unsent(err error) bool {
	var e *Error
	return errors.As(err, &e) && !e.Sent && e.Status == 0
}

// Refused reports that the plugin says it did not do what it was asked for.
func Refused(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Refused
}

// Open finds the plugin and prepares to call it; nothing is sent yet. A timeout of 0 is
// DefaultTimeout.
func (f Finder) Open(name string, timeout time.Duration) (*Client, error) {
	a, err := f.Find(name)
	if err != nil {
		return nil, err
	}
	c := &Client{Address: a, Timeout: cmp.Or(timeout, DefaultTimeout)}
	transport := &http.Transport{MaxIdleConns: 4, IdleConnTimeout: time.Minute, Proxy: nil}
	c.http = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
	host := a.URL.Host
	if a.URL.Scheme == "unix" {
		host = "plugin"
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", a.URL.Path)
		}
	}
	scheme := "http"
	if a.URL.Scheme == "https" || a.TLS != nil {
		scheme = "https"
	}
	if a.TLS != nil {
		if transport.TLSClientConfig, err = a.TLS.config(); err != nil {
			return nil, fmt.Errorf("preparing TLS for plugin %q (%s): %w", name, a.File, err)
		}
	}
	c.base = scheme + "://" + host + "/"
	return c, nil
}

// config is the TLS configuration that the specification asks for.
func (t *TLS) config() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: t.InsecureSkipVerify}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, err
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate", t.CAFile)
		}
	}
	if t.CertFile != "" || t.KeyFile != "" {
		pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, err
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// Close lets go of idle connections.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	return nil
}

// Activate makes sure that the plugin implements what it will be asked for.
func (c *Client) Activate(ctx context.Context, what string) error {
	if c.implements == nil {
		var said struct{ Implements []string }
		if err := c.call(ctx, "Plugin.Activate", true, nil, &said); err != nil {
			return err
		}
		c.implements = append([]string{}, said.Implements...)
	}
	if !slices.Contains(c.implements, what) {
		return &Error{Plugin: c.Name, Call: "Plugin.Activate", Status: http.StatusOK, Err: fmt.Errorf(
			"it is no %s but %s; name another plugin", what, cmp.Or(strings.Join(c.implements, ", "), "nothing at all"))}
	}
	return nil
}

// call makes one call. One that was never sent is tried again while the plugin does not
// listen yet; one that may have had an effect only when it is idempotent.
func (c *Client) call(ctx context.Context, name string, idempotent bool, in, out any) error {
	body := []byte("{}")
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return &Error{Plugin: c.Name, Call: name, Err: err}
		}
	}
	if c.hangs() {
		return &Error{Plugin: c.Name, Call: name, Err: fmt.Errorf(
			"it has not answered the last %d calls, and is not asked again before %s have passed", c.unanswered, c.Timeout)}
	}
	limited, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	giveUp := time.Now().Add(min(longestRetry, c.Timeout))
	if c.absent {
		giveUp = time.Now()
	}
	for pause := firstPause; ; pause *= 2 {
		err := c.once(limited, name, body, out)
		c.absent = c.absent && err != nil && err.Status == 0
		if err == nil {
			c.unanswered = 0
		}
		if err == nil || ctx.Err() != nil {
			return errors.Join(wrapped(err), ctx.Err())
		}
		if err.Status != 0 || err.Sent && !idempotent || limited.Err() != nil || time.Now().Add(pause).After(giveUp) {
			if errors.Is(err.Err, context.DeadlineExceeded) {
				err.Err = fmt.Errorf("no answer within %s", c.Timeout)
				c.unanswered, c.hung = c.unanswered+1, time.Now()
			} else {
				c.unanswered = 0
			}
			c.absent = err.Status == 0 && !err.Sent
			return err
		}
		select {
		case <-limited.Done():
		case <-time.After(pause):
		}
	}
}

// hangs reports that the plugin has just let calls go unanswered. After as long as a call
// may take it is asked again: an agent lives longer than a run.
func (c *Client) hangs() bool {
	return c.unanswered >= mostUnanswered && time.Since(c.hung) < c.Timeout
}

func wrapped(err *Error) error {
	if err == nil {
		return nil
	}
	return err
}

// once sends the request once.
func (c *Client) once(ctx context.Context, name string, body []byte, out any) *Error {
	failed := &Error{Plugin: c.Name, Call: name}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+name, bytes.NewReader(body))
	if err != nil {
		failed.Err = err
		return failed
	}
	req.Header.Set("Accept", mediaType)
	req.Header.Set("Content-Type", mediaType)
	req.GetBody = nil // net/http sends nothing again by itself: that is decided here
	res, err := c.http.Do(req)
	if err != nil {
		var dial *net.OpError
		failed.Sent = !errors.As(err, &dial) || dial.Op != "dial"
		failed.Err = cause(err)
		return failed
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, mostAnswer+1))
	failed.Sent = true
	switch {
	case err != nil:
		failed.Err = fmt.Errorf("the answer broke off: %w", err)
	case len(text) > mostAnswer:
		failed.Status, failed.Err = res.StatusCode, fmt.Errorf("the answer is longer than %d bytes", mostAnswer)
	default:
		failed.Status = res.StatusCode
		failed.understand(text, out)
	}
	if failed.Err == nil {
		return nil
	}
	return failed
}

// cause leaves out the method and URL, which the caller names better.
func cause(err error) error {
	var with interface{ Unwrap() error }
	if errors.As(err, &with) && strings.HasPrefix(err.Error(), "Post ") {
		err = with.Unwrap()
	}
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("it hung up without an answer (%w)", err)
	}
	return err
}

// understand reads an answer. Both spellings of the error field occur in the wild.
func (e *Error) understand(text []byte, out any) {
	var refusal struct{ Err, Error string }
	garbage := json.Unmarshal(text, &refusal)
	if garbage == nil {
		e.Said = cmp.Or(refusal.Err, refusal.Error)
	}
	switch {
	case e.Said != "":
		e.Refused, e.Err = true, errors.New(e.Said)
		return
	case e.Status != http.StatusOK:
		e.Refused, e.Err = true, fmt.Errorf("HTTP status %d: %s", e.Status, excerpt(text))
		return
	case garbage == nil && out != nil:
		garbage = json.Unmarshal(text, out)
	}
	if garbage != nil {
		e.Err = fmt.Errorf("the answer is not what the protocol says (%w): %s", garbage, excerpt(text))
	}
}

// excerpt is the beginning of an answer, in one line.
func excerpt(text []byte) string {
	const most = 120
	words := strings.Join(strings.Fields(strings.ToValidUTF8(string(text), "?")), " ")
	if len(words) > most {
		words = strings.ToValidUTF8(words[:most], "") + "..."
	}
	return fmt.Sprintf("%q", words)
}

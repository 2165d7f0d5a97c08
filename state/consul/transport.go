package consul

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
)

// usualSilence is how long Consul may say nothing while it owes us something. A limit on the
// whole of an answer would be wrong: a hundred thousand records take their time.
const usualSilence = 4 * time.Second

var errSilent = errors.New("Consul does not answer") //nolint:staticcheck // a name is capitalized

// impatient gives up on a server that says nothing for too long: one that is frozen, or
// behind a network that swallows packets, where a connection stays open for minutes.
type impatient struct {
	next    http.RoundTripper
	silence time.Duration
}

// RoundTrip sends the request; the limit holds for the answer's header and then for each
// piece of its body. A blocking query may be silent for as long as it asked to wait.
func (t impatient) RoundTrip(req *http.Request) (*http.Response, error) {
	limit := cmp.Or(silenceIn(req.Context()), t.silence)
	if wait, err := time.ParseDuration(req.URL.Query().Get("wait")); err == nil {
		limit += wait + wait/16 // Consul adds up to a sixteenth
	}
	ctx, cancel := context.WithCancelCause(req.Context())
	timer := time.AfterFunc(limit, func() { cancel(fmt.Errorf("%w (waited %s)", errSilent, limit)) })
	resp, err := t.next.RoundTrip(req.WithContext(ctx))
	if err != nil {
		timer.Stop()
		if errors.Is(context.Cause(ctx), errSilent) {
			err = context.Cause(ctx)
		}
		cancel(nil)
		return nil, err
	}
	resp.Body = &timedBody{resp.Body, ctx, cancel, timer, limit}
	if err := refused(resp); err != nil {
		return nil, err
	}
	return resp, nil
}

// refused makes an error of an answer that is one. The client does so too, but in some of
// its calls with the status hidden in a text. Not found and conflict are for the caller.
func refused(resp *http.Response) error {
	switch code := resp.StatusCode; {
	case code < 400, code == http.StatusNotFound, code == http.StatusConflict:
		return nil
	default:
		text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
		resp.Body.Close()
		if err != nil {
			return err
		}
		return api.StatusError{Code: code, Body: strings.TrimSpace(string(text))}
	}
}

// timedBody starts the clock anew with each piece that arrives.
type timedBody struct {
	io.ReadCloser
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
	limit  time.Duration
}

func (b *timedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 {
		b.timer.Reset(b.limit)
	}
	if err != nil && errors.Is(context.Cause(b.ctx), errSilent) {
		err = context.Cause(b.ctx)
	}
	return n, err
}

func (b *timedBody) Close() error {
	b.timer.Stop()
	err := b.ReadCloser.Close()
	b.cancel(nil)
	return err
}

type silenceKey struct{}

// withSilence is ctx for requests with a patience of their own.
func withSilence(ctx context.Context, limit time.Duration) context.Context {
	return context.WithValue(ctx, silenceKey{}, limit)
}

func silenceIn(ctx context.Context) time.Duration {
	limit, _ := ctx.Value(silenceKey{}).(time.Duration)
	return limit
}

package agent

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/cnmctl/cnmctl/state"
)

// Dial connects from a sandbox of the host.
type Dial func(ctx context.Context, from state.Place, network, address string) (net.Conn, error)

// check is that of the service of an endpoint in a sandbox of the host.
type check struct {
	endpoint state.Endpoint
	from     state.Place
}

// checksIn are the checks that the host has to make, by their endpoints.
func checksIn(host string, w state.World) map[state.Key]check {
	var all map[state.Key]check
	for k, o := range w {
		e, is := o.(state.Endpoint)
		if !is || !e.Service.Checked() || !e.ServiceAddress().IsValid() {
			continue
		}
		in, found := w[state.RecordKey(state.KindSandbox, e.Sandbox)].(state.Sandbox)
		if !found || in.Host != "" && in.Host != host {
			continue
		}
		if first, shares := w[state.RecordKey(state.KindSandbox, in.Shares)].(state.Sandbox); shares {
			in = first
		}
		if all == nil {
			all = map[state.Key]check{}
		}
		all[k] = check{e, in.Place()}
	}
	return all
}

func (c check) same(other check) bool {
	return c.from == other.from && c.endpoint.Service.Equal(other.endpoint.Service) &&
		c.endpoint.ServiceAddress() == other.endpoint.ServiceAddress()
}

// checking is a check that is being made, until stop is called.
type checking struct {
	check
	stop context.CancelFunc
}

// checkServices begins with the checks that are new, and ends those that are not wanted any more.
func (a *Agent) checkServices(ctx context.Context, w state.World) {
	if a.Dial == nil {
		return
	}
	wanted := checksIn(a.Name, w)
	for k, c := range a.checks {
		if now, still := wanted[k]; !still || !now.same(c.check) {
			c.stop()
			delete(a.checks, k)
		}
	}
	for k, c := range wanted {
		if _, on := a.checks[k]; on {
			continue
		}
		if a.checks == nil {
			a.checks = map[state.Key]checking{}
		}
		own, stop := context.WithCancel(ctx)
		a.checks[k] = checking{c, stop}
		a.others.Go(func() { a.keepChecking(own, c) })
	}
}

// shortestInterval holds for records that were written by hand, too.
const shortestInterval = time.Second

// keepChecking makes a check at each interval, and tells of what is new; now and then also
// of what is not, in case the store has forgotten it. Checks do not go in step.
func (a *Agent) keepChecking(ctx context.Context, c check) {
	interval := max(c.endpoint.Service.Interval, shortestInterval)
	var told state.Verdict
	var when time.Time
	rest(ctx, rand.N(min(interval, time.Second)))
	for ctx.Err() == nil {
		v := c.look(ctx, a.Dial)
		if ctx.Err() != nil {
			return
		}
		if v.Health != told.Health || time.Since(when) > DefaultResync {
			err := a.Store.Judge(ctx, c.endpoint, v)
			switch log := a.Log.With("endpoint", c.endpoint.Mark.Address, "service", c.endpoint.Service.Name, "health", v.Health, "why", v.Why); {
			case ctx.Err() != nil:
				return
			case err != nil:
				log.Warn("telling of a check", "error", err)
			case v.Health != told.Health:
				log.Info("checked")
			}
			if err == nil {
				told, when = v, time.Now()
			}
		}
		rest(ctx, interval)
	}
}

// answerWithin is how long a service may take to answer.
const answerWithin = 5 * time.Second

// look makes the check once, from inside the sandbox.
func (c check) look(ctx context.Context, dial Dial) state.Verdict {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	s := c.endpoint.Service
	address := net.JoinHostPort(c.endpoint.ServiceAddress().String(), strconv.Itoa(int(s.Port)))
	if s.Check == state.CheckTCP {
		conn, err := dial(ctx, c.from, "tcp", address)
		if err != nil {
			return state.Verdict{Health: state.Critical, Why: err.Error()}
		}
		_ = conn.Close() // it was there, which is all that was asked
		return state.Verdict{Health: state.Passing, Why: "connected to " + address}
	}
	return c.ask(ctx, dial, "http://"+address+s.Check)
}

// ask looks at the answer to a request over HTTP. Where it sends us to is not followed: that
// is for somebody else to check.
func (c check) ask(ctx context.Context, dial Dial, url string) state.Verdict {
	client := http.Client{
		Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return dial(ctx, c.from, network, address)
		}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return state.Verdict{Health: state.Critical, Why: err.Error()}
	}
	req.Header.Set("User-Agent", "cnmctl agent")
	resp, err := client.Do(req)
	if err != nil {
		return state.Verdict{Health: state.Critical, Why: err.Error()}
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 1<<16) // so that the other side can finish its sentence
	v := state.Verdict{Health: state.Critical, Why: fmt.Sprintf("GET %s: %s", url, resp.Status)}
	switch {
	case resp.StatusCode >= 200 && resp.StatusCode < 300:
		v.Health = state.Passing
	case resp.StatusCode == http.StatusTooManyRequests:
		v.Health = state.Warning
	}
	return v
}

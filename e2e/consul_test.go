package e2e

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cnmctl/cnmctl/state/consul/consultest"
	"github.com/rogpeppe/go-internal/testscript"
)

// needConsul skips a script that wants a Consul where there is none.
func needConsul(t *testing.T, script string) {
	t.Helper()
	if strings.Contains(script, "/consul") || strings.Contains(script, "/cluster") || strings.HasSuffix(script, "/example-overlay.txtar") {
		consultest.Need(t)
	}
}

// consulVerb runs a Consul beside the script: start [CONFIG FILE], restart, kill, lose
// (come back without its data), freeze and thaw; anything else is a command of Consul's own.
func consulVerb(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, false, len(args) >= 1, "consul start [FILE]|restart|kill|lose|freeze|thaw|COMMAND...")
	m := remembered(ts)
	if args[0] == "start" {
		o := consultest.Options{Durable: true}
		if len(args) == 2 {
			o.Config = ts.ReadFile(args[1])
		}
		server, err := consultest.New(o)
		ts.Check(err)
		ts.Defer(server.Close)
		m.consul = server
		ts.Setenv("CONSUL_HTTP_ADDR", server.HTTP)
		ts.Setenv("CONSUL_SOCKET", "unix://"+server.Socket) // which other network namespaces reach too
		ts.Check(server.Start())
		return
	}
	if m.consul == nil {
		ts.Fatalf("consul %s: it was not started", args[0])
	}
	switch args[0] {
	case "restart":
		ts.Check(m.consul.Start())
	case "lose":
		ts.Check(m.consul.Lose())
	case "kill":
		m.consul.Kill()
	case "freeze":
		m.consul.Freeze()
		ts.Setenv(silenceEnv, asUsual)
	case "thaw":
		m.consul.Thaw()
		ts.Setenv(silenceEnv, patiently)
	default:
		binary, err := consultest.Binary()
		ts.Check(err)
		if err := ts.Exec(binary, args...); (err != nil) != neg {
			ts.Fatalf("consul %s: %v", strings.Join(args, " "), err)
		}
	}
}

// dnsPort is where a Consul answers that was started with `ports { dns = 8600 }`.
const dnsPort = "8600"

func resolves(ts *testscript.TestScript, neg bool, args []string) {
	m := remembered(ts)
	usage(ts, neg, len(args) >= 1 && m.consul != nil, "resolves NAME [ADDRESS...], after consul start")
	r := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", net.JoinHostPort(m.consul.IP, dnsPort))
	}}
	want := slices.Sorted(slices.Values(args[1:]))
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		got, err := r.LookupHost(context.Background(), args[0]+".")
		slices.Sort(got)
		var answered *net.DNSError
		if slices.Equal(got, want) && (err == nil || errors.As(err, &answered) && answered.IsNotFound) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("Consul's DNS says that %s is at %v, and it has to be at %v (%v)", args[0], got, want, err)
		}
	}
}

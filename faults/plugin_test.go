package faults

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cnmctl/cnmctl/cli"
	"github.com/cnmctl/cnmctl/e2e/apart"
	"github.com/cnmctl/cnmctl/examples/remote/veth"
	"github.com/cnmctl/cnmctl/plugin"
	"github.com/docker/go-plugins-helpers/ipam"
	"github.com/docker/go-plugins-helpers/network"
)

// plugged has a network of a plugin that spans hosts, with addresses of another plugin, so
// that every call of the protocol is made.
const plugged = `
cnm { stack = "plugged" }
host "h" { vtep = "192.0.2.1" }
network "lan" {
  driver = "remote"
  remote {
    plugin  = "veth"
    scope   = "global"
    timeout = 60
  }
  ipam {
    driver  = "count"
    timeout = 60
  }
  subnet {
    cidr     = "10.66.0.0/24"
    reserved = { printer = "10.66.0.9" }
  }
}
sandbox "all" {
  for_each = toset(["web"])
  host     = "h"
}
endpoint "all" {
  for_each = sandbox.all
  network  = network.lan
  sandbox  = each.value
}
`

// outlet is where the plugins are reached: what is asked goes by here, and comes to harm.
type outlet struct {
	driver *veth.Driver
	ipam   *veth.IPAM
	// replays: the IPAM plugin says that it forgets, which docker's helpers know no way to say.
	replays bool

	mu    sync.Mutex
	calls []string
	// at is the number of the call that harm is done to, by harm; -1: none.
	at   int
	harm func(w http.ResponseWriter, r *http.Request, ask func() *http.Response)
}

// plugIn starts the plugins, each behind an outlet at the socket where it is looked for.
func plugIn(t *testing.T) *outlet {
	t.Helper()
	// An address that the kernel gives a bridge comes some time after the bridge has a port.
	run(t, "sysctl -qw net.ipv6.conf.default.disable_ipv6=1")
	o := &outlet{driver: veth.New(network.GlobalScope), ipam: veth.NewIPAM(), at: -1}
	o.ipam.NeedsMAC = true
	for name, serve := range map[string]func(net.Listener) error{
		"veth": network.NewHandler(o.driver).Serve, "count": ipam.NewHandler(o.ipam).Serve,
	} {
		hidden := filepath.Join("/run/hidden", name)
		go func() { _ = serve(listen(t, hidden)) }()
		to := &httputil.ReverseProxy{
			Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: "plugin"}) },
			Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				var d net.Dialer
				return d.DialContext(ctx, "unix", hidden)
			}},
		}
		at := listen(t, filepath.Join(plugin.Docker.Sockets, name+".sock"))
		go func() { _ = http.Serve(at, o.through(name, to)) }()
	}
	return o
}

func listen(t *testing.T, path string) net.Listener {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Error(err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Error(err)
	}
	return l
}

func (o *outlet) through(name string, to http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.mu.Lock()
		n := len(o.calls)
		o.calls = append(o.calls, name+" "+strings.TrimPrefix(r.URL.Path, "/"))
		harm := o.harm
		if n != o.at {
			harm = nil
		}
		o.mu.Unlock()
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		if o.replays && r.URL.Path == "/IpamDriver.GetCapabilities" {
			fmt.Fprint(w, `{"RequiresMACAddress": true, "RequiresRequestReplay": true}`)
			return
		}
		if harm == nil {
			to.ServeHTTP(w, r)
			return
		}
		harm(w, r, func() *http.Response {
			answer := &record{header: http.Header{}, status: http.StatusOK}
			to.ServeHTTP(answer, r.WithContext(context.WithoutCancel(r.Context())))
			return &http.Response{StatusCode: answer.status, Body: io.NopCloser(&answer.body)}
		})
	})
}

// record is an answer that is not sent.
type record struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *record) Header() http.Header         { return r.header }
func (r *record) WriteHeader(status int)      { r.status = status }
func (r *record) Write(b []byte) (int, error) { return r.body.Write(b) }

// do has harm done to call n of what comes, and lists the calls.
func (o *outlet) do(n int, harm func(http.ResponseWriter, *http.Request, func() *http.Response)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.calls, o.at, o.harm = nil, n, harm
}

func (o *outlet) seen() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.calls)
}

// holdsNothing fails if a plugin still holds something.
func (o *outlet) holdsNothing(t *testing.T) {
	t.Helper()
	if left := append(o.driver.Left(), o.ipam.Left()...); len(left) > 0 {
		t.Errorf("the plugins hold %q", left)
	}
}

// run runs commands of witnesses.
func run(t *testing.T, commands ...string) {
	t.Helper()
	for _, c := range commands {
		words := strings.Fields(c)
		if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", c, err, out)
		}
	}
}

// words is text without the line breaks of its wrapping.
func words(text string) string { return strings.Join(strings.Fields(text), " ") }

// TestPluginLies: answers that cannot be used are refused, and what was done is undone.
func TestPluginLies(t *testing.T) {
	t.Parallel()
	apart.Test(t, func(t *testing.T) {
		o, create := plugIn(t), pluggedStages(t, plugged)[0]
		before := machine(t)
		o.do(-1, nil)
		must(t, 0, create.run...)
		calls := o.seen()
		must(t, 0, create.back...)
		for _, lie := range []struct{ call, answer, want string }{
			{"count IpamDriver.RequestPool", `{"PoolID": "", "Pool": "10.66.0.0/24"}`, "without an ID"},
			{"count IpamDriver.RequestPool", `{"PoolID": "x", "Pool": "10.67.0.0/24"}`, "but was asked for 10.66.0.0/24"},
			{"count IpamDriver.RequestPool", `{"PoolID": "x", "Pool": "fd00::/64"}`, "wrong family"},
			{"count IpamDriver.RequestPool", `{"PoolID": "x", "Pool": "10.66"}`, `the pool "10.66"`},
			{"count IpamDriver.RequestAddress", `{"Address": "10.99.0.1/24"}`, "not in its pool"},
			{"count IpamDriver.RequestAddress", `{"Address": "?"}`, "which is none"},
			{"veth NetworkDriver.GetCapabilities", `{"Scope": "galactic"}`, "neither"},
			{"veth NetworkDriver.GetCapabilities", `{"Scope": "local"}`, `write scope = "local"`},
			{"veth NetworkDriver.CreateEndpoint", `{"Interface": {"Address": "10.66.0.77/24"}}`, "which it may not"},
			{"veth NetworkDriver.CreateEndpoint", `{"Interface": {"MacAddress": "02:00:00:00:00:01"}}`, "which it may not"},
			{"veth NetworkDriver.CreateEndpoint", `{"Interface": {"AddressIPv6": "10.1.1.1/8"}}`, "no interface can have it"},
			{"veth NetworkDriver.Join", `{"InterfaceName": {"SrcName": "nowhere0", "DstPrefix": "veth"}}`, "not there"},
			{"veth NetworkDriver.Join", `{"InterfaceName": {"SrcName": "lo", "DstPrefix": "veth"}}`, "means something else"},
			{"veth NetworkDriver.Join", `{}`, "it is empty"},
			{"veth NetworkDriver.Join", `{"InterfaceName": {"SrcName": "uplink"}}`, "it is the host's own"},
			{"veth NetworkDriver.Join", `{"InterfaceName": {"SrcName": "spare"}, "Gateway": "fd00::1"}`, "no address of the family"},
			{"veth NetworkDriver.Join", `{"InterfaceName": {"SrcName": "spare"}, "StaticRoutes": [{"Destination": "x"}]}`, `a route to "x"`},
			{"veth NetworkDriver.Join", `{"InterfaceName": {"SrcName": "spare"}, "StaticRoutes": [{"Destination": "10.0.0.0/8", "RouteType": 7}]}`, "of type 7"},
			{"veth NetworkDriver.Join", `{"InterfaceName": {"SrcName": "spare", "DstPrefix": "a/b"}}`, "holds what no name should"},
		} {
			t.Run(lie.call+" "+lie.want, func(t *testing.T) {
				isLike(t, before)
				run(t, "ip link add uplink type bridge", "ip address add 198.51.100.1/24 dev uplink", "ip link add spare type bridge")
				o.do(slices.Index(calls, lie.call), func(w http.ResponseWriter, _ *http.Request, ask func() *http.Response) {
					if !strings.Contains(lie.call, "Ipam") {
						ask()
					}
					fmt.Fprint(w, lie.answer)
				})
				code, out := cnmctl(cli.Env{}, create.run...)
				if code != 1 || !strings.Contains(words(out), lie.want) || !strings.Contains(out, "veth") && !strings.Contains(out, "count") {
					t.Errorf("exit code %d, want %q\n%s", code, lie.want, out)
				}
				run(t, "ip link del uplink", "ip link del spare")
				o.holdsNothing(t)
			})
		}
		isLike(t, before)
	})
}

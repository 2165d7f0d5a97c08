package consul_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/cnmctl/cnmctl/state"
	"github.com/cnmctl/cnmctl/state/consul/consultest"
)

// meter counts what goes to a Consul and comes back.
type meter struct {
	*httptest.Server
	requests, bytes atomic.Int64
}

func metered(t testing.TB, server *consultest.Server) *meter {
	t.Helper()
	behind, err := url.Parse("http://" + server.HTTP)
	if err != nil {
		t.Fatal(err)
	}
	m, forward := &meter{}, httputil.NewSingleHostReverseProxy(behind)
	m.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.requests.Add(1)
		forward.ServeHTTP(counted{w, &m.bytes}, r)
	}))
	t.Cleanup(m.Close)
	return m
}

type counted struct {
	http.ResponseWriter
	bytes *atomic.Int64
}

func (c counted) Write(p []byte) (int, error) {
	c.bytes.Add(int64(len(p)))
	return c.ResponseWriter.Write(p)
}

// spent is what was counted since it was asked last.
func (m *meter) spent() (requests, bytes int64) { return m.requests.Swap(0), m.bytes.Swap(0) }

// cluster is a stack of some hosts, each with a sandbox on its own overlay network, on one
// that all share, and on a bridge.
type cluster struct{ objects []state.Object }

func overlay(name string) state.Network {
	return state.Network{Mark: mark("network." + name), Name: name, Driver: "overlay", VNIs: []uint32{256}}
}

func (c *cluster) host(name string, networks ...string) {
	c.objects = append(c.objects,
		state.HostRecord{Mark: mark("host." + name), Name: name},
		state.Sandbox{Mark: mark("sandbox." + name), Name: name, Host: name, Netns: "shop-" + name})
	for _, n := range networks {
		c.objects = append(c.objects, on(n, name, name))
	}
}

// on is an endpoint of the network in the host's sandbox; without a host it is nowhere.
func on(network, endpoint, host string) state.Endpoint {
	e := state.Endpoint{Mark: mark("endpoint." + network + "-" + endpoint), Name: endpoint, Network: state.Address("network." + network),
		MAC: state.MAC{2, 1}, IPv4: netip.MustParsePrefix("10.1.0.2/16"), Options: state.Options{}}
	if host != "" {
		e.Sandbox, e.Host = state.Address("sandbox."+host), host
	}
	return e
}

func isOverlay(driver string) bool { return driver == "overlay" }

// names lists what is in a world.
func names(w state.World) (all []string) {
	for k := range maps.Keys(w) {
		all = append(all, k.Name)
	}
	return slices.Sorted(slices.Values(all))
}

func TestFollowReadsAHostsShare(t *testing.T) {
	server := consultest.Start(t, consultest.Options{})
	writer := open(t, server.HTTP)
	bridge := overlay("local")
	bridge.Driver = "bridge"
	c := &cluster{objects: []state.Object{overlay("all"), overlay("left"), overlay("right"), bridge, claim("endpoint.all-a", 2)}}
	c.host("a", "all", "left", "local")
	c.host("b", "all", "right", "local")
	c.host("c")
	mustApply(t, writer, creates(c.objects...))

	followers := map[string]state.Follower{}
	for _, host := range []string{"a", "b", "c"} {
		followers[host] = open(t, server.HTTP).Follow(host, isOverlay)
	}
	all := state.World{}
	all.Add(c.objects...)
	hosts := []string{"host.a", "host.b", "host.c"}
	want := map[string][]string{
		"a": append([]string{"network.all", "network.left", "network.local", "sandbox.a", "endpoint.all-a", "endpoint.all-b", "endpoint.left-a", "endpoint.local-a"}, hosts...),
		"b": append([]string{"network.all", "network.right", "network.local", "sandbox.b", "endpoint.all-a", "endpoint.all-b", "endpoint.right-b", "endpoint.local-b"}, hosts...),
		"c": append([]string{"sandbox.c"}, hosts...),
	}
	check := func(step string) {
		t.Helper()
		now, err := writer.Latest(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for host, f := range followers {
			f.Hear(now)
			share, err := f.Read(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got := names(share.World); !slices.Equal(got, slices.Sorted(slices.Values(want[host]))) {
				t.Errorf("%s: %s has %v,\nwant %v", step, host, got, slices.Sorted(slices.Values(want[host])))
			}
			if share.Revision != now.Revision || !share.Alive {
				t.Errorf("%s: %s is at revision %+v (%v), want %+v", step, host, share.Revision, share.Alive, now.Revision)
			}
		}
	}
	without := func(host string, names ...string) {
		want[host] = slices.DeleteFunc(want[host], func(n string) bool { return slices.Contains(names, n) })
	}
	check("at first")

	mustApply(t, writer, creates(on("right", "new", "")))
	want["b"] = append(want["b"], "endpoint.right-new")
	check("published")

	mustApply(t, writer, []state.Op{{Action: state.Update, Key: on("right", "new", "").Key(), Before: on("right", "new", ""), After: on("right", "new", "c")}})
	want["c"] = append(want["c"], "network.right", "endpoint.right-b", "endpoint.right-new")
	check("attached")

	mustApply(t, writer, []state.Op{{Action: state.Update, Key: on("right", "new", "").Key(), Before: on("right", "new", "c"), After: on("right", "new", "a")}})
	without("c", "network.right", "endpoint.right-b", "endpoint.right-new")
	want["a"] = append(want["a"], "network.right", "endpoint.right-b", "endpoint.right-new")
	check("moved")

	mustApply(t, writer, deletes(on("all", "b", "b"), on("local", "b", "b")))
	without("a", "endpoint.all-b")
	without("b", "network.all", "network.local", "endpoint.all-a", "endpoint.all-b", "endpoint.local-b")
	check("detached")

	// More than a revision tells of by key, in several transactions.
	var many []state.Object
	for i := range 300 {
		e := on("left", fmt.Sprint("m", i), "")
		many, want["a"] = append(many, e), append(want["a"], string(e.Mark.Address))
	}
	mustApply(t, writer, creates(many...))
	check("many")
	for range 30 { // more revisions than it tells of
		mustApply(t, writer, deletes(many[0]))
		mustApply(t, writer, creates(many[0]))
	}
	check("long ago")
	mustApply(t, writer, deletes(many...))
	without("a", names(func() state.World { w := state.World{}; w.Add(many...); return w }())...)
	check("few")

	// Everything, in an order that leaves the hosts.
	all, err := writer.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var rest []state.Object
	for _, o := range all {
		if _, host := o.(state.HostRecord); !host {
			rest = append(rest, o)
		}
	}
	mustApply(t, writer, deletes(rest...))
	for host, f := range followers {
		if now, err := writer.Latest(t.Context()); err != nil || !f.Hear(now) && host != "c" {
			t.Errorf("%s did not hear of the end (%v)", host, err)
		}
		if share, err := f.Read(t.Context()); err != nil || share.Alive || !slices.Equal(names(share.World), hosts) {
			t.Errorf("after the end %s has %v (%v), %v", host, names(share.World), share.Alive, err)
		}
	}
	pairs, _, err := client(t, server, "").KV().Keys("cnm/shop/attached/", "", nil)
	if err != nil || len(pairs) > 0 {
		t.Errorf("left behind: %v, %v", pairs, err)
	}
}

// What an agent reads grows with what has changed for it, not with the stack.
func TestFollowReadsOnlyWhatHasChanged(t *testing.T) {
	server := consultest.Start(t, consultest.Options{})
	writer := open(t, server.HTTP)
	m := metered(t, server)
	store := open(t, m.URL)
	if share, err := store.Follow("a", isOverlay).Read(t.Context()); err != nil || share.Alive || len(share.World) > 0 {
		t.Errorf("of nothing it reads %+v, %v", share, err)
	}
	if requests, _ := m.spent(); requests > 2 {
		t.Errorf("to read nothing costs %d requests", requests)
	}
	c := &cluster{objects: []state.Object{overlay("mine"), overlay("others")}}
	c.host("a", "mine")
	c.host("b", "others")
	for i := range 1000 {
		c.objects = append(c.objects, on("mine", fmt.Sprint("m", i), "a"), on("others", fmt.Sprint("o", i), "b"))
	}
	mustApply(t, writer, creates(c.objects...))
	f := store.Follow("a", isOverlay)
	known := state.Revision{}
	cost := func(what string, mostRequests, mostBytes int64) {
		t.Helper()
		news, err := store.Await(t.Context(), known)
		if err != nil {
			t.Fatal(err)
		}
		known = news.Revision
		if f.Hear(news) {
			if _, err := f.Read(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		requests, bytes := m.spent()
		t.Logf("%s: %d requests, %d bytes", what, requests, bytes)
		if requests > mostRequests || bytes > mostBytes {
			t.Errorf("%s costs %d requests and %d bytes, more than %d and %d", what, requests, bytes, mostRequests, mostBytes)
		}
	}
	cost("the first time", 12, 1<<20)

	mustApply(t, writer, creates(on("others", "new", "b")))
	cost("an endpoint of another network", 1, 1000)
	mustApply(t, writer, creates(claim("endpoint.others-new", 9)))
	cost("a claim", 1, 1000)
	mustApply(t, writer, creates(on("mine", "new", "")))
	cost("an endpoint of the host's network", 2, 3000)
	mustApply(t, writer, deletes(on("mine", "new", "")))
	cost("its end", 2, 3000)
	var many []state.Object
	for i := range 500 {
		many = append(many, on("others", fmt.Sprint("more", i), "b"))
	}
	mustApply(t, writer, creates(many...))
	cost("five hundred endpoints of another network", 3, 4000)
}

// A change that was cut in the middle, and then given up, is told of with the next one.
func TestFollowHearsOfAChangeCutInHalf(t *testing.T) {
	server := consultest.Start(t, consultest.Options{})
	writes, most := 0, 3
	p := before(t, server, func(r *http.Request) fault {
		if isWrite(r) {
			if writes++; writes > most {
				return cutBefore
			}
		}
		return none
	})
	writer := open(t, server.HTTP)
	f := writer.Follow("a", isOverlay)
	c := &cluster{objects: []state.Object{overlay("all")}}
	c.host("a", "all")
	mustApply(t, writer, creates(c.objects...))
	if _, err := f.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	begun, err := writer.Latest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var many []state.Object
	for i := range 1000 {
		many = append(many, on("all", fmt.Sprint("m", i), ""))
	}
	if done, _, err := apply(t.Context(), open(t, p.URL), creates(many...)); err == nil || done == 0 {
		t.Fatalf("%d done, %v", done, err)
	}
	if now, err := writer.Latest(t.Context()); err != nil || now.Revision != begun.Revision {
		t.Errorf("half a change is revision %+v, %v", now, err)
	}
	started := writer.Follow("b", isOverlay) // none of what was written concerns it
	if share, err := started.Read(t.Context()); err != nil || !share.Alive || !share.Partial {
		t.Errorf("who starts in the middle reads %+v, %v", share, err)
	}
	mustApply(t, writer, creates(network("else")))
	if share, err := started.Read(t.Context()); err != nil || share.Partial {
		t.Errorf("after the end it reads %+v, %v", share, err)
	}
	news, err := writer.Await(t.Context(), begun.Revision)
	if err != nil || !f.Hear(news) {
		t.Fatalf("nothing was heard of half a change: %+v, %v", news, err)
	}
	share, err := f.Read(t.Context())
	if n := size(t, writer) - 1; err != nil || len(share.World) != n {
		t.Errorf("%d records were read, want %d, %v", len(share.World), n, err)
	}
}

package plugin_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cnmctl/cnmctl/examples/remote/veth"
	"github.com/cnmctl/cnmctl/plugin"
	"github.com/docker/go-plugins-helpers/ipam"
	"github.com/docker/go-plugins-helpers/network"
)

// finder looks into directories of the test's own.
func finder(t *testing.T) plugin.Finder {
	t.Helper()
	dir, err := os.MkdirTemp("", "p") // a socket's path has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return plugin.Finder{Sockets: filepath.Join(dir, "run"), Specs: []string{filepath.Join(dir, "etc"), filepath.Join(dir, "usr")}}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func listen(t *testing.T, path string) net.Listener {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func TestFind(t *testing.T) {
	f := finder(t)
	listen(t, f.Sockets+"/one.sock")
	listen(t, f.Sockets+"/two/two.sock")
	write(t, f.Specs[0]+"/one.spec", "tcp://127.0.0.1:1")
	write(t, f.Specs[0]+"/three.spec", " unix:///run/three.sock\n")
	write(t, f.Specs[1]+"/four/four.spec", "tcp://127.0.0.1:44")
	write(t, f.Specs[1]+"/five.json", `{"Name":"five","Addr":"https://127.0.0.1:55","TLSConfig":{"CAFile":"/ca","CertFile":"/cert","KeyFile":"/key"}}`)
	write(t, f.Specs[0]+"/six/six.json", `{"Addr":"tcp://127.0.0.1:66","TLSConfig":{}}`)
	write(t, f.Sockets+"/seven.sock", "no socket")
	for name, want := range map[string]string{
		"one": "unix://" + f.Sockets + "/one.sock", "two": "unix://" + f.Sockets + "/two/two.sock",
		"three": "unix:///run/three.sock", "four": "tcp://127.0.0.1:44", "five": "https://127.0.0.1:55", "six": "tcp://127.0.0.1:66",
	} {
		a, err := f.Find(name)
		if err != nil || a.URL.String() != want {
			t.Errorf("%s is at %v, %v; want %s", name, a.URL, err, want)
		}
		if name == "five" && (a.TLS == nil || a.TLS.CAFile != "/ca" || a.TLS.InsecureSkipVerify) {
			t.Errorf("TLS of five: %+v", a.TLS)
		}
		if name == "six" && (a.TLS == nil || !a.TLS.InsecureSkipVerify) {
			t.Errorf("TLS of six: %+v", a.TLS)
		}
	}
	for _, name := range []string{"none", "seven"} {
		var missing *plugin.NotFoundError
		if _, err := f.Find(name); !errors.As(err, &missing) || !strings.Contains(err.Error(), f.Sockets+"/"+name+".sock") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"", ".", "../one", "a/b"} {
		if _, err := f.Find(name); err == nil || !strings.Contains(err.Error(), "name") {
			t.Errorf("%q: %v", name, err)
		}
	}
	for ext, texts := range map[string][]string{
		".spec": {"", "what", "ftp://x:1", "tcp://nowhere", "unix://host/x"}, ".json": {"{", `{"Addr":""}`},
	} {
		for _, text := range texts {
			write(t, f.Specs[0]+"/bad"+ext, text)
			if _, err := f.Find("bad"); err == nil || !strings.Contains(err.Error(), "bad"+ext) {
				t.Errorf("%s %q: %v", ext, text, err)
			}
		}
		os.Remove(f.Specs[0] + "/bad" + ext)
	}
}

// calls makes every call of the protocol once.
func calls(ctx context.Context, net, ip *plugin.Client) error {
	pool, err := ip.RequestPool(ctx, plugin.PoolRequest{AddressSpace: "here"})
	if err != nil {
		return err
	}
	local, global, err := ip.AddressSpaces(ctx)
	if err != nil || local != "here" || global != "everywhere" {
		return fmt.Errorf("spaces %q and %q, %w", local, global, err)
	}
	if needs, err := ip.IPAMCapabilities(ctx); err != nil || !needs.RequiresMACAddress {
		return fmt.Errorf("capabilities %+v, %w", needs, err)
	}
	address, err := ip.RequestAddress(ctx, pool.PoolID, "", map[string]string{plugin.RequestType: plugin.GatewayLabel})
	if err != nil || address.Address != "10.77.0.1/24" {
		return fmt.Errorf("address %q, %w", address.Address, err)
	}
	if err := ip.ReleaseAddress(ctx, pool.PoolID, "10.77.0.1"); err != nil {
		return err
	}
	if err := ip.ReleasePool(ctx, pool.PoolID); err != nil {
		return err
	}
	if err := ip.ReleasePool(ctx, pool.PoolID); !plugin.Gone(err) || !plugin.Refused(err) {
		return fmt.Errorf("a pool that is gone: %w", err)
	}
	if scope, _, err := net.Capabilities(ctx); err != nil || scope != plugin.Global {
		return fmt.Errorf("scope %q, %w", scope, err)
	}
	const id = "0123456789abcdef"
	options, err := net.AllocateNetwork(ctx, id, map[string]string{"a": "b"}, nil, nil)
	if err != nil || options["tag"] == "" {
		return fmt.Errorf("allocated %v, %w", options, err)
	}
	node := plugin.Node{Address: "10.0.0.1", Self: true}
	for _, call := range []func() error{
		func() error { return net.FreeNetwork(ctx, id) },
		func() error { return net.DiscoverNew(ctx, node) },
		func() error { return net.DiscoverDelete(ctx, node) },
	} {
		if err := call(); err != nil {
			return err
		}
	}
	for what, err := range map[string]error{
		"join":   second(net.Join(ctx, id, id, "/run/netns/x", nil)),
		"create": second(net.CreateEndpoint(ctx, id, id, plugin.Interface{}, nil)),
		"info":   second(net.EndpointOperInfo(ctx, id, id)),
		"leave":  net.Leave(ctx, id, id), "delete": net.DeleteEndpoint(ctx, id, id), "network": net.DeleteNetwork(ctx, id),
		"program": net.ProgramExternalConnectivity(ctx, id, id, nil), "revoke": net.RevokeExternalConnectivity(ctx, id, id),
	} {
		if !plugin.Gone(err) || !strings.Contains(err.Error(), `plugin "net"`) {
			return fmt.Errorf("%s of a network that is not there: %w", what, err)
		}
	}
	return nil
}

func second[T any](_ T, err error) error { return err }

func TestEveryCallOverASocket(t *testing.T) {
	f := finder(t)
	addresses := veth.NewIPAM()
	addresses.NeedsMAC = true
	go func() { _ = network.NewHandler(veth.New(network.GlobalScope)).Serve(listen(t, f.Sockets+"/net.sock")) }()
	go func() { _ = ipam.NewHandler(addresses).Serve(listen(t, f.Sockets+"/ip/ip.sock")) }()
	if err := calls(t.Context(), open(t, f, "net", 0), open(t, f, "ip", 0)); err != nil {
		t.Fatal(err)
	}
	if err := open(t, f, "net", 0).Activate(t.Context(), plugin.IpamDriver); err == nil || !strings.Contains(err.Error(), "NetworkDriver") {
		t.Errorf("a network plugin as IPAM plugin: %v", err)
	}
}

func open(t *testing.T, f plugin.Finder, name string, timeout time.Duration) *plugin.Client {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		c, err := f.Open(name, timeout)
		if err == nil {
			t.Cleanup(func() { c.Close() })
			return c
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func TestTLS(t *testing.T) {
	f := finder(t)
	dir := filepath.Dir(f.Sockets)
	ca, caKey := authority(t, dir)
	certify(t, dir+"/server", ca, caKey)
	certify(t, dir+"/client", ca, caKey)
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	pair, err := tls.LoadX509KeyPair(dir+"/server.pem", dir+"/server.key")
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: roots})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() { _ = network.NewHandler(veth.New(network.GlobalScope)).Serve(l) }()
	specify := func(name, scheme string, with plugin.TLS) {
		text, err := json.Marshal(map[string]any{"Name": name, "Addr": scheme + "://" + l.Addr().String(), "TLSConfig": with})
		if err != nil {
			t.Fatal(err)
		}
		write(t, f.Specs[0]+"/"+name+".json", string(text))
	}
	specify("good", "https", plugin.TLS{CAFile: dir + "/ca.pem", CertFile: dir + "/client.pem", KeyFile: dir + "/client.key"})
	specify("tcp", "tcp", plugin.TLS{CertFile: dir + "/client.pem", KeyFile: dir + "/client.key"})
	for _, name := range []string{"good", "tcp"} {
		if scope, _, err := open(t, f, name, 0).Capabilities(t.Context()); err != nil || scope != plugin.Global {
			t.Errorf("%s: scope %q, %v", name, scope, err)
		}
	}
	other := t.TempDir()
	authority(t, other)
	specify("stranger", "https", plugin.TLS{CAFile: other + "/ca.pem", CertFile: dir + "/client.pem", KeyFile: dir + "/client.key"})
	specify("nobody", "https", plugin.TLS{CAFile: dir + "/ca.pem"})
	for _, name := range []string{"stranger", "nobody"} {
		if _, _, err := open(t, f, name, 4*time.Second).Capabilities(t.Context()); err == nil || !strings.Contains(err.Error(), "certificate") {
			t.Errorf("%s: %v", name, err)
		}
	}
	specify("missing", "https", plugin.TLS{CAFile: dir + "/none.pem"})
	specify("empty", "https", plugin.TLS{CAFile: dir + "/client.key"})
	specify("half", "https", plugin.TLS{CertFile: dir + "/client.pem"})
	for _, name := range []string{"missing", "empty", "half"} {
		if _, err := f.Open(name, 0); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// authority makes a certificate authority, ca.pem in the directory.
func authority(t *testing.T, dir string) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir+"/ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	if ca, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return ca, key
}

// certify makes a certificate for 127.0.0.1 and its key.
func certify(t *testing.T, path string, ca *x509.Certificate, caKey *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "leaf"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, ca, &key.PublicKey, caKey)
	if err != nil {
		t.Fatal(err)
	}
	text, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path+".pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	write(t, path+".key", string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: text})))
}

// TestBadAnswers: each is an error that names the plugin and the call.
func TestBadAnswers(t *testing.T) {
	f := finder(t)
	said := make(chan func(http.ResponseWriter), 1)
	mux := http.NewServeMux()
	mux.HandleFunc("/Plugin.Activate", func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Accept"); got != "application/vnd.docker.plugins.v1.2+json" || r.Method != http.MethodPost {
			t.Errorf("%s, Accept: %s", r.Method, got)
		}
		fmt.Fprint(w, `{"Implements": ["NetworkDriver"]}`)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		(<-said)(w)
	})
	go func() { _ = http.Serve(listen(t, f.Sockets+"/bad.sock"), mux) }()
	text := func(status int, text string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			w.WriteHeader(status)
			fmt.Fprint(w, text)
		}
	}
	for name, c := range map[string]struct {
		answer  func(http.ResponseWriter)
		want    string
		refused bool
	}{
		"Err":      {text(200, `{"Err": "no room"}`), "no room", true},
		"Error":    {text(200, `{"Error": "no room"}`), "no room", true},
		"500 JSON": {text(500, `{"Err": "broken"}`), "broken", true},
		"500":      {text(500, "oh\nno"), `HTTP status 500: "oh no"`, true},
		"404":      {text(404, "404 page not found"), "HTTP status 404", true},
		"redirect": {text(302, ""), "HTTP status 302", true},
		"garbage":  {text(200, "<html>"+strings.Repeat("x", 500)), "not what the protocol says", false},
		"empty":    {text(200, ""), "not what the protocol says", false},
		"types":    {text(200, `{"InterfaceName": 7}`), "not what the protocol says", false},
		"endless":  {text(200, `{"a": "`+strings.Repeat("x", 2<<20)), "longer than", false},
		"dies":     {func(w http.ResponseWriter) { panic(http.ErrAbortHandler) }, "EOF", false},
		"breaks": {func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, `{"a":`)
		}, "broke off", false},
		"hangs": {func(http.ResponseWriter) { time.Sleep(20 * time.Second) }, "no answer within 1s", false},
	} {
		patience := time.Minute
		if name == "hangs" {
			patience = time.Second
		}
		client := open(t, f, "bad", patience)
		said <- c.answer
		_, err := client.Join(t.Context(), "n", "e", "/run/netns/x", nil)
		var e *plugin.Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), `plugin "bad", NetworkDriver.Join: `) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
			continue
		}
		if e.Refused != c.refused || !e.Sent && !c.refused || len(err.Error()) > 400 {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

// TestRetries: a plugin that does not listen yet is waited for; a call that may have been
// made is not made again, unless it only asks.
func TestRetries(t *testing.T) {
	f := finder(t)
	path := f.Sockets + "/late.sock"
	l := listen(t, path)
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close() // the socket stays and refuses
	client := open(t, f, "late", time.Minute)
	done := make(chan error, 1)
	go func() {
		_, _, err := client.Capabilities(t.Context())
		done <- err
	}()
	time.Sleep(100 * time.Millisecond)
	os.Remove(path)
	count := map[string]int{}
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		count[r.URL.Path]++
		if r.URL.Path != "/Plugin.Activate" && count[r.URL.Path] == 1 {
			panic(http.ErrAbortHandler)
		}
		fmt.Fprint(w, `{"Implements": ["NetworkDriver"], "Scope": "local"}`)
	})
	go func() { _ = http.Serve(listen(t, path), mux) }()
	if err := <-done; err != nil {
		t.Errorf("a plugin that begins to listen late: %v", err)
	}
	if err := client.DeleteNetwork(t.Context(), "n"); err == nil {
		t.Error("a call that may have been made was made again")
	}
	if err := client.DiscoverNew(t.Context(), plugin.Node{}); err != nil {
		t.Errorf("a call that tells what is known was not made again: %v", err)
	}
	if got := fmt.Sprint(count); got != "map[/NetworkDriver.DeleteNetwork:1 /NetworkDriver.DiscoverNew:2 /NetworkDriver.GetCapabilities:2 /Plugin.Activate:1]" {
		t.Error(got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := client.DeleteNetwork(ctx, "n"); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}

// TestAbsent: a plugin that was waited for in vain is asked again, but not waited for again.
func TestAbsent(t *testing.T) {
	f := finder(t)
	path := f.Sockets + "/dead.sock"
	l := listen(t, path)
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	client := open(t, f, "dead", time.Second)
	if err := client.DeleteNetwork(t.Context(), "n"); err == nil {
		t.Fatal("nobody listens, and all is well")
	}
	client.Timeout = time.Hour
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := client.DeleteNetwork(ctx, "n"); err == nil || ctx.Err() != nil {
		t.Errorf("the second time it was waited for: %v", err)
	}
	os.Remove(path)
	go func() {
		_ = http.Serve(listen(t, path), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"Implements": ["NetworkDriver"]}`)
		}))
	}()
	for ctx.Err() == nil && client.DeleteNetwork(ctx, "n") != nil {
		time.Sleep(10 * time.Millisecond)
	}
	if ctx.Err() != nil {
		t.Error("it is not asked again")
	}
}

// TestHangs: of a plugin that lets calls go unanswered nothing more is asked for a while.
func TestHangs(t *testing.T) {
	f := finder(t)
	var asked atomic.Int32
	var answers atomic.Bool
	go func() {
		_ = http.Serve(listen(t, f.Sockets+"/hung.sock"), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			if r.URL.Path != "/Plugin.Activate" && !answers.Load() {
				asked.Add(1)
				<-r.Context().Done()
				return
			}
			fmt.Fprint(w, `{"Implements": ["NetworkDriver"]}`)
		}))
	}()
	client := open(t, f, "hung", time.Minute)
	if err := client.Activate(t.Context(), plugin.NetworkDriver); err != nil {
		t.Fatal(err)
	}
	client.Timeout = time.Second
	for range 2 {
		if err := client.DeleteNetwork(t.Context(), "n"); err == nil || !strings.Contains(err.Error(), "no answer within 1s") {
			t.Fatal(err)
		}
	}
	client.Timeout = time.Hour
	for range 100 {
		err := client.DeleteNetwork(t.Context(), "n")
		if !plugin.Unsent(err) || !strings.HasPrefix(err.Error(), `plugin "hung", NetworkDriver.DeleteNetwork: it has not answered the last 2 calls`) {
			t.Fatal(err)
		}
	}
	if n := asked.Load(); n != 2 {
		t.Errorf("it was asked %d times", n)
	}
	answers.Store(true)
	client.Timeout = time.Second
	for deadline := time.Now().Add(time.Minute); client.DeleteNetwork(t.Context(), "n") != nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it is not asked again")
		}
	}
}

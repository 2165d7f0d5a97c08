package consul_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
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
	"testing"
	"time"

	"github.com/cnmctl/cnmctl/state"
	"github.com/cnmctl/cnmctl/state/consul"
	"github.com/cnmctl/cnmctl/state/consul/consultest"
	"github.com/hashicorp/consul/api"
)

const rootToken = "5f8a1f26-8a4b-4a38-9d20-5d5a4c1f0a01"

// guarded is a Consul that lets nobody do anything without a token.
func guarded(t *testing.T) *consultest.Server {
	t.Helper()
	server := consultest.Start(t, consultest.Options{Config: fmt.Sprintf(`acl {
		enabled = true
		default_policy = "deny"
		tokens { initial_management = %q agent = %[1]q }
	}`, rootToken)})
	// A leader makes the first token some time after it was elected.
	c := client(t, server, rootToken)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		_, _, err := c.ACL().TokenReadSelf(nil)
		if err == nil {
			return server
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// token makes a token with the rules.
func token(t *testing.T, c *api.Client, rules string) string {
	t.Helper()
	policy, _, err := c.ACL().PolicyCreate(&api.ACLPolicy{Name: fmt.Sprint("p", time.Now().UnixNano()), Rules: rules}, nil)
	check(t, err)
	made, _, err := c.ACL().TokenCreate(&api.ACLToken{Policies: []*api.ACLTokenPolicyLink{{ID: policy.ID}}}, nil)
	check(t, err)
	return made.SecretID
}

const enough = `key_prefix "cnm/" { policy = "write" }
session_prefix "" { policy = "write" }`

func TestAccessControl(t *testing.T) {
	server := guarded(t)
	c := client(t, server, rootToken)
	with := func(secret string) *consul.Store {
		return open(t, server.HTTP, func(o *consul.Options) { o.Token = secret })
	}
	store := with(token(t, c, enough))
	unlock, err := store.Lock(t.Context(), state.LockInfo{})
	check(t, err)
	mustApply(t, store, creates(network("a"), claim("endpoint.a", 2)))
	check(t, unlock())

	for name, rules := range map[string]string{
		"no rights":          `key_prefix "other/" { policy = "write" }`,
		"may only read":      `key_prefix "cnm/" { policy = "read" }`,
		"may not lock":       `key_prefix "cnm/" { policy = "write" }`,
		"may read a part":    `key_prefix "cnm/shop/network/" { policy = "read" }`,
		"may write a part":   `key_prefix "cnm/" { policy = "read" } key_prefix "cnm/shop/network" { policy = "write" }`,
		"may not see a part": `key_prefix "cnm/" { policy = "write" } key_prefix "cnm/shop/claim/" { policy = "deny" }`,
	} {
		t.Run(name, func(t *testing.T) {
			store := with(token(t, c, rules))
			var denied *consul.DeniedError
			w, err := store.Snapshot(t.Context())
			if err != nil && !errors.As(err, &denied) || err == nil && len(w) != 2 {
				t.Errorf("reading: %v, %v: neither all nor a refusal", w, err)
			}
			_, err = store.Lock(t.Context(), state.LockInfo{})
			if !errors.As(err, &denied) || !strings.Contains(err.Error(), `key_prefix "cnm/" { policy = "write" }`) {
				t.Errorf("locking: %v", err)
			}
			if strings.HasPrefix(rules, `key_prefix "cnm/" { policy = "write" }`) {
				return
			}
			done, _, err := apply(t.Context(), store, creates(network("b"), claim("endpoint.b", 3)))
			if !errors.As(err, &denied) || done != 0 {
				t.Errorf("writing: %d done, %v", done, err)
			}
		})
	}
	t.Run("no token", func(t *testing.T) {
		_, err := with("").Snapshot(t.Context())
		if err == nil || !strings.Contains(err.Error(), "CONSUL_HTTP_TOKEN") {
			t.Errorf("error is %v", err)
		}
	})
	t.Run("unknown token", func(t *testing.T) {
		_, err := with("11111111-2222-3333-4444-555555555555").Snapshot(t.Context())
		if err == nil || !strings.Contains(err.Error(), "does not know the token") {
			t.Errorf("error is %v", err)
		}
	})
	if n := size(t, store); n != 2 {
		t.Errorf("%d are there", n)
	}
}

// Where the token and the address come from: what the options say wins, then Consul's own
// variables.
func TestEnvironment(t *testing.T) {
	server := guarded(t)
	good := token(t, client(t, server, rootToken), enough)
	file := func(text string) string {
		path := filepath.Join(t.TempDir(), "token")
		check(t, os.WriteFile(path, []byte(text+"\n"), 0o600))
		return path
	}
	for name, c := range map[string]struct {
		env  map[string]string
		opts func(*consul.Options)
		ok   bool
	}{
		"the environment's token":           {map[string]string{"CONSUL_HTTP_TOKEN": good}, nil, true},
		"the environment's file":            {map[string]string{"CONSUL_HTTP_TOKEN_FILE": file(good)}, nil, true},
		"a token":                           {nil, func(o *consul.Options) { o.Token = good }, true},
		"a file":                            {nil, func(o *consul.Options) { o.TokenFile = file(good) }, true},
		"a token, not the environment's":    {map[string]string{"CONSUL_HTTP_TOKEN": "bad"}, func(o *consul.Options) { o.Token = good }, true},
		"a token, not the environment file": {map[string]string{"CONSUL_HTTP_TOKEN_FILE": file("bad")}, func(o *consul.Options) { o.Token = good }, true},
		"a file, not the environment's":     {map[string]string{"CONSUL_HTTP_TOKEN": "bad"}, func(o *consul.Options) { o.TokenFile = file(good) }, true},
		"none":                              {nil, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("CONSUL_HTTP_ADDR", server.HTTP)
			for k, v := range c.env {
				t.Setenv(k, v)
			}
			store := open(t, "", func(o *consul.Options) {
				if c.opts != nil {
					c.opts(o)
				}
			})
			if _, err := store.Snapshot(t.Context()); (err == nil) != c.ok {
				t.Errorf("error is %v", err)
			}
		})
	}
	if _, err := consul.Open(consul.Options{Stack: "shop", TokenFile: "/nonexistent"}); err == nil || !strings.Contains(err.Error(), "/nonexistent") {
		t.Errorf("a token file that is not there: %v", err)
	}
	for _, path := range []string{"a//b", "../x", "a b"} {
		if _, err := consul.Open(consul.Options{Stack: "shop", Path: path}); err == nil {
			t.Errorf("the path %q is taken", path)
		}
	}
}

// A namespace goes with every call. This Consul has none, and says so; in a transaction,
// where each operation has one, it keeps quiet.
func TestNamespace(t *testing.T) {
	server := consultest.Start(t, consultest.Options{})
	var bodies []string
	p := before(t, server, func(r *http.Request) fault {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		bodies = append(bodies, string(body))
		return none
	})
	for name, open := range map[string]func(t *testing.T) *consul.Store{
		"an option": func(t *testing.T) *consul.Store {
			return open(t, p.URL, func(o *consul.Options) { o.Namespace = "team" })
		},
		"the environment": func(t *testing.T) *consul.Store {
			t.Setenv("CONSUL_NAMESPACE", "team")
			return open(t, p.URL)
		},
	} {
		t.Run(name, func(t *testing.T) {
			store := open(t)
			_, reading := store.Snapshot(t.Context())
			_, locking := store.Lock(t.Context(), state.LockInfo{})
			for _, err := range []error{reading, locking} {
				if err == nil || !strings.Contains(err.Error(), "amespace") {
					t.Errorf("error is %v", err)
				}
			}
			bodies = nil
			mustApply(t, store, creates(network(name)))
			for _, body := range bodies {
				if n := strings.Count(body, `"Verb":`); n == 0 || strings.Count(body, `"Namespace":"team"`) != n {
					t.Errorf("a transaction without the namespace: %s", body)
				}
			}
		})
	}
}

func TestUnixSocket(t *testing.T) {
	t.Parallel()
	server := consultest.Start(t, consultest.Options{Durable: true})
	store := open(t, "unix://"+server.Socket)
	unlock, err := store.Lock(t.Context(), state.LockInfo{})
	check(t, err)
	mustApply(t, store, creates(network("a")))
	check(t, unlock())
	server.Kill()
	start := time.Now()
	var unreachable *consul.UnreachableError
	if _, err := store.Snapshot(t.Context()); !errors.As(err, &unreachable) || !strings.Contains(err.Error(), server.Socket) {
		t.Errorf("error is %v", err)
	}
	if took := time.Since(start); took > time.Minute {
		t.Errorf("it took %s", took)
	}
}

func TestTLS(t *testing.T) {
	dir := t.TempDir()
	ca := newAuthority(t, dir)
	ca.issue(t, "server", true)
	ca.issue(t, "client", false)
	in := func(name string) string { return filepath.Join(dir, name) }
	server := consultest.Start(t, consultest.Options{Config: fmt.Sprintf(`
		ports { https = 8501 }
		tls { https { ca_file = %q cert_file = %q key_file = %q verify_incoming = true } }`, in("ca.pem"), in("server.pem"), in("server.key"))})
	tls := func(o *consul.Options) {
		o.CAFile, o.CertFile, o.KeyFile = in("ca.pem"), in("client.pem"), in("client.key")
	}
	address := server.IP + ":8501"
	t.Setenv("CONSUL_TLS_SERVER_NAME", "localhost")
	for _, store := range []*consul.Store{
		open(t, "https://"+address, tls),
		open(t, address, tls, func(o *consul.Options) { o.Scheme = "https" }),
	} {
		mustApply(t, store, creates(network("a")))
	}
	for name, change := range map[string]func(*consul.Options){
		"unknown authority": func(o *consul.Options) { o.CAFile = "" },
		"no certificate":    func(o *consul.Options) { o.CertFile, o.KeyFile = "", "" },
	} {
		start := time.Now()
		_, err := open(t, "https://"+address, tls, change).Snapshot(t.Context())
		if err == nil || !strings.Contains(err.Error(), "certificate") || !strings.Contains(err.Error(), "CONSUL_CACERT") {
			t.Errorf("%s: %v", name, err)
		}
		if took := time.Since(start); took > time.Minute {
			t.Errorf("%s: it took %s", name, took)
		}
	}
	if _, err := open(t, address).Snapshot(t.Context()); err == nil {
		t.Error("speaking plainly to a port for TLS went well")
	}
}

// authority signs the certificates of a test.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, dir string) *authority {
	t.Helper()
	a := &authority{dir: dir}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.cert, a.key = template, newKey(t)
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	check(t, err)
	writePEM(t, filepath.Join(dir, "ca.pem"), "CERTIFICATE", der)
	a.cert, err = x509.ParseCertificate(der)
	check(t, err)
	return a
}

// issue writes a certificate and its key: for a server on any loopback address, or a client.
func (a *authority) issue(t *testing.T, name string, server bool) {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if server {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
		template.DNSNames = []string{"localhost"}
		template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	}
	key := newKey(t)
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	check(t, err)
	writePEM(t, filepath.Join(a.dir, name+".pem"), "CERTIFICATE", der)
	der, err = x509.MarshalECPrivateKey(key)
	check(t, err)
	writePEM(t, filepath.Join(a.dir, name+".key"), "EC PRIVATE KEY", der)
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	return key
}

func writePEM(t *testing.T, path, kind string, der []byte) {
	t.Helper()
	check(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
}

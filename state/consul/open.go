package consul

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/consul/api"
)

// DefaultPath is the prefix of all keys when nobody says otherwise.
const DefaultPath = "cnm"

// dialing is how long a connection may take to come about.
const dialing = 3 * time.Second

// Options say which keys of which Consul a store is. What is left empty is as Consul's own
// environment variables say (CONSUL_HTTP_ADDR, CONSUL_HTTP_TOKEN and so on).
type Options struct {
	// Stack is the stack whose claims and records the store keeps.
	Stack string
	// Path is the prefix of all keys; "" is DefaultPath.
	Path string
	// Address is the agent's: "127.0.0.1:8500", "https://consul:8501", "unix:///run/c.sock".
	Address string
	// Scheme is http or https.
	Scheme                string
	Datacenter, Namespace string
	Token, TokenFile      string
	// CAFile, CertFile and KeyFile are for TLS.
	CAFile, CertFile, KeyFile string
	// SessionTTL is for how long a holder of the lock may be silent, Consul taking up to
	// twice that; 0 is fifteen seconds. Consul takes no less than ten if nobody told it to.
	SessionTTL time.Duration
	// Silence is for how long Consul may say nothing while it owes us an answer; 0 is four
	// seconds. Tests on a busy machine are more patient.
	Silence time.Duration
	// Who is noted in the revision as who made the change; "" is this machine's name.
	Who string
}

// Store is a stack's claims and records in Consul. It implements state.RecordStore and
// state.LockWatcher, and may be used by many goroutines.
type Store struct {
	stack, who string
	// node is that of the stack's services in the catalog.
	node string
	// policy is the path that a token needs rights for.
	policy    string
	namespace string
	ttl       time.Duration
	silence   time.Duration
	// takeover is how long one may look after claims that are put back; id is who does, and
	// settling how far it is.
	takeover  time.Duration
	id        string
	settling  settling
	keys      layout
	client    *api.Client
	transport *http.Transport
	link      *link

	mu sync.Mutex
	// held is the lock that this store holds, nil for none.
	held *hold
	// batch is how much Consul takes in one transaction.
	batch limits
	// estranged: Consul could not be asked for changes the last time.
	estranged atomic.Bool
}

var (
	_ state.RecordStore = (*Store)(nil)
	_ state.LockWatcher = (*Store)(nil)
)

// Open is the store with the options. Consul is not spoken to before it has to be.
func Open(o Options) (*Store, error) {
	o.Path = strings.Trim(cmp.Or(o.Path, DefaultPath), "/")
	if err := checkPath(o.Path); err != nil {
		return nil, fmt.Errorf("opening the store in Consul: %w", err)
	}
	if o.Stack == "" {
		return nil, fmt.Errorf("opening the store in Consul: %q cannot be the name of a stack", o.Stack)
	}
	if o.Who == "" {
		o.Who, _ = os.Hostname() // without a name, the revision says nobody's
	}
	cfg := o.config()
	address := cfg.Address
	transport, err := newTransport(cfg)
	if err != nil {
		return nil, fmt.Errorf("opening the store in Consul: %w", err)
	}
	silence := cmp.Or(o.Silence, usualSilence)
	cfg.HttpClient = &http.Client{Transport: impatient{transport, silence}}
	client, err := api.NewClient(cfg)
	if err != nil {
		return nil, fmt.Errorf("opening the store in Consul: %w", err)
	}
	return &Store{
		stack: o.Stack, who: o.Who, node: nodeName(o.Path, o.Stack), policy: o.Path, namespace: cfg.Namespace,
		ttl: cmp.Or(o.SessionTTL, usualTTL), silence: silence, keys: newLayout(o.Path, o.Stack), takeover: takeoverAfter, id: rand.Text(), client: client, transport: transport,
		link: &link{address: address}, batch: mostPerTransaction,
	}, nil
}

// config is the client's configuration: the environment's, with what the options say.
func (o Options) config() *api.Config {
	cfg := api.DefaultConfig()
	for _, set := range []struct {
		field *string
		value string
	}{
		{&cfg.Address, o.Address}, {&cfg.Scheme, o.Scheme},
		{&cfg.Datacenter, o.Datacenter}, {&cfg.Namespace, o.Namespace},
		{&cfg.Token, o.Token}, {&cfg.TokenFile, o.TokenFile},
		{&cfg.TLSConfig.CAFile, o.CAFile},
		{&cfg.TLSConfig.CertFile, o.CertFile}, {&cfg.TLSConfig.KeyFile, o.KeyFile},
	} {
		*set.field = cmp.Or(set.value, *set.field)
	}
	if o.Token != "" && o.TokenFile == "" {
		cfg.TokenFile = "" // the client prefers a file, wherever it was named
	}
	return cfg
}

// newTransport speaks to the configured address. A socket is dialed here, because the
// client would put a transport of its own, without a time limit, in place of ours.
func newTransport(cfg *api.Config) (*http.Transport, error) {
	transport := cfg.Transport
	dialer := &net.Dialer{Timeout: dialing, KeepAlive: 15 * time.Second}
	transport.DialContext = dialer.DialContext
	if socket, ok := strings.CutPrefix(cfg.Address, "unix://"); ok {
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", socket)
		}
		cfg.Address = "localhost"
	}
	tls, err := api.SetupTLSConfig(&cfg.TLSConfig)
	if err != nil {
		return nil, err
	}
	transport.TLSClientConfig = tls
	transport.ForceAttemptHTTP2 = false // it hides why a handshake failed, now and then
	return transport, nil
}

// String is where the stack's keys are, for messages.
func (s *Store) String() string { return s.keys.root + " in Consul at " + s.link.address }

// Close lets go of the connections. A lock is given back by its unlock.
func (s *Store) Close() error {
	s.transport.CloseIdleConnections()
	return nil
}

package consul

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/cnmctl/cnmctl/state"
)

// The first words of a stack's keys. Whatever else is under the stack is not the store's,
// and is left alone.
const (
	revisionKey = "revision"
	keyringKey  = "keyring"
	lockKey     = "lock"
	claimDir    = "claim/"
	networkDir  = "network/"
	endpointDir = "endpoint/"
	sandboxDir  = "sandbox/"
	hostDir     = "host/"
	outputDir   = "output/"
	policyDir   = "policy/"
	statusDir   = "status/"
	aliveDir    = "alive/"
	attachedDir = "attached/"
	ipamDir     = "ipam/"
	poolDir     = ipamDir + "pool/"
	leaseDir    = ipamDir + "lease/"
	allocateDir = ipamDir + "allocation/"
)

// vniDir is where all stacks of a path claim VNIs: one number space for the cluster.
const vniDir = "claim/vni/"

// secretDir is where the secrets of all stacks' keyrings are, so that a token can be kept
// from them. They are no records.
const secretDir = "keys/esp/"

// portDir is where published ports are claimed. What is below it has more parts than the
// address of a network called port.
const portDir = claimDir + "port/"

// anyHost stands for the host of sandboxes that have none.
const anyHost = "-"

// settledKey says of the whole path that hosts had time to put back what they hold.
const settledKey = "settled"

// layout knows where things are: everything of the stack is below root, but for its VNIs,
// which are below vnis with those of all others, and for its secrets. These end in a slash.
type layout struct{ root, vnis, secrets, settled string }

func newLayout(path, stack string) layout {
	return layout{path + "/" + component(stack) + "/", path + "/" + vniDir, path + "/" + secretDir + component(stack) + "/", path + "/" + settledKey}
}

func (l layout) revision() string { return l.root + revisionKey }
func (l layout) lock() string     { return l.root + lockKey }

// secret is where the secret of a generation is.
func (l layout) secret(generation uint32) string {
	return l.secrets + strconv.FormatUint(uint64(generation), 10)
}

// status is where a host says how far it is, alive what its agent holds while it lives.
func (l layout) status(host string) string { return l.root + statusDir + component(host) }
func (l layout) alive(host string) string  { return l.root + aliveDir + component(host) }

// attached is where it says that an endpoint is on its host, "" for one that is nowhere:
//
//	attached/<host>/<network>/<name>
//
// By these keys a host finds its endpoints, which lie with those of their networks.
func (l layout) attached(o state.Object) string {
	e, ok := o.(state.Endpoint)
	if !ok || e.Sandbox == "" {
		return ""
	}
	return l.root + attachedDir + hostComponent(e.Host) + "/" + name("network", e.Network) + "/" + name("endpoint", e.Mark.Address)
}

// hostComponent is a host in keys.
func hostComponent(host string) string {
	if host == "" {
		return anyHost
	}
	return component(host)
}

// key is where the object is stored:
//
//	claim/<network>/<address>, or claim/vni/<number> for all stacks
//	claim/port/<host>/<protocol>/<address>:<port>
//	host/<name>
//	network/<name>
//	policy/<name>
//	endpoint/<network>/<name>
//	sandbox/<host>/<name>
//	output/<name>
//	ipam/pool/<plugin>/<network>/<number>
//	ipam/lease/<plugin>/<endpoint>/<family>
//	ipam/allocation/<plugin>/<network>
//	keyring
//
// Beside them, and no records: attached/<host>/<network>/<name>, alive/<host> and
// status/<host>.
//
// A name is the block's address without the word that the directory says already. An
// endpoint's network and a sandbox's host are in its key, so that a host can read only
// what concerns it; who moves has another key.
func (l layout) key(o state.Object) (string, error) {
	switch o := o.(type) {
	case state.Claim:
		if o.VNI != 0 {
			return l.vnis + strconv.FormatUint(uint64(o.VNI), 10), nil
		}
		if o.Port.Host != 0 {
			return l.root + portDir + hostComponent(o.OnHost) + "/" + o.Port.Protocol + "/" + component(o.PortAddress()), nil
		}
		return l.root + claimDir + name("network", o.Network) + "/" + o.IP.String(), nil
	case state.Keyring:
		return l.root + keyringKey, nil
	case state.HostRecord:
		return l.root + hostDir + name("host", o.Mark.Address), nil
	case state.Output:
		return l.root + outputDir + name("output", o.Mark.Address), nil
	case state.Policy:
		return l.root + policyDir + name("policy", o.Mark.Address), nil
	case state.Network:
		return l.root + networkDir + name("network", o.Mark.Address), nil
	case state.Endpoint:
		return l.root + endpointDir + name("network", o.Network) + "/" + name("endpoint", o.Mark.Address), nil
	case state.Pool:
		return l.root + poolDir + component(o.Plugin) + "/" + name("network", o.Mark.Address) + "/" + strconv.Itoa(o.Number), nil
	case state.Allocation:
		return l.root + allocateDir + component(o.Plugin) + "/" + name("network", o.Mark.Address), nil
	case state.Lease:
		family := "/ipv4"
		if o.V6 {
			family = "/ipv6"
		}
		return l.root + leaseDir + component(o.Plugin) + "/" + name("endpoint", o.Mark.Address) + family, nil
	case state.Sandbox:
		return l.root + sandboxDir + hostComponent(o.Host) + "/" + name("sandbox", o.Mark.Address), nil
	}
	return "", fmt.Errorf("storing %s: a store has no such objects", o.Key())
}

// kind is the kind of the object at a key of the stack, "" for keys that are not ours. A
// key that ends in a slash is a folder that somebody made in Consul's user interface.
func (l layout) kind(key string) state.Kind {
	if strings.HasSuffix(key, "/") {
		return ""
	}
	if strings.HasPrefix(key, l.vnis) {
		return state.KindClaim
	}
	rest, ours := strings.CutPrefix(key, l.root)
	if !ours {
		return ""
	}
	if rest == keyringKey {
		return state.KindKeyring
	}
	if host, is := strings.CutPrefix(rest, hostDir); is && !strings.Contains(host, "/") {
		return state.KindHost
	}
	for dir, kind := range map[string]state.Kind{
		claimDir: state.KindClaim, networkDir: state.KindNetwork,
		endpointDir: state.KindEndpoint, sandboxDir: state.KindSandbox, policyDir: state.KindPolicy,
		outputDir: state.KindOutput, poolDir: state.KindPool, leaseDir: state.KindLease, allocateDir: state.KindAllocation,
	} {
		if strings.HasPrefix(rest, dir) {
			return kind
		}
	}
	return ""
}

// name is a block's address as a component of a key. The block's type is left out where it
// is what the directory says; in a module it is in the middle, and stays. So "front" can
// only be network.front, and module.a.network.front stays apart from network.module.
func name(kind string, a state.Address) string {
	return component(strings.TrimPrefix(string(a), kind+"."))
}

// component makes any text a component of a key, readably and so that different texts
// stay different: double quotes become single ones, and what is neither letter nor digit
// nor harmless becomes "~" and its bytes in hexadecimal. It is not the usual "%", because
// Consul refuses keys that would hold a space or ".." when they are decoded once more.
func component(text string) string {
	if text == "." || text == ".." || text == anyHost {
		return fmt.Sprintf("~%02X", text[0]) + text[1:]
	}
	var b strings.Builder
	for len(text) > 0 {
		r, n := utf8.DecodeRuneInString(text)
		switch {
		case r == '"':
			b.WriteByte('\'')
		case harmless(r) && (r != utf8.RuneError || n > 1):
			b.WriteString(text[:n])
		default:
			for _, c := range []byte(text[:n]) {
				fmt.Fprintf(&b, "~%02X", c)
			}
		}
		text = text[n:]
	}
	return b.String()
}

func harmless(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune(".-_:@+=,[]", r)
}

// checkPath refuses a path that Consul would not keep as it is.
func checkPath(path string) error {
	for part := range strings.SplitSeq(path, "/") {
		if part == "" || part == "." || part == ".." || strings.ContainsAny(part, " %?#\x00") {
			return fmt.Errorf("%q cannot be the path of a store: it is a prefix of keys, as in \"cnm\" or \"lab/cnm\"", path)
		}
	}
	return nil
}

package state

import "strings"

// Kind names a sort of object. A new kind is one file in this package and one in
// the target that can make it.
type Kind string

// The kinds that live in the kernel (KindNamespace to KindIPsecPolicy) and those that live
// in the store (KindClaim to KindPolicy).
const (
	KindNamespace Kind = "namespace"
	KindLink      Kind = "link"
	KindAddress   Kind = "address"
	KindRoute     Kind = "route"
	KindRule      Kind = "rule"
	KindNeighbor  Kind = "neighbor"
	KindFDB       Kind = "fdb"
	KindQdisc     Kind = "qdisc"
	KindRedirect  Kind = "redirect"
	KindSysctl    Kind = "sysctl"
	KindRuleset   Kind = "ruleset"
	KindFile      Kind = "file"

	KindIPsecState  Kind = "ipsec_state"
	KindIPsecPolicy Kind = "ipsec_policy"

	KindClaim    Kind = "claim"
	KindNetwork  Kind = "network"
	KindEndpoint Kind = "endpoint"
	KindSandbox  Kind = "sandbox"
	KindHost     Kind = "host"
	KindKeyring  Kind = "keyring"
	KindOutput   Kind = "output"
	KindPolicy   Kind = "policy"
)

// Place says where an object lives: "host" (the namespace cnmctl was started in),
// "ns/<name>" (a named network namespace), "store", "plugin/<name>" or "ipam/<name>".
type Place string

// The two places that are not a named namespace.
const (
	Host  Place = "host"
	Store Place = "store"
)

// Netns is the place inside the network namespace called name in the netns directory.
func Netns(name string) Place { return Place("ns/" + name) }

// Netns is the namespace's name in the netns directory, and whether the place is one.
func (p Place) Netns() (name string, ok bool) { return strings.CutPrefix(string(p), "ns/") }

// String is the place as a person reads it: "the host", "namespace shop-web", "the store".
func (p Place) String() string {
	if ns, ok := p.Netns(); ok {
		return "namespace " + ns
	}
	if p.Asked() {
		_, name, _ := strings.Cut(string(p), "/")
		return "plugin " + name
	}
	return "the " + string(p)
}

// Key identifies one object in a World. Two objects with one key are the same object,
// wanted and live; a kind therefore puts into Name whatever the kernel takes as identity
// (a route: destination, table and metric; never its next hop).
type Key struct {
	Kind  Kind
	Place Place
	Name  string
}

// String is the key for messages and sorting aids: "link eth0 in namespace shop-web".
func (k Key) String() string {
	return string(k.Kind) + " " + k.Name + " in " + k.Place.String()
}

// MarshalText writes the key as "kind|place|name"; none of the first two holds a bar.
func (k Key) MarshalText() ([]byte, error) {
	return []byte(string(k.Kind) + "|" + string(k.Place) + "|" + k.Name), nil
}

// UnmarshalText reads what MarshalText wrote.
func (k *Key) UnmarshalText(b []byte) error {
	kind, rest, _ := strings.Cut(string(b), "|")
	place, name, ok := strings.Cut(rest, "|")
	if !ok {
		return &BadKeyError{Text: string(b)}
	}
	*k = Key{Kind(kind), Place(place), name}
	return nil
}

// BadKeyError reports a key in a saved plan or store that is not "kind|place|name".
type BadKeyError struct{ Text string }

func (e *BadKeyError) Error() string { return "reading key " + e.Text + ": not kind|place|name" }

// CompareKeys orders keys by place, kind and name, so that equal input gives equal
// output on every machine.
func CompareKeys(a, b Key) int {
	if c := strings.Compare(string(a.Place), string(b.Place)); c != 0 {
		return c
	}
	if c := strings.Compare(string(a.Kind), string(b.Kind)); c != 0 {
		return c
	}
	return strings.Compare(a.Name, b.Name)
}

// Address is the name of a block instance in the configuration, as a user writes it in
// a reference: network.front, endpoint.web["w0"], module.a["x"].sandbox.db[0].
type Address string

// Owner says whose an object is: the stack, and the address of the block that asks for
// it. It is the mark that the kernel object carries.
type Owner struct {
	Stack   string
	Address Address
}

// givenBy stands in a mark between the owner and the name that a Given link had.
const givenBy = " from "

// GivenMark is the mark of a link that was called from before it was given.
func (o Owner) GivenMark(from string) string { return o.Mark() + givenBy + from }

// ParseGiven reads what GivenMark wrote, and reports whether text is such a mark. What
// follows the last " from " of another mark is the end of a key, with its quotes.
func ParseGiven(text string) (o Owner, from string, ok bool) {
	i := strings.LastIndex(text, givenBy)
	if i < 0 || strings.ContainsAny(text[i+len(givenBy):], `"] `) {
		return Owner{}, "", false
	}
	o, ok = ParseMark(text[:i])
	return o, text[i+len(givenBy):], ok
}

// markPrefix begins every mark; what does not bear it is not ours.
const markPrefix = "cnm:"

// Mark is the owner as written on a kernel object (a link's ifalias, at most 255 bytes):
// "cnm:<stack>:<address>".
func (o Owner) Mark() string { return markPrefix + o.Stack + ":" + string(o.Address) }

// ParseMark reads what Mark wrote, and reports whether text is such a mark.
func ParseMark(text string) (Owner, bool) {
	rest, ok := strings.CutPrefix(text, markPrefix)
	if !ok {
		return Owner{}, false
	}
	stack, addr, ok := strings.Cut(rest, ":")
	return Owner{stack, Address(addr)}, ok && stack != ""
}

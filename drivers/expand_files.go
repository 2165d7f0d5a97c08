package drivers

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/cnmctl/cnmctl/state"
)

// files are what a sandbox sees over /etc: hosts always, resolv.conf when DNS is
// configured, hostname when there is one. cnmctl makes no UTS namespace, so hostname is
// what programs read from the file, not what uname(2) answers.
func (x *expander) files(s *sandbox) []state.Object {
	file := func(name, content string) state.Object {
		return state.File{Place: s.Place(), Name: name, Content: content, Mark: s.Mark}
	}
	objects := []state.Object{file("hosts", x.lists.of(s))}
	first := x.lists.firstLine()
	if text := resolvConf(s.DNS); text != "" {
		objects = append(objects, file("resolv.conf", first+text))
	}
	if s.Hostname != "" {
		objects = append(objects, file("hostname", first+s.Hostname+"\n"))
	}
	return objects
}

func resolvConf(d state.DNS) string {
	var b strings.Builder
	for _, ip := range d.Servers {
		b.WriteString("nameserver " + ip.String() + "\n")
	}
	if len(d.Search) > 0 {
		b.WriteString("search " + strings.Join(d.Search, " ") + "\n")
	}
	if len(d.Options) > 0 {
		b.WriteString("options " + strings.Join(d.Options, " ") + "\n")
	}
	return b.String()
}

// hostLists makes hosts files. What they say depends on little more than the networks
// that a sandbox is in, so the common part is written once for each such set, and
// sandboxes that add nothing share it: a thousand sandboxes on one network hold one string
// of 70 KB, not a thousand.
type hostLists struct {
	stack  string
	shared map[string]string
}

// localhost is what Debian's installer writes.
const localhost = `127.0.0.1	localhost
::1	localhost ip6-localhost ip6-loopback
ff02::1	ip6-allnodes
ff02::2	ip6-allrouters
`

func (h *hostLists) firstLine() string { return "# " + state.StackMark(h.stack) + "\n" }

// of is the hosts file of a sandbox.
func (h *hostLists) of(s *sandbox) string {
	common := h.common(s)
	own := ownLines(s)
	if own == "" {
		return common
	}
	return common + own
}

// common is the file as far as the sandbox's networks determine it.
func (h *hostLists) common(s *sandbox) string {
	var set []string
	for _, a := range s.attached {
		if !a.isolated() {
			set = append(set, string(a.network.Mark.Address))
		}
	}
	set = slices.Compact(slices.Sorted(slices.Values(set)))
	key := strings.Join(set, "\n")
	if text, ok := h.shared[key]; ok {
		return text
	}
	var b strings.Builder
	b.WriteString(h.firstLine())
	b.WriteString(localhost)
	written := map[state.Address]bool{}
	for _, a := range s.attached {
		if !a.isolated() && !written[a.network.Mark.Address] {
			written[a.network.Mark.Address] = true
			a.network.writeNames(&b)
		}
	}
	text := b.String()
	h.shared[key] = text
	return text
}

// writeNames writes a line for each address of the network's endpoints that others on it
// can reach.
func (n *network) writeNames(b *strings.Builder) {
	list := make([]*state.Endpoint, 0, len(n.attached)+len(n.away))
	for i := range n.attached {
		if a := &n.attached[i]; !n.offers[a.Mark.Address].Isolated {
			list = append(list, &a.Endpoint)
		}
	}
	if n.global {
		for i := range n.away {
			list = append(list, &n.away[i].Endpoint)
		}
	}
	// By address, which stays when a block gets another name.
	slices.SortStableFunc(list, func(a, b *state.Endpoint) int {
		return cmp.Or(a.IPv4.Addr().Compare(b.IPv4.Addr()), a.IPv6.Addr().Compare(b.IPv6.Addr()))
	})
	for _, e := range list {
		n.writeLines(b, e)
	}
}

// writeLines writes the endpoint's addresses with its names: name, name.network, aliases.
func (n *network) writeLines(b *strings.Builder, e *state.Endpoint) {
	if e.Nameless {
		return
	}
	for _, p := range []netip.Prefix{e.IPv4, e.IPv6} {
		if !p.IsValid() {
			continue
		}
		b.WriteString(p.Addr().String())
		b.WriteByte('\t')
		b.WriteString(e.Name)
		b.WriteByte(' ')
		b.WriteString(e.Name)
		b.WriteByte('.')
		b.WriteString(n.Name)
		for _, alias := range e.Aliases {
			b.WriteByte(' ')
			b.WriteString(alias)
		}
		b.WriteByte('\n')
	}
}

// ownLines are those that only this sandbox has: names of endpoints that nobody else on
// their network can reach, its hostname, and its extra hosts.
func ownLines(s *sandbox) string {
	var b strings.Builder
	for _, a := range s.attached {
		if a.isolated() && !a.Implied {
			a.network.writeLines(&b, &a.Endpoint)
		}
	}
	if s.Hostname != "" {
		s.writeHostname(&b)
	}
	for _, name := range slices.Sorted(maps.Keys(s.ExtraHosts)) {
		b.WriteString(s.ExtraHosts[name].String() + "\t" + name + "\n")
	}
	return b.String()
}

// writeHostname makes the hostname a name of the sandbox's own addresses, or of the
// loopback where it has none, as Debian does.
func (s *sandbox) writeHostname(b *strings.Builder) {
	before := b.Len()
	for _, a := range s.attached {
		for _, p := range []netip.Prefix{a.IPv4, a.IPv6} {
			if p.IsValid() && !a.Implied {
				b.WriteString(p.Addr().String() + "\t" + s.Hostname + "\n")
			}
		}
	}
	if b.Len() == before {
		b.WriteString("127.0.1.1\t" + s.Hostname + "\n")
	}
}

func (a attachment) isolated() bool { return a.network.offers[a.Mark.Address].Isolated }

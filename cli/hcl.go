package cli

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"
)

// labels gives each block a label under which it can stand in a configuration without
// modules and for_each: web_a for sandbox.web["a"].
type labels struct {
	of map[state.Address]string
	// drivers of networks, whose endpoints' options stand in a block of that name.
	drivers map[state.Address]string
}

func newLabels(blocks []liveBlock) labels {
	l := labels{of: map[state.Address]string{}, drivers: map[state.Address]string{}}
	taken := map[string]bool{}
	for _, b := range blocks {
		kind, _ := blockKind(b.Address)
		base := label(b.Address)
		name := base
		for n := 2; taken[kind+"."+name]; n++ {
			name = base + "_" + strconv.Itoa(n)
		}
		taken[kind+"."+name] = true
		l.of[b.Address] = name
		if n, ok := b.record.(state.Network); ok {
			l.drivers[b.Address] = n.Driver
		}
	}
	return l
}

// label is an address without its kind, as an identifier.
func label(a state.Address) string {
	kind, _ := blockKind(a)
	text := strings.Replace("."+string(a), "."+kind+".", ".", 1)
	var b strings.Builder
	for _, r := range text {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "_"):
			b.WriteByte('_')
		}
	}
	return strings.Trim(b.String(), "_")
}

// writer writes the body of one block, leaving out what says nothing.
type writer struct {
	*hclwrite.Body
	labels labels
}

// block is a record as a block of the language.
func (l labels) block(record state.Object) string {
	f := hclwrite.NewEmptyFile()
	a := record.Owner().Address
	kind, _ := blockKind(a)
	name := l.of[a]
	if r, ok := record.(state.HostRecord); ok {
		kind, name = "host", r.Name // which is what sandboxes say they are on, dots and all
	}
	w := writer{f.Body().AppendNewBlock(kind, []string{name}).Body(), l}
	switch r := record.(type) {
	case state.HostRecord:
		w.addr("vtep", r.VTEP)
		w.number("mtu", int64(r.MTU))
	case state.Network:
		w.network(r)
	case state.Endpoint:
		w.endpoint(r)
	case state.Sandbox:
		w.sandbox(r)
	case state.Policy:
		w.policy(r)
	}
	w.hide(state.HiddenIn(record))
	return string(hclwrite.Format(f.Bytes()))
}

// hide takes out what is sensitive, and says so: as it is it could not be written.
func (w writer) hide(names []string) {
	for _, name := range names {
		w.RemoveAttribute(name)
		for _, b := range w.Blocks() {
			if b.Type() == name {
				w.RemoveBlock(b)
			}
			b.Body().RemoveAttribute(name)
		}
		w.AppendUnstructuredTokens(hclwrite.Tokens{{Type: hclsyntax.TokenComment, Bytes: fmt.Appendf(nil, "# %s is %s\n", name, state.HiddenValue)}})
	}
}

func (w writer) text(name, value string) {
	if value != "" {
		w.SetAttributeValue(name, cty.StringVal(value))
	}
}

func (w writer) number(name string, value int64) {
	if value != 0 {
		w.SetAttributeValue(name, cty.NumberIntVal(value))
	}
}

// flag writes a setting that is not at its default.
func (w writer) flag(name string, value, usual bool) {
	if value != usual {
		w.SetAttributeValue(name, cty.BoolVal(value))
	}
}

func (w writer) addr(name string, ip netip.Addr) {
	if ip.IsValid() {
		w.text(name, ip.String())
	}
}

func (w writer) prefix(name string, p netip.Prefix) {
	if p.IsValid() {
		w.text(name, p.String())
	}
}

func (w writer) texts(name string, values []string) {
	if len(values) == 0 {
		return
	}
	list := make([]cty.Value, len(values))
	for i, v := range values {
		list[i] = cty.StringVal(v)
	}
	w.SetAttributeValue(name, cty.ListVal(list))
}

func (w writer) table(name string, m map[string]string) {
	if len(m) == 0 {
		return
	}
	object := make(map[string]cty.Value, len(m))
	for k, v := range m {
		object[k] = cty.StringVal(v)
	}
	w.SetAttributeValue(name, cty.ObjectVal(object))
}

func (w writer) numbers(name string, m map[string]uint32) {
	if len(m) == 0 {
		return
	}
	object := make(map[string]cty.Value, len(m))
	for k, v := range m {
		object[k] = cty.NumberUIntVal(uint64(v))
	}
	w.SetAttributeValue(name, cty.ObjectVal(object))
}

// reference writes a reference to another block, under the label that it has here.
func (w writer) reference(name string, a state.Address) {
	if a == "" {
		return
	}
	w.SetAttributeTraversal(name, w.traversal(a))
}

func (w writer) nested(kind string) writer {
	return writer{w.AppendNewBlock(kind, nil).Body(), w.labels}
}

// options writes a driver's options. They are JSON, which for the types that options have
// is an expression of the language too.
func (w writer) options(driver string, o state.Options) {
	if driver == "" {
		return
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(o)) {
		if v := string(o[name]); v != "null" && v != `""` {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return
	}
	in := w.nested(driver)
	for _, name := range names {
		in.SetAttributeRaw(name, expression(o[name]))
	}
}

func expression(text json.RawMessage) hclwrite.Tokens {
	return hclwrite.Tokens{{Type: hclsyntax.TokenIdent, Bytes: text}}
}

func (w writer) common(labels map[string]string, protected bool) {
	w.table("labels", labels)
	if protected {
		w.nested("lifecycle").flag("prevent_destroy", true, false)
	}
}

func (w writer) network(n state.Network) {
	w.text("driver", n.Driver)
	w.text("name", n.Name)
	w.flag("internal", n.Internal, false)
	w.flag("ipv4", !n.NoIPv4, true)
	w.flag("ipv6", n.IPv6, false)
	w.number("mtu", int64(n.MTU))
	if n.Prefix != "eth" {
		w.text("interface_prefix", n.Prefix)
	}
	for _, s := range n.Subnets {
		in := w.nested("subnet")
		in.prefix("cidr", s.CIDR)
		in.addr("gateway", s.Gateway)
		in.prefix("range", s.Range)
		in.table("reserved", addrTexts(s.Reserved))
	}
	w.options(n.Driver, withVNIs(n))
	w.common(n.Labels, n.Protected)
}

// withVNIs are the network's options with the VNIs that it has: another stack's networks
// must not be given them.
func withVNIs(n state.Network) state.Options {
	if len(n.VNIs) == 0 {
		return n.Options
	}
	texts := make([]string, len(n.VNIs))
	for i, vni := range n.VNIs {
		texts[i] = strconv.FormatUint(uint64(vni), 10)
	}
	o := maps.Clone(n.Options)
	if o == nil {
		o = state.Options{}
	}
	o["vnis"] = json.RawMessage("[" + strings.Join(texts, ", ") + "]")
	return o
}

func (w writer) endpoint(e state.Endpoint) {
	w.reference("network", e.Network)
	w.reference("sandbox", e.Sandbox)
	w.text("name", e.Name)
	w.addr("ipv4", e.IPv4.Addr())
	w.addr("ipv6", e.IPv6.Addr())
	var links []string
	for _, ip := range e.LinkLocal {
		links = append(links, ip.String())
	}
	w.texts("link_local_ips", links)
	w.text("mac", e.MAC.String())
	w.text("interface", e.Interface)
	w.text("vrf", e.VRF)
	w.flag("names", !e.Nameless, true)
	w.texts("aliases", e.Aliases)
	w.number("gateway_priority", int64(e.Priority))
	w.table("sysctls", e.Sysctls)
	for _, p := range e.Ports {
		w.nested("port").port(p)
	}
	w.options(w.labels.drivers[e.Network], e.Options)
	if v := e.Service; v != nil {
		in := w.nested("service")
		in.text("name", v.Name)
		in.number("port", int64(v.Port))
		in.texts("tags", v.Tags)
		if in.text("check", v.Check); v.Checked() {
			in.text("check_interval", v.Interval.String())
		}
	}
	w.common(e.Labels, e.Protected)
}

func (w writer) port(p state.Port) {
	run := func(name string, first uint16) {
		r := state.PortRange{First: first, Last: first + p.Count - 1}
		switch {
		case first == 0:
		case r.First == r.Last:
			w.number(name, int64(first))
		default:
			w.text(name, r.String())
		}
	}
	run("host", p.Host)
	run("container", p.Container)
	if p.Protocol != "tcp" {
		w.text("protocol", p.Protocol)
	}
	w.addr("address", p.Address)
}

func (w writer) sandbox(s state.Sandbox) {
	w.text("name", s.Name)
	w.text("host", s.Host)
	switch _, _, container := state.Container(s.Netns); {
	case s.Shares != "":
		w.reference("shares", s.Shares)
	case s.Foreign && container:
		w.text("container", s.Netns)
	case s.Foreign:
		w.text("netns", s.Netns)
	}
	if s.Hostname != s.Name {
		w.text("hostname", s.Hostname)
	}
	w.numbers("vrfs", s.VRFs)
	w.texts("loopback", prefixTexts(s.Loopback))
	w.table("sysctls", s.Sysctls)
	w.table("extra_hosts", addrTexts(s.ExtraHosts))
	for _, r := range s.Routes {
		w.nested("route").route(r)
	}
	for _, r := range s.Rules {
		w.nested("rule").rule(r)
	}
	for _, n := range s.Neighbors {
		in := w.nested("neighbor")
		in.text("dev", n.Dev)
		in.addr("ip", n.IP)
		in.text("mac", n.MAC.String())
	}
	if d := s.DNS; len(d.Servers)+len(d.Search)+len(d.Options) > 0 {
		in := w.nested("dns")
		servers := make([]string, len(d.Servers))
		for i, ip := range d.Servers {
			servers[i] = ip.String()
		}
		in.texts("servers", servers)
		in.texts("search", d.Search)
		in.texts("options", d.Options)
	}
	w.common(s.Labels, s.Protected)
}

func (w writer) route(r state.StaticRoute) {
	w.prefix("to", r.To)
	w.addr("via", r.Via)
	w.text("dev", r.Dev)
	w.addr("src", r.Src)
	w.number("metric", int64(r.Metric))
	w.number("table", int64(r.Table))
	w.text("vrf", r.VRF)
	if r.Type != state.Unicast {
		w.text("type", string(r.Type))
	}
	w.flag("on_link", r.OnLink, false)
}

func (w writer) rule(r state.PolicyRule) {
	w.number("priority", int64(r.Priority))
	w.prefix("from", r.From)
	w.prefix("to", r.To)
	if r.IPv6 {
		w.text("family", "ipv6")
	}
	w.text("iif", r.Iif)
	w.text("oif", r.Oif)
	w.number("fwmark", int64(r.FwMark))
	w.number("table", int64(r.Table))
}

func addrTexts(m map[string]netip.Addr) map[string]string {
	texts := make(map[string]string, len(m))
	for name, ip := range m {
		texts[name] = ip.String()
	}
	return texts
}

func prefixTexts(list []netip.Prefix) []string {
	texts := make([]string, len(list))
	for i, p := range list {
		texts[i] = p.String()
		if p.IsSingleIP() {
			texts[i] = p.Addr().String()
		}
	}
	return texts
}

// stackBlock says which stack the blocks below it belong to.
func stackBlock(stack string) string {
	return fmt.Sprintf("cnm {\n  stack = %q\n}\n", stack)
}

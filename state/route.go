package state

import (
	"fmt"
	"net/netip"
	"strconv"
)

// MainTable is the routing table that is used unless a rule says otherwise (RT_TABLE_MAIN
// of linux/rtnetlink.h).
const MainTable = 254

// metric6 is what the kernel makes of an IPv6 route's metric 0 (IP6_RT_PRIO_USER).
const metric6 = 1024

// RouteType is what happens to a packet that takes the route (RTN_* of linux/rtnetlink.h).
type RouteType string

// The route types.
const (
	Unicast     RouteType = "unicast"
	Blackhole   RouteType = "blackhole"
	Unreachable RouteType = "unreachable"
	Prohibit    RouteType = "prohibit"
)

// Route is one entry of a routing table. The kernel identifies it by destination, table
// and metric; next hop, device and source can be replaced in place.
type Route struct {
	Place Place
	// Dst is the masked destination; 0.0.0.0/0 or ::/0 for the default route.
	Dst    netip.Prefix
	Table  uint32
	Metric uint32
	Type   RouteType
	// Via is the next hop; the zero Addr for a route to what is on the link itself.
	Via netip.Addr
	// Dev is the link; "" for routes that drop.
	Dev string
	// Src is the preferred source address; zero: the kernel chooses.
	Src netip.Addr
	// OnLink says that Via is reachable on Dev although no address covers it.
	OnLink bool
	Mark   Owner
	// Loan: Dev is not ours; the route carries our protocol number.
	Loan bool
	// Yields: where somebody else has a route of the same key, that one stays and this one is
	// not wanted. It is about planning, not a property: live routes have none, and it is not
	// compared.
	Yields bool `json:",omitempty"`
}

// NewRoute fills in what the kernel fills in: table main, IPv6 metric 1024, a masked
// destination and type unicast.
func NewRoute(r Route) Route {
	r.Dst = r.Dst.Masked()
	if r.Table == 0 {
		r.Table = MainTable
	}
	if r.Metric == 0 && r.Dst.Addr().Is6() {
		r.Metric = metric6
	}
	if r.Type == "" {
		r.Type = Unicast
	}
	return r
}

// Key is destination, table and metric.
func (r Route) Key() Key {
	name := r.Dst.String()
	if r.Table != MainTable {
		name += " table " + strconv.FormatUint(uint64(r.Table), 10)
	}
	if r.Metric != 0 && !(r.Metric == metric6 && r.Dst.Addr().Is6()) {
		name += " metric " + strconv.FormatUint(uint64(r.Metric), 10)
	}
	return Key{KindRoute, r.Place, name}
}

// Owner is the block that asks for it.
func (r Route) Owner() Owner { return r.Mark }

// Needs is its link.
func (r Route) Needs() []Key { return insideOf(r.Place, r.Dev) }

// Inside are its link and namespace.
func (r Route) Inside() []Key { return insideOf(r.Place, r.Dev) }

// Attrs can all be changed in place.
func (r Route) Attrs() []Attr {
	attrs := []Attr{strAttr("type", string(r.Type)).quiet()}
	if r.Via.IsValid() || r.Type == Unicast {
		attrs = append(attrs, strAttr("via", addrText(r.Via)))
	}
	attrs = append(attrs, strAttr("dev", r.Dev))
	// The kernel tells only of a source that was asked for, so none is a value too.
	src := strAttr("src", addrText(r.Src))
	src.Quiet = !r.Src.IsValid()
	attrs = append(attrs, src)
	return append(attrs, boolAttr("on_link", r.OnLink).quiet())
}

// Rule is one entry of the policy routing database (RTM_NEWRULE), identified by all it says.
type Rule struct {
	Place    Place
	Priority uint32
	IPv6     bool
	// From and To select by address; the zero Prefix selects all.
	From, To netip.Prefix
	// Iif and Oif select by interface name.
	Iif, Oif string
	// FwMark selects by packet mark; 0 selects all.
	FwMark uint32
	Table  uint32
	Mark   Owner
}

// Key is everything that the rule says.
func (r Rule) Key() Key {
	family := "inet"
	if r.IPv6 {
		family = "inet6"
	}
	name := fmt.Sprintf("%d %s from %s to %s iif %q oif %q fwmark %d table %d", r.Priority, family,
		prefixText(r.From), prefixText(r.To), r.Iif, r.Oif, r.FwMark, r.Table)
	return Key{KindRule, r.Place, name}
}

// Owner is the sandbox that asks for it.
func (r Rule) Owner() Owner { return r.Mark }

// Needs is its namespace.
func (r Rule) Needs() []Key { return insideOf(r.Place, "") }

// Inside is its namespace.
func (r Rule) Inside() []Key { return insideOf(r.Place, "") }

// Attrs is nothing: a rule is its key.
func (r Rule) Attrs() []Attr { return nil }

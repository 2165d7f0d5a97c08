package state

import (
	"net/netip"
	"strconv"
)

// markAttr is the owner as an attribute: quiet, because the plan already groups objects
// by owner, but compared, so that a moved block rewrites its marks in place.
func markAttr(o Owner) Attr {
	return Attr{Name: "owner", Value: strconv.Quote(o.Mark()), Quiet: true}
}

func strAttr(name, v string) Attr { return Attr{Name: name, Value: strconv.Quote(v)} }

func intAttr[T ~int | ~uint32](name string, v T) Attr {
	return Attr{Name: name, Value: strconv.FormatInt(int64(v), 10)}
}

func boolAttr(name string, v bool) Attr {
	return Attr{Name: name, Value: strconv.FormatBool(v)}
}

func (a Attr) fixed() Attr { a.Fixed = true; return a }
func (a Attr) quiet() Attr { a.Quiet = true; return a }

// insideOf is what takes an object along that sits in place on link: the link, and the
// namespace if there is one. lo is born and dies with its namespace and is no object.
func insideOf(p Place, link string) []Key {
	var keys []Key
	if ns, ok := p.Netns(); ok {
		keys = append(keys, NamespaceKey(ns))
	}
	if link != "" && link != "lo" {
		keys = append(keys, LinkKey(p, link))
	}
	return keys
}

// addrText is the address as text, "" when there is none.
func addrText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// prefixText is the prefix as text, "" when there is none.
func prefixText(p netip.Prefix) string {
	if !p.IsValid() {
		return ""
	}
	return p.String()
}

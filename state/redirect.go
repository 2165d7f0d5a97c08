package state

import (
	"fmt"
	"hash/fnv"
	"slices"
)

// IFB is a link that stands between an interface and who hears it: what the interface gets
// is sent by the IFB first, and so can be held back by how that sends.
const IFB LinkType = "ifb"

// KeepsMAC reports that the link has for life the MAC that it was made with: the kernel gives
// an IFB no other (it has no ndo_set_mac_address).
func (l Link) KeepsMAC() bool { return l.Type == IFB }

// IntakeName is the name of the IFB in front of an endpoint's interface. It does not depend
// on the interface's own name, which can change.
func IntakeName(endpoint Owner) string {
	h := fnv.New64a()
	h.Write([]byte(endpoint.Stack + " " + string(endpoint.Address)))
	return fmt.Sprintf("ifb%012x", h.Sum64()>>16)
}

// Redirect has what a link of ours gets go through another link first, an IFB in the same
// place (tc-mirred(8), at the link's ingress).
type Redirect struct {
	Place Place
	Link  string
	// To is the IFB; "" on a live Redirect that leads to a link which is gone.
	To   string
	Mark Owner
}

// RedirectPref is the preference of the filter that redirects, by which it is known as ours.
const RedirectPref = 0x636e // "cn"

// RedirectKey is the key of where what a link gets goes first.
func RedirectKey(p Place, link string) Key { return Key{KindRedirect, p, link} }

// Strays are the links of this host whose redirections may lead to nothing: by the records,
// or by what was wanted once, there was an IFB before each, and there is none now. A filter
// outlives the IFB that somebody deletes, and drops all that the link gets.
func Strays(live World, host string, like ...World) []Key {
	var found []Key
	add := func(link Key, ifb string) {
		_, there := live[link].(Link)
		if there && live[LinkKey(link.Place, ifb)] == nil && live[RedirectKey(link.Place, link.Name)] == nil && !slices.Contains(found, link) {
			found = append(found, link)
		}
	}
	for _, world := range like {
		for _, o := range world {
			switch o := o.(type) {
			case Redirect:
				add(LinkKey(o.Place, o.Link), o.To)
			case Endpoint:
				in, ok := world[RecordKey(KindSandbox, o.Sandbox)].(Sandbox)
				if o.Bandwidth.Ingress != 0 && o.HostInterface == "" && ok && (in.Host == "" || in.Host == host) {
					add(LinkKey(in.Place(), o.Interface), IntakeName(o.Mark))
				}
			}
		}
	}
	return found
}

// Key is the link.
func (r Redirect) Key() Key { return RedirectKey(r.Place, r.Link) }

// Owner is the endpoint that asks for it.
func (r Redirect) Owner() Owner { return r.Mark }

// Needs are both links, and how the IFB sends.
func (r Redirect) Needs() []Key {
	keys := insideOf(r.Place, r.Link)
	if r.To != "" {
		keys = append(keys, LinkKey(r.Place, r.To), QdiscKey(r.Place, r.To))
	}
	return keys
}

// Inside are its link and namespace. Without the IFB it stays, and leads nowhere.
func (r Redirect) Inside() []Key { return insideOf(r.Place, r.Link) }

// Attrs can be changed in place.
func (r Redirect) Attrs() []Attr { return []Attr{strAttr("to", r.To)} }

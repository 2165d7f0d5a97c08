package state

import (
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"strings"
)

// Objects that plugins hold. Nobody can read them back from a plugin: libnetwork's protocol
// has no call for it. So what was asked of plugins is kept: what concerns one host on that
// host, addresses and what else is the cluster's in the store. It is written
// down before a plugin is asked, so that whatever instant a run dies at, the next one knows
// what to take back.

// The kinds that plugins hold.
const (
	// KindPool and KindLease are an IPAM plugin's; what has to do with them is the cluster's.
	KindPool  Kind = "pool"
	KindLease Kind = "lease"
	// KindAllocation is a network plugin's, for the whole cluster.
	KindAllocation Kind = "allocation"
	// The others are a network plugin's.
	KindPluginNetwork  Kind = "plugin network"
	KindPluginEndpoint Kind = "plugin endpoint"
	KindWayOut         Kind = "external connectivity"
	KindNode           Kind = "node"
)

const (
	pluginPlace = "plugin/"
	ipamPlace   = "ipam/"
)

// Plugin is the place in the network plugin of that name, on this host.
func Plugin(name string) Place { return Place(pluginPlace + name) }

// IPAM is the place of what a plugin of that name holds for the whole cluster.
func IPAM(name string) Place { return Place(ipamPlace + name) }

// InPlugin reports that what is in the place is a network plugin's.
func (p Place) InPlugin() bool { return strings.HasPrefix(string(p), pluginPlace) }

// InIPAM reports that what is in the place is a plugin's, and the cluster's.
func (p Place) InIPAM() bool { return strings.HasPrefix(string(p), ipamPlace) }

// Asked reports that what is in the place is made by asking a plugin.
func (p Place) Asked() bool { return p.InPlugin() || p.InIPAM() }

// Kept reports that what is in the place is known from what was written down of it.
func (p Place) Kept() bool { return p == Store || p.Asked() }

// InKernel reports that the place is a network namespace.
func (p Place) InKernel() bool { return !p.Kept() }

// Assigned stands in a plan for what only a plugin knows, until it was asked.
const Assigned = "(assigned at apply)"

// assignedTo begins what stands for such a value in what is made of it.
const assignedTo = "(assigned at apply to "

// AssignedTo stands for a value that only a plugin knows in a value that is made of it, and
// says which one that is.
func AssignedTo(a Address, attr string) string { return assignedTo + string(a) + "." + attr + ")" }

// HoldsAssigned reports that part of a text is still to be given by a plugin.
func HoldsAssigned(text string) bool { return strings.Contains(text, assignedTo) }

// Stage is how far an object got that takes several calls. What is wanted is Made, which
// is "".
type Stage string

// The stages. What has begun and is not made was cut short: whether the plugin did what it
// was asked for last is not known.
const (
	Made  Stage = ""
	Begun Stage = "begun"
	// Created: an endpoint was created and has not joined, a pool has not all its addresses.
	Created Stage = "created"
	// Leaving: the plugin was asked to take the object back.
	Leaving Stage = "leaving"
	// Lost: the interface that a plugin made is gone.
	Lost Stage = "lost"
)

// attr is what a plan says of a stage that is not Made.
func (s Stage) attr() Attr {
	text := "made"
	if s != Made {
		text = string(s) + ", not made"
	}
	return strAttr("state", text).fixed().quiet()
}

// Asked is an object that a plugin makes when it is asked.
type Asked interface {
	Object
	// Reached is how far it got.
	Reached() Stage
	// At is the object at a stage.
	At(s Stage) Asked
	// Answered is the object with what the plugin said of it as it is now: nobody's wish, but
	// not to be forgotten when a wish changes that the plugin need not know of.
	Answered(now Object) Asked
}

// PluginID is the identifier of a block for plugins: 64 hexadecimal digits, as libnetwork's
// are. It is a function of the block's name, so that it is the same on every host and in a
// run that repeats one which was cut short.
func PluginID(o Owner) string {
	sum := sha256.Sum256([]byte("cnmctl\x00" + o.Stack + "\x00" + string(o.Address)))
	return hex.EncodeToString(sum[:])
}

// Dependent is implemented by objects that go when what they need goes, but not by
// themselves: a plugin has to be told, or given back its interface.
type Dependent interface {
	// Follows lists what takes the object along.
	Follows() []Key
}

// compared are the differences between what is asked for and what was; what a plugin
// answered is nobody's wish, so it is not compared.
func compared(want []Attr, live []Attr) []Field {
	have := make(map[string]string, len(live))
	for _, a := range live {
		have[a.Name] = a.Value
	}
	var fields []Field
	for _, a := range want {
		if old := have[a.Name]; old != a.Value {
			fields = append(fields, Field{Name: a.Name, Old: old, New: a.Value, Fixed: a.Fixed})
		}
	}
	return fields
}

// answer is an attribute that a plugin decides on.
func answer(name, value string, known bool) Attr {
	if !known {
		return Attr{Name: name, Value: Assigned}
	}
	return strAttr(name, value)
}

// fixedAll makes attributes that no call can change.
func fixedAll(attrs ...Attr) []Attr {
	for i := range attrs {
		attrs[i].Fixed = true
	}
	return attrs
}

// JoinGiven brings together what is known of plugins and what the kernel holds: links in
// sandboxes with who gave them, and endpoints of plugins as lost whose interface is neither
// in their sandbox nor on the host any more, because somebody deleted it, or its namespace.
// Those have to be made anew.
func JoinGiven(w World) {
	givers := map[Address]Key{}
	for k, o := range w {
		if e, ok := o.(PluginEndpoint); ok {
			givers[e.Mark.Address] = k
		}
	}
	if len(givers) == 0 {
		return
	}
	given := map[Address]bool{}
	for k, o := range w {
		if l, ok := o.(Link); ok && l.Type == Given {
			l.Giver = givers[l.Mark.Address]
			w[k], given[l.Mark.Address] = l, true
		}
	}
	for address, k := range givers {
		e := w[k].(PluginEndpoint)
		if e.Stage != Made || e.Joined.Source == "" || given[address] {
			continue
		}
		if _, waiting := w[LinkKey(Host, e.Joined.Source)]; !waiting {
			e.Stage = Lost
			w[k] = e
		}
	}
}

func prefixAttr(name string, p netip.Prefix) Attr { return strAttr(name, prefixText(p)) }

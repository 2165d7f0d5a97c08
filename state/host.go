package state

import "net/netip"

// HostRecord is the record of a machine of the cluster: where the tunnels to it end.
type HostRecord struct {
	Mark Owner
	Name string
	// VTEP is the host's address on the underlay; zero: no tunnel leads to it.
	VTEP netip.Addr
	// MTU of the underlay at this host in bytes; 0: not known, which counts as 1500.
	MTU int
	// Registered: the host's agent wrote the record, not a configuration. It stays when the
	// configuration does not have it, and when the agent is dead.
	Registered bool `json:",omitempty"`
}

// Key is the block's address.
func (h HostRecord) Key() Key { return RecordKey(KindHost, h.Mark.Address) }

// Owner is the block itself.
func (h HostRecord) Owner() Owner { return h.Mark }

// Needs is nothing.
func (h HostRecord) Needs() []Key { return nil }

// Inside is nothing.
func (h HostRecord) Inside() []Key { return nil }

// Attrs are what a user wrote.
func (h HostRecord) Attrs() []Attr {
	attrs := []Attr{strAttr("name", h.Name), strAttr("vtep", addrText(h.VTEP))}
	if h.MTU != 0 {
		attrs = append(attrs, intAttr("mtu", h.MTU))
	}
	return append(attrs, boolAttr("registered", h.Registered).quiet())
}

package state

// Sysctl is one file under /proc/sys, in the place's network namespace.
type Sysctl struct {
	Place Place
	// Path is relative to /proc/sys with slashes, because an interface's name may hold a
	// dot: net/ipv4/conf/eth0.10/rp_filter.
	Path  string
	Value string
	// Link is the interface that the setting belongs to, "" for the namespace's own.
	Link string
	Mark Owner
	// Keep: never set back. Host-wide switches (ip_forward) are turned on when needed
	// and left on, because others may have come to rely on them.
	// A number that is kept is a lower bound.
	Keep bool
	// Optional: where there is no such setting, nothing is missed. Those of the whole machine
	// are seen in its first network namespace alone.
	Optional bool `json:",omitempty"`
	// Guard is the ruleset that must stand before the setting opens something; the zero
	// Key for none.
	Guard Key `json:",omitzero"`
}

// SysctlKey is the key of the setting at path in place.
func SysctlKey(p Place, path string) Key { return Key{KindSysctl, p, path} }

// Key is the path.
func (s Sysctl) Key() Key { return SysctlKey(s.Place, s.Path) }

// Owner is the block that asks for it.
func (s Sysctl) Owner() Owner { return s.Mark }

// Needs are its link and namespace, and its guard.
func (s Sysctl) Needs() []Key {
	keys := insideOf(s.Place, s.Link)
	if s.Guard != (Key{}) {
		keys = append(keys, s.Guard)
	}
	return keys
}

// Inside are its link and namespace.
func (s Sysctl) Inside() []Key { return insideOf(s.Place, s.Link) }

// Attrs is the value. Deleting a sysctl writes back what a new namespace has.
func (s Sysctl) Attrs() []Attr { return []Attr{strAttr("value", s.Value)} }

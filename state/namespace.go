package state

// Namespace is a named network namespace: a mount in the netns directory that `ip netns`
// sees. Its mark is on the lo inside it, set before it gets its name; lo is up.
type Namespace struct {
	// Name is the file's name in the netns directory.
	Name string
	Mark Owner
	// LoDown: somebody took lo down. Never wanted.
	LoDown bool
	// AliasOf is the other name of a namespace that has two: a run that gave it another one
	// was cut short. Never wanted.
	AliasOf string `json:",omitempty"`
}

// NamespaceKey is the key of the namespace called name.
func NamespaceKey(name string) Key { return Key{KindNamespace, Host, name} }

// Key is the namespace's name on the host.
func (n Namespace) Key() Key { return NamespaceKey(n.Name) }

// Owner is the sandbox that asks for it.
func (n Namespace) Owner() Owner { return n.Mark }

// Needs is nothing.
func (n Namespace) Needs() []Key { return nil }

// Inside is nothing.
func (n Namespace) Inside() []Key { return nil }

// Attrs shows the mark, which can be rewritten in place (state mv), and what lo is like.
func (n Namespace) Attrs() []Attr {
	return []Attr{markAttr(n.Mark), boolAttr("lo_up", !n.LoDown).quiet(), strAttr("alias_of", n.AliasOf).fixed().quiet()}
}

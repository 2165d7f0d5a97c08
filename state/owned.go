package state

// Owned is implemented by objects that can pass from one block to another, or to nobody.
// The others are the stack's as a whole, or known to a plugin by their owner.
type Owned interface {
	// WithOwner is the object with another owner.
	WithOwner(Owner) Object
}

// WithOwner is the object with another owner.
func (n Namespace) WithOwner(o Owner) Object { n.Mark = o; return n }

// WithOwner is the object with another owner.
func (l Link) WithOwner(o Owner) Object { l.Mark = o; return l }

// WithOwner is the object with another owner.
func (a IPAddress) WithOwner(o Owner) Object { a.Mark = o; return a }

// WithOwner is the object with another owner.
func (r Route) WithOwner(o Owner) Object { r.Mark = o; return r }

// WithOwner is the object with another owner.
func (r Rule) WithOwner(o Owner) Object { r.Mark = o; return r }

// WithOwner is the object with another owner.
func (n Neighbor) WithOwner(o Owner) Object { n.Mark = o; return n }

// WithOwner is the object with another owner.
func (f FDB) WithOwner(o Owner) Object { f.Mark = o; return f }

// WithOwner is the object with another owner.
func (q Qdisc) WithOwner(o Owner) Object { q.Mark = o; return q }

// WithOwner is the object with another owner.
func (r Redirect) WithOwner(o Owner) Object { r.Mark = o; return r }

// WithOwner is the object with another owner.
func (s Sysctl) WithOwner(o Owner) Object { s.Mark = o; return s }

// WithOwner is the object with another owner.
func (f File) WithOwner(o Owner) Object { f.Mark = o; return f }

// WithOwner is the object with another owner.
func (c Claim) WithOwner(o Owner) Object { c.Mark = o; return c }

// WithOwner is the object with another owner.
func (n Network) WithOwner(o Owner) Object { n.Mark = o; return n }

// WithOwner is the object with another owner.
func (e Endpoint) WithOwner(o Owner) Object { e.Mark = o; return e }

// WithOwner is the object with another owner.
func (s Sandbox) WithOwner(o Owner) Object { s.Mark = o; return s }

// WithOwner is the object with another owner.
func (h HostRecord) WithOwner(o Owner) Object { h.Mark = o; return h }

// WithOwner is the object with another owner.
func (p Policy) WithOwner(o Owner) Object { p.Mark = o; return p }

package drivers

import (
	"cmp"

	"github.com/cnmctl/cnmctl/spec"
)

// candidate is an endpoint that can be its sandbox's way out, and for how many families.
type candidate struct {
	attachment
	families int
}

// compare puts whoever is elected first, by libnetwork's rules: the highest priority; who was
// written before the gateway bridge, which is for those who have no other way; who is a way
// out for both families, so that both go one way; the first by name of the network.
func (a candidate) compare(b candidate) int {
	return cmp.Or(
		cmp.Compare(b.Priority, a.Priority),
		bit(a.Implied)-bit(b.Implied),
		cmp.Compare(b.families, a.families),
		cmp.Compare(a.network.Name, b.network.Name),
		spec.CompareAddresses(a.Mark.Address, b.Mark.Address),
	)
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// families counts the families that an offer is a way out for.
func (o Offer) families() int {
	return bit(o.Gateway4.IsValid() || o.Direct4) + bit(o.Gateway6.IsValid() || o.Direct6)
}

package planner

import (
	"net/netip"

	"github.com/google/go-cmp/cmp"
)

// comparers compare values whose fields are not ours to look into.
var comparers = cmp.Options{
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
}

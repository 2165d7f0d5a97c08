package spec

import (
	"net/netip"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// cidrTest is a function that compares two networks or addresses.
func cidrTest(doc, first, second string, test func(a, b netip.Prefix) bool) function.Function {
	return function.New(&function.Spec{
		Description: doc,
		Params:      []function.Parameter{{Name: first, Type: cty.String}, {Name: second, Type: cty.String}},
		Type:        function.StaticReturnType(cty.Bool),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			var p [2]netip.Prefix
			for i := range p {
				text := args[i].AsString()
				if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
					p[i] = netip.PrefixFrom(a, a.BitLen())
					continue
				}
				parsed, err := netip.ParsePrefix(text)
				if err != nil {
					return cty.NilVal, function.NewArgErrorf(i, "%q is not an address or a network in CIDR notation", text)
				}
				p[i] = parsed.Masked()
			}
			return cty.BoolVal(test(p[0], p[1])), nil
		},
	})
}

var (
	cidrContainsFunc = cidrTest("Whether a network contains an address or all of another network.", "prefix", "other", func(a, b netip.Prefix) bool {
		return a.Bits() <= b.Bits() && a.Contains(b.Addr())
	})
	cidrOverlapsFunc = cidrTest("Whether two networks have an address in common.", "a", "b", netip.Prefix.Overlaps)
)

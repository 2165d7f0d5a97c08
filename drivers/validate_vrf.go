package drivers

import (
	"fmt"

	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/hcl/v2"
)

// validateVRFs checks that networks agree about the VRFs of the host that they are in.
func validateVRFs(t *spec.Topology, all []Driver) hcl.Diagnostics {
	var diags hcl.Diagnostics
	named, tables := map[string]*spec.Network{}, map[uint32]*spec.Network{}
	devices := map[string]*spec.Network{}
	for _, n := range t.Networks {
		devices[n.Device] = n
	}
	for _, n := range t.Networks {
		vrf, table := domainOf(n.Network, all)
		if vrf == "" {
			continue
		}
		refuse := func(attr, summary, format string, args ...any) {
			diags = append(diags, Refuse(n.At(n.Driver+"."+attr), summary, fmt.Sprintf(format, args...)))
		}
		at := func(other *spec.Network, attr string) string { return lineOf(other.At(other.Driver + "." + attr)) }
		if other := devices[vrf]; other != nil {
			refuse("vrf", "Name of another interface", "The VRF of %s and the interface of %s are both to be called %q. Give one of them another name.", n.Mark.Address, other.Mark.Address, vrf)
		}
		if other := named[vrf]; other != nil {
			if _, its := domainOf(other.Network, all); its != table {
				refuse("vrf_table", "Networks disagree about a VRF", "%s and %s (%s) are both in the VRF %q, but do not say the same of its table. Write the same vrf_table in both; or in none, if somebody else makes it.", n.Mark.Address, other.Mark.Address, at(other, "vrf_table"), vrf)
			}
			continue
		}
		named[vrf] = n
		if other := tables[table]; other != nil && table != 0 {
			its, _ := domainOf(other.Network, all)
			refuse("vrf_table", "Routing table of another VRF", "The VRF %q of %s would have the routing table %d, which the VRF %q of %s (%s) has: they would not be apart. Give each its own.", vrf, n.Mark.Address, table, its, other.Mark.Address, at(other, "vrf_table"))
		}
		tables[table] = n
	}
	return diags
}

// domainOf is the VRF of the host that a network is in, "" for none, and its table.
func domainOf(n state.Network, all []Driver) (vrf string, table uint32) {
	for _, d := range all {
		if in, ok := d.(Domain); ok && d.Schema().Name == n.Driver {
			return in.Domain(n)
		}
	}
	return "", 0
}

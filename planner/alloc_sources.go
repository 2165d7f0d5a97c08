package planner

import (
	"fmt"
	"net/netip"

	"github.com/cnmctl/cnmctl/spec"
	"github.com/hashicorp/hcl/v2"
)

// strangeSources warns of source addresses for translation that are none of this host's:
// replies to them would go elsewhere. Another program may add them later, or route them
// here, so it is no error. Without a look at the host nothing is known.
func strangeSources(networks []*spec.Network, host Facts) hcl.Diagnostics {
	if host.HostAddresses == nil {
		return nil
	}
	ours := map[netip.Addr]bool{}
	for _, n := range networks {
		for _, s := range n.Subnets {
			ours[s.Gateway] = true
		}
	}
	var diags hcl.Diagnostics
	for _, n := range networks {
		for _, name := range []string{"snat_ipv4", "snat_ipv6"} {
			ip, err := netip.ParseAddr(option(n.Options, name))
			if _, known := host.HostAddresses[ip]; err != nil || known || ours[ip] || ip.IsLoopback() || ip.IsLinkLocalUnicast() {
				continue
			}
			diags = append(diags, &hcl.Diagnostic{
				Severity: hcl.DiagWarning, Subject: n.At(n.Driver + "." + name), Summary: "Source address that the host has not",
				Detail: fmt.Sprintf("Packets of %s leave with the source address %s, but no interface of this host has it: replies come back only if "+
					"whoever sends them has a route to it by this host. Give the host the address, or choose one that it has.", n.Mark.Address, ip),
			})
		}
	}
	return diags
}

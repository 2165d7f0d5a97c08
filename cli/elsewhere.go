package cli

import (
	"fmt"
	"maps"
	"slices"

	"github.com/cnmctl/cnmctl/drivers"
	"github.com/cnmctl/cnmctl/spec"
	"github.com/hashicorp/hcl/v2"
)

// elsewhere warns of sandboxes that no run will ever make: they live on another host, but
// the store is one that only this host sees.
func elsewhere(t *spec.Topology, here string) hcl.Diagnostics {
	first := map[string]*spec.Sandbox{}
	for _, s := range t.Sandboxes {
		if s.Host != "" && s.Host != here && first[s.Host] == nil {
			first[s.Host] = s
		}
	}
	var diags hcl.Diagnostics
	for _, host := range slices.Sorted(maps.Keys(first)) {
		s := first[host]
		diags = append(diags, &hcl.Diagnostic{
			Severity: hcl.DiagWarning,
			Summary:  "Nobody makes this sandbox",
			Detail: fmt.Sprintf("%s lives on host %q. This is host %q, which makes only its own sandboxes, and no other host sees the local store. "+
				"Say -host=%s if this is that host, or use the store \"consul\".", s.Mark.Address, host, here, host),
			Subject: s.Range.Ptr(),
		})
	}
	return diags
}

// unregistered refuses services where there is no catalog to register them in.
func unregistered(t *spec.Topology) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for _, e := range t.Endpoints {
		if e.Service != nil {
			diags = append(diags, &hcl.Diagnostic{
				Severity: hcl.DiagError,
				Summary:  "Service without a catalog",
				Detail: fmt.Sprintf("%s shall be registered as the service %q, but the stack's records are in a local file. "+
					"Use the store \"consul\", or delete the service block.", e.Mark.Address, e.Service.Name),
				Subject: e.Range.Ptr(),
			})
		}
	}
	return diags
}

// keyless refuses networks that several hosts shall encrypt where they have no way to share
// keys.
func keyless(t *spec.Topology) hcl.Diagnostics {
	if len(t.Hosts) < 2 {
		return nil
	}
	var diags hcl.Diagnostics
	for _, n := range t.Networks {
		if n.Encrypted() {
			diags = append(diags, drivers.Refuse(n.At("overlay.encrypted"), "Keys without a shared store", fmt.Sprintf(
				"%s shall be encrypted between hosts, but the keys would be in a file that only this host sees. Use the store \"consul\", or delete encrypted.",
				n.Mark.Address)))
		}
	}
	return diags
}

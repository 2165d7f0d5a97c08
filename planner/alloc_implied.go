package planner

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"github.com/cnmctl/cnmctl/drivers"
	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/hcl/v2"
)

// Networks of tunnels have no way out: their gateways are in a namespace of their own. So
// sandboxes on them get an interface on a gateway bridge of their host, as with libnetwork
// (docker_gwbridge): a bridge network like any other, which nobody has to write.
const (
	gatewayName                  = "gwbridge"
	gatewayNetwork state.Address = "network." + gatewayName
	// gatewaySubnet is the option of networks of tunnels that says where its addresses come from.
	gatewaySubnet = "gateway_subnet"
)

// implyGateway adds the gateway bridge to the networks, if one of them needs it.
func (a *Allocator) implyGateway(t *spec.Topology) hcl.Diagnostics {
	var diags hcl.Diagnostics
	var first, sized *spec.Network
	for _, n := range inOrder(t.Networks, networkAddress) {
		switch subnet := option(n.Options, gatewaySubnet); {
		case n.Mark.Address == gatewayNetwork && !n.Implied:
			diags = append(diags, failure(&n.Range, "Reserved name", fmt.Sprintf(
				"%s is what networks that span hosts call the bridge by which their sandboxes get out. Give the block another label.", gatewayNetwork)))
		case a.traits[n.Driver].WayOut == "" || n.Internal:
		case first == nil:
			first = n
			fallthrough
		case sized == nil && subnet != "":
			if subnet != "" {
				sized = n
			}
		case subnet != "" && subnet != option(sized.Options, gatewaySubnet):
			diags = append(diags, failure(n.At(n.Driver+"."+gatewaySubnet), "Two subnets for one gateway bridge", fmt.Sprintf(
				"A host has one gateway bridge for all networks of the stack. %s wants it to have %s, and %s (%s) %s. Write the same, or write it once.",
				n.Mark.Address, subnet, sized.Mark.Address, line(sized.At(sized.Driver+"."+gatewaySubnet)), option(sized.Options, gatewaySubnet))))
		}
	}
	if first == nil || diags.HasErrors() {
		return diags
	}
	bridge := &spec.Network{Decl: spec.Decl{Range: first.Range}, Network: state.Network{
		Mark: state.Owner{Stack: t.Stack, Address: gatewayNetwork}, Name: gatewayName, Driver: a.traits[first.Driver].WayOut,
		Prefix: "eth", Options: state.Options{"icc": json.RawMessage("false")}, Implied: true,
	}}
	bridge.IPv6 = slices.ContainsFunc(t.Networks, func(n *spec.Network) bool {
		return a.traits[n.Driver].WayOut != "" && !n.Internal && (n.IPv6 || drivers.Has(n.Network, true))
	})
	if sized != nil {
		cidr, err := netip.ParsePrefix(option(sized.Options, gatewaySubnet))
		if err == nil { // else its driver has refused it
			bridge.Subnets = []state.Subnet{{CIDR: cidr.Masked()}}
			bridge.Ranges = map[string]hcl.Range{"subnet[0].cidr": *sized.At(sized.Driver + "." + gatewaySubnet)}
		}
	}
	t.Networks = append(t.Networks, bridge)
	return nil
}

// implyGatewayEndpoints attaches each sandbox that has no other way out to the gateway bridge.
// A namespace of somebody else has what ways out its owner wants it to have. What is in a
// VRF finds its way there, and has none to offer to what is not.
func (w *wiring) implyGatewayEndpoints(t *spec.Topology) bool {
	n := len(t.Endpoints)
	gotOut := func(e *spec.Endpoint) bool { return w.of(e).HostNamespace || e.VRF == "" && w.hasWayOut(e) }
	for _, s := range w.sandboxes {
		attached := w.inside[s.Mark.Address]
		if s.Foreign || !slices.ContainsFunc(attached, w.needsWayOut) || slices.ContainsFunc(attached, gotOut) {
			continue
		}
		name := s.Name
		if s.Host != "" {
			name = s.Host + "/" + s.Name
		}
		t.Endpoints = append(t.Endpoints, &spec.Endpoint{Decl: spec.Decl{Range: s.Range}, Endpoint: state.Endpoint{
			Mark: state.Owner{Stack: t.Stack, Address: state.Address("endpoint." + gatewayName + "[" + strconv.Quote(name) + "]")},
			Name: s.Name, Network: gatewayNetwork, Sandbox: s.Mark.Address, Implied: true,
		}})
	}
	return len(t.Endpoints) > n
}

// needsWayOut reports that the endpoint's sandbox shall get out, and not by the endpoint.
func (w *wiring) needsWayOut(e *spec.Endpoint) bool {
	return e.VRF == "" && w.of(e).WayOut != "" && !w.network[e.Network].Internal
}

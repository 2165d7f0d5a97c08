package drivers

import (
	"fmt"
	"slices"

	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/hcl/v2"
)

// validatePorts checks that there is a way from the host to each published port. in lists
// the endpoints of each sandbox.
func validatePorts(t *spec.Topology, all []Driver, in map[state.Address][]*spec.Endpoint) hcl.Diagnostics {
	traits := make(map[string]Traits, len(all))
	for _, d := range all {
		traits[d.Schema().Name] = d.Traits()
	}
	networks := make(map[state.Address]*spec.Network, len(t.Networks))
	for _, n := range t.Networks {
		networks[n.Mark.Address] = n
	}
	v := portValidator{traits: traits, networks: networks, in: in}
	for _, e := range t.Endpoints {
		for i, p := range e.Ports {
			if d := v.check(e, i, p); d != nil {
				v.diags = append(v.diags, d)
			}
		}
	}
	return v.diags
}

type portValidator struct {
	traits   map[string]Traits
	networks map[state.Address]*spec.Network
	in       map[state.Address][]*spec.Endpoint
	diags    hcl.Diagnostics
}

// check says what keeps a port from being published, nil if nothing does.
func (v *portValidator) check(e *spec.Endpoint, i int, p state.Port) *hcl.Diagnostic {
	n := v.networks[e.Network]
	if n == nil {
		return nil // an error already
	}
	at := func(attr string) *hcl.Range { return e.At(fmt.Sprintf("port[%d]%s", i, attr)) }
	own := v.traits[n.Driver].Of(n.Network)
	switch {
	case n.Internal:
		return Refuse(at(""), "Published port of a network without a way out", fmt.Sprintf(
			"%s is internal: nothing from outside gets in, also not by a port of the host. Remove the port block, or internal from %s.", n.Mark.Address, n.Mark.Address))
	case !own.Ports && v.traits[n.Driver].Ports:
		return Refuse(at(""), "Published port of a network in a VRF", fmt.Sprintf(
			"The host routes %s in a VRF, and what comes to its own addresses outside of that: neither would a port lead into the VRF, nor answers out of it. Remove the port block, or vrf from %s.", n.Mark.Address, n.Mark.Address))
	case !own.Ports && !own.Plugin && own.WayOut == "":
		return Refuse(at(""), "Ports cannot be published here", fmt.Sprintf(
			"The driver %q of %s has no way by which the host could lead a port to %s. Remove the port block, or attach the sandbox to a bridge network too and publish there.", n.Driver, n.Mark.Address, e.Mark.Address))
	case slices.ContainsFunc(v.in[e.Sandbox], func(o *spec.Endpoint) bool { return e.Sandbox != "" && v.onHost(o) }):
		return Refuse(at(""), "Published port of the host itself", fmt.Sprintf(
			"The sandbox of %s is the host's own namespace, where a program listens on the host's ports by itself. Remove the port block.", e.Mark.Address))
	}
	to := e
	if !own.Ports && !own.Plugin {
		if to = v.carrier(e); to == nil && e.VRF != "" {
			return Refuse(at(""), "Published port without a way in", fmt.Sprintf(
				"%s is in the VRF %q, and no endpoint in that VRF is on a network that the host can lead a port to: the gateway bridge is outside of VRFs. Attach the sandbox to a bridge network with vrf = %q and publish there, or remove the port block.", e.Mark.Address, e.VRF, e.VRF))
		} else if to == nil {
			return nil // it is attached nowhere yet
		}
	}
	for _, f := range []struct {
		ipv6, has bool
		name      string
	}{{false, to.Expects(false), "IPv4"}, {true, to.Expects(true), "IPv6"}} {
		if p.Address.IsValid() && p.Address.Is6() == f.ipv6 && !f.has && to.Expects(!f.ipv6) { // with neither, something else is wrong
			return Refuse(at(".address"), "Endpoint without an address of the family", fmt.Sprintf(
				"The port is to be published on %s, but %s has no %s address that it could lead to. Choose an address of the other family, or give %s %[3]s.", p.Address, to.Mark.Address, f.name, to.Network))
		}
	}
	return nil
}

func (v *portValidator) onHost(e *spec.Endpoint) bool {
	n := v.networks[e.Network]
	return n != nil && v.traits[n.Driver].Of(n.Network).HostNamespace
}

// carrier is an endpoint of the sandbox that can carry what another one publishes.
func (v *portValidator) carrier(e *spec.Endpoint) *spec.Endpoint {
	for _, o := range v.in[e.Sandbox] {
		if n := v.networks[o.Network]; e.Sandbox != "" && o.VRF == e.VRF && n != nil && v.traits[n.Driver].Of(n.Network).Ports && !n.Internal {
			return o
		}
	}
	return nil
}

package drivers

import (
	"slices"

	"github.com/cnmctl/cnmctl/drivers/policy"
	"github.com/cnmctl/cnmctl/state"
)

// publish finds, for each published port of this host's sandboxes, the endpoint that it
// leads to: its own, or, where its network has no way out, that by which the sandbox gets out.
func (x *expander) publish(all []Driver) {
	traits := make(map[string]Traits, len(all))
	for _, d := range all {
		traits[d.Schema().Name] = d.Traits()
	}
	x.published = map[state.Address][]Published{}
	for _, s := range x.here {
		for _, a := range s.attached {
			if len(a.Ports) == 0 || traits[a.network.Driver].Plugin {
				continue // none, or the plugin's to publish
			}
			by := a
			if !traits[a.network.Driver].Of(a.network.Network).Ports {
				var ok bool
				if by, ok = s.portCarrier(traits, a.VRF); !ok {
					continue // refused before
				}
				x.judgement = x.judgement.Through(leads(a, by))
			}
			for _, p := range a.Ports {
				x.published[by.Mark.Address] = append(x.published[by.Mark.Address], Published{Port: p, By: a.Mark})
			}
		}
	}
}

// portCarrier is the endpoint by which a sandbox gets out, among those whose networks can
// publish: by the same election as the default route, in the same routing domain.
func (s *sandbox) portCarrier(traits map[string]Traits, vrf string) (attachment, bool) {
	var stand []candidate
	for _, a := range s.attached {
		n := a.network.Network
		if traits[n.Driver].Of(n).Ports && !n.Internal && a.VRF == vrf {
			o := Offer{Gateway4: Gateway(n, a.IPv4), Gateway6: Gateway(n, a.IPv6)}
			stand = append(stand, candidate{a, o.families()})
		}
	}
	if len(stand) == 0 {
		return attachment{}, false
	}
	return slices.MinFunc(stand, candidate.compare).attachment, true
}

// leads are the ports of an endpoint that are reached at another one's addresses.
func leads(a, by attachment) []policy.Lead {
	var out []policy.Lead
	for _, p := range a.Ports {
		out = append(out, policy.Lead{
			Of: single(a.IPv4, a.IPv6), To: single(by.IPv4, by.IPv6), Protocol: p.Protocol,
			Ports: state.PortRange{First: p.Container, Last: p.Container + p.Count - 1},
		})
	}
	return out
}

// portClaims are claims on the ports of its sandbox's host that an endpoint publishes.
func portClaims(e state.Endpoint) []state.Object {
	if e.Sandbox == "" {
		return nil
	}
	var claims []state.Object
	for _, p := range e.Ports {
		if p.Host == 0 {
			continue
		}
		for i := range p.Count {
			one := p.Single(i)
			one.Container = 0 // where it leads to may change while it is held
			claims = append(claims, state.Claim{Port: one, OnHost: e.Host, Mark: e.Mark})
		}
	}
	return claims
}

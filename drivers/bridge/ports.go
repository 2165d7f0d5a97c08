package bridge

import (
	"fmt"
	"net/netip"

	"github.com/cnmctl/cnmctl/drivers"
	"github.com/cnmctl/cnmctl/state"
)

// ports are the published ports of the network's endpoints, as far as they come to rules.
type ports struct {
	elements []drivers.Elements
	// translated are the families in which a port is translated; loopback: one can be
	// reached by the host's loopback addresses.
	translated [2]bool
	loopback   bool
	seen       map[string]bool
}

// family is the index of an address family.
func family(ipv6 bool) int {
	if ipv6 {
		return 1
	}
	return 0
}

// mode is what the host does for the family.
func (n network) mode(ipv6 bool) string {
	if ipv6 {
		return n.Mode6
	}
	return n.Mode4
}

// publish collects the ports that lead to endpoints of the network.
func (n network) publish(endpoints []drivers.Attached) *ports {
	p := &ports{seen: map[string]bool{}}
	for _, e := range endpoints {
		for _, port := range e.Published {
			for _, to := range []netip.Prefix{e.IPv4, e.IPv6} {
				if to.IsValid() && port.Serves(to.Addr().Is6()) {
					n.publishPort(p, port, to.Addr())
				}
			}
		}
	}
	return p
}

// publishPort leads one port, or a run of them, to an address of an endpoint. In a routed
// network addresses are not translated, and the endpoint's own port is opened.
func (n network) publishPort(p *ports, port drivers.Published, to netip.Addr) {
	mode, f := n.mode(to.Is6()), family(to.Is6())
	translates := mode == nat || mode == natUnprotected
	if !translates && mode != routed {
		return
	}
	owner := state.RuleOwner(port.By.Address)
	for i := range port.Count {
		one := port.Single(i)
		inside := fmt.Sprintf("%s . %s . %d", to, one.Protocol, one.Container)
		if mode == routed {
			p.add([]string{drivers.Opened4, drivers.Opened6}[f], state.Element{Key: inside, Owner: owner})
			continue
		}
		p.add([]string{drivers.Published4, drivers.Published6}[f], state.Element{Key: inside, Owner: owner})
		set, key := []string{drivers.Ports4, drivers.Ports6}[f], fmt.Sprintf("%s . %d", one.Protocol, one.Host)
		if !one.Anywhere() {
			set, key = []string{drivers.PortsAt4, drivers.PortsAt6}[f], one.Address.String()+" . "+key
		}
		p.add(set, state.Element{Key: key, Data: fmt.Sprintf("%s . %d", to, one.Container), Owner: owner})
	}
	if translates {
		p.translated[f] = true
		p.loopback = p.loopback || !to.Is6() && !n.Adopt && (port.Anywhere() || port.Address.IsLoopback())
	}
}

// add adds an element to a set, unless it is there: two ports of the host may lead to one
// of an endpoint.
func (p *ports) add(set string, e state.Element) {
	if id := set + " " + e.Key; !p.seen[id] {
		p.seen[id] = true
		p.elements = append(p.elements, drivers.Elements{Set: set, Elements: []state.Element{e}})
	}
}

var loopback = mustPrefix("127.0.0.0/8")

// portRules give those a source address of the host who would otherwise be answered
// directly, past the translation: endpoints that reach a port of their own network, or of
// their own, by the host's address, and programs on the host that use a loopback address.
func (n network) portRules(p *ports) []state.FilterRule {
	masquerade := state.Statement{Verb: state.Masquerade}
	var rules []state.FilterRule
	for _, s := range n.Subnets {
		if p.translated[family(s.CIDR.Addr().Is6())] {
			rules = append(rules, n.rule(masquerade, state.FromAddr(s.CIDR), state.ToLink(n.Device), state.Translated()))
		}
	}
	if p.loopback {
		rules = append(rules, n.rule(masquerade, state.FromAddr(loopback), state.ToLink(n.Device)))
	}
	return rules
}

// loopbackRoute has the kernel route the host's loopback addresses on the bridge, and
// nowhere else; the rules that keep endpoints from using that stand before. IPv6 has no
// such switch.
func (n network) loopbackRoute(p *ports) []state.Object {
	if !p.loopback {
		return nil
	}
	return []state.Object{state.Sysctl{
		Place: state.Host, Path: "net/ipv4/conf/" + n.Device + "/route_localnet", Value: "1",
		Link: n.Device, Mark: n.Mark, Guard: n.guard(),
	}}
}

// portElements are the network's ports, and its place among those with loopback routes.
func (n network) portElements(p *ports) []drivers.Elements {
	elements := p.elements
	if p.loopback {
		elements = append(elements, drivers.Elements{Set: drivers.Loopback, Elements: []state.Element{
			{Key: n.Device, Owner: state.RuleOwner(n.Mark.Address)},
		}})
	}
	return elements
}

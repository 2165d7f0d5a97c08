package planner

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/hcl/v2"
)

// HeldPort is a port of the host that an endpoint has, with where it leads.
type HeldPort struct {
	Protocol        string
	Address         netip.Addr
	Host, Container uint16
}

// portBook says who has which port of which host.
type portBook map[bookedPort][]portHolder

type bookedPort struct {
	host, protocol string
	port           uint16
}

// portHolder is one who has a port on an address.
type portHolder struct {
	address netip.Addr
	who     string
	program bool
}

// holder is who has the port on the address, or on all of them.
func (w *wiring) holder(book portBook, e *spec.Endpoint, p state.Port) (string, bool) {
	host := w.hostOf(e)
	for _, h := range book[bookedPort{host, p.Protocol, p.Host}] {
		if state.SharesAddress(h.address, p.Address) && !(h.program && w.publishes(e, p)) {
			return h.who, true
		}
	}
	return "", false
}

// publishes reports that the endpoint has the port of the host already. A program that listens
// there as well has come later, which takes nothing from the endpoint, or is how a plugin
// publishes it.
func (w *wiring) publishes(e *spec.Endpoint, p state.Port) bool {
	here := slices.Clone(w.held.Published[state.RuleOwner(e.Mark.Address)])
	if old, ok := w.held.Records[e.Key()].(state.Endpoint); ok && (old.Host == "" || old.Host == w.hostOf(e)) {
		here = append(here, heldPorts(old)...)
	}
	return slices.ContainsFunc(here, func(h HeldPort) bool {
		return h.Protocol == p.Protocol && h.Host == p.Host && (h.Address == p.Address || !h.Address.IsValid() && p.Anywhere())
	})
}

// heldPorts are the ports of the host that an endpoint's record says it has, one by one.
func heldPorts(e state.Endpoint) (held []HeldPort) {
	for _, p := range e.Ports {
		for i := range p.Count {
			if one := p.Single(i); one.Host != 0 {
				held = append(held, HeldPort{one.Protocol, one.Address, one.Host, one.Container})
			}
		}
	}
	return held
}

func (b portBook) take(host string, p state.Port, h portHolder) {
	k := bookedPort{host, p.Protocol, p.Host}
	h.address = p.Address
	b[k] = append(b[k], h)
}

// allocatePorts gives each published port one of its sandbox's host: what is written, what
// it has already, or the lowest that is free. What others hold is known of this host only.
func (w *wiring) allocatePorts() hcl.Diagnostics {
	book := portBook{}
	for _, h := range w.held.Facts.Holders {
		book.take(w.held.Facts.Host, state.Port{Protocol: h.Protocol, Address: h.Address, Host: h.Port}, portHolder{who: h.Who, program: h.Program})
	}
	var diags hcl.Diagnostics
	for _, e := range w.endpoints {
		for i := range e.Ports {
			if e.Ports[i].Host != 0 && e.Sandbox != "" {
				diags = append(diags, w.takeWrittenPort(book, e, i)...)
			}
		}
	}
	for _, e := range w.endpoints {
		w.eachOpenPort(e, func(i int) { w.takeHeldPort(book, e, i) })
	}
	for _, e := range w.endpoints {
		w.eachOpenPort(e, func(i int) { diags = append(diags, w.takeLowestPort(book, e, i)...) })
	}
	return diags
}

// eachOpenPort calls f for the ports of an endpoint that are still to be chosen.
func (w *wiring) eachOpenPort(e *spec.Endpoint, f func(i int)) {
	for i, p := range e.Ports {
		if p.Host == 0 && e.Sandbox != "" && i < len(e.PortsFrom) && e.PortsFrom[i].First != 0 && w.translated(e, p) {
			f(i)
		}
	}
}

// translated reports that a port of the host leads to the endpoint. Where all is routed,
// the endpoint's own port is all there is.
func (w *wiring) translated(e *spec.Endpoint, p state.Port) bool {
	n := w.network[e.Network]
	if n == nil || !w.of(e).Ports {
		return n != nil
	}
	return p.Serves(false) && e.Expects(false) && option(n.Options, "gateway_mode_ipv4") != "routed" ||
		p.Serves(true) && e.Expects(true) && option(n.Options, "gateway_mode_ipv6") != "routed"
}

// hostOf is the host of the endpoint's sandbox: one that has none lives on this host.
func (w *wiring) hostOf(e *spec.Endpoint) string {
	if s := w.sandbox[e.Sandbox]; s != nil && s.Host != "" {
		return s.Host
	}
	return w.held.Facts.Host
}

// takeWrittenPort gives an endpoint the ports that its block names. Those who come after
// another one are told about it.
func (w *wiring) takeWrittenPort(book portBook, e *spec.Endpoint, i int) hcl.Diagnostics {
	p, host := e.Ports[i], w.hostOf(e)
	for k := range p.Count {
		if who, taken := w.holder(book, e, p.Single(k)); taken {
			return hcl.Diagnostics{failure(e.At(portAttr(i, "host")), "Port already in use", fmt.Sprintf(
				"%s publishes %s, which is held by %s%s. Choose another port, publish on another address of the host, or leave host out to have a free port chosen.",
				e.Mark.Address, portText(p.Single(k)), who, onHost(host)))}
		}
	}
	w.bookPort(book, e, i)
	return nil
}

func (w *wiring) bookPort(book portBook, e *spec.Endpoint, i int) {
	who := string(e.Mark.Address) + " (" + line(e.At(portAttr(i, "host"))) + ")"
	for k := range e.Ports[i].Count {
		book.take(w.hostOf(e), e.Ports[i].Single(k), portHolder{who: who})
	}
}

// takeHeldPort gives an endpoint the ports that it has already, if nothing is against it.
func (w *wiring) takeHeldPort(book portBook, e *spec.Endpoint, i int) {
	for _, h := range w.held.portsOf(e.Mark.Address) {
		p := e.Ports[i]
		same := h.Address == p.Address || !h.Address.IsValid() && p.Anywhere() // rules know no family of "all"
		if h.Protocol == p.Protocol && h.Container == p.Container && same && w.give(book, e, i, h.Host) {
			return
		}
	}
}

// takeLowestPort gives an endpoint the lowest free ports of where they may come from.
func (w *wiring) takeLowestPort(book portBook, e *spec.Endpoint, i int) hcl.Diagnostics {
	from := e.PortsFrom[i]
	for first := int(from.First); first+int(e.Ports[i].Count)-1 <= int(from.Last); first++ {
		if w.give(book, e, i, uint16(first)) {
			return nil
		}
	}
	return hcl.Diagnostics{failure(e.At(portAttr(i, "host")), "No free port", fmt.Sprintf(
		"%s needs %s of the host out of %s, and all are in use. Give it a wider range, or a port of its own.",
		e.Mark.Address, plural(int(e.Ports[i].Count), "port"), from))}
}

// give gives an endpoint the run of ports that begins with first, if all are free.
func (w *wiring) give(book portBook, e *spec.Endpoint, i int, first uint16) bool {
	p, from := e.Ports[i], e.PortsFrom[i]
	if first < from.First || int(first)+int(p.Count)-1 > int(from.Last) {
		return false
	}
	p.Host = first
	for k := range p.Count {
		if _, taken := w.holder(book, e, p.Single(k)); taken {
			return false
		}
	}
	e.Ports[i] = p
	w.bookPort(book, e, i)
	return true
}

func portAttr(i int, name string) string { return "port[" + strconv.Itoa(i) + "]." + name }

// portText is a port of the host in a sentence.
func portText(p state.Port) string {
	text := "the host's port " + strconv.Itoa(int(p.Host)) + "/" + p.Protocol
	if p.Address.IsValid() {
		text += " on " + p.Address.String()
	}
	return text
}

func onHost(name string) string {
	if name == "" {
		return ""
	}
	return " on host " + name
}

// portsOf are the ports that the endpoint has, the best witness first.
func (h Held) portsOf(a state.Address) []HeldPort {
	return confirmed(h.Endpoints[a].Ports, h.Published[state.RuleOwner(a)])
}

// addPublished adds the ports that a live table leads somewhere, by the owners as they are
// written there.
func (h Held) addPublished(r state.Ruleset) {
	for _, s := range r.Sets {
		for _, e := range s.Elements {
			if p, leads := state.PublishedPort(s, e); leads {
				h.Published[e.Owner] = append(h.Published[e.Owner], HeldPort{p.Protocol, p.Address, p.Host, p.Container})
			}
		}
	}
}

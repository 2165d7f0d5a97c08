package policy

import (
	"net/netip"

	"github.com/cnmctl/cnmctl/state"
)

// Lead is a published port of somebody who is reached by it at an address that is not his:
// what comes from outside to a network without a way in comes by another network of the
// sandbox, and has that one's addresses.
type Lead struct {
	// Of are the addresses of who publishes, To those that the port leads to.
	Of, To   []netip.Prefix
	Protocol string
	Ports    state.PortRange
}

// Through says of the ports what is said of those who publish them.
func (j Judgement) Through(leads []Lead) Judgement {
	var more Judgement
	for _, l := range leads {
		more.denied = append(append(more.denied, l.through(j.shut)...), l.through(j.denied)...)
		more.allowed = append(more.allowed, l.through(j.allowed)...)
		more.closedPorts = append(more.closedPorts, l.through(j.closed)...)
	}
	return j.And(more)
}

// through are those of the flows that come by the port.
func (l Lead) through(list []flows) []flows {
	of, to := spansOf(l.Of...), spansOf(l.To...)
	var out []flows
	for _, f := range list {
		if len(f.dst.and(of)) == 0 || f.protocol != "" && f.protocol != l.Protocol {
			continue
		}
		if f.ports = l.common(f.ports); len(f.ports) == 0 {
			continue
		}
		f.dst, f.protocol = to, l.Protocol
		out = append(out, f)
	}
	return out
}

// common are those of some ports that are published; of none, which are all, the published ones.
func (l Lead) common(ports []state.PortRange) []state.PortRange {
	if len(ports) == 0 {
		return []state.PortRange{l.Ports}
	}
	var out []state.PortRange
	for _, p := range ports {
		both := state.PortRange{First: max(p.First, l.Ports.First), Last: min(p.Last, l.Ports.Last)}
		if both.First <= both.Last {
			out = append(out, both)
		}
	}
	return out
}

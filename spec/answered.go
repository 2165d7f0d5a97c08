package spec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"

	"github.com/cnmctl/cnmctl/state"
)

// networkText is an attribute of a network that may have to be chosen, "" for none.
func networkText(n *state.Network, attr string) string {
	first := func(six bool) state.Subnet {
		for _, s := range n.Subnets {
			if s.CIDR.Addr().Is6() == six {
				return s
			}
		}
		return state.Subnet{}
	}
	switch attr {
	case "device":
		return n.Device
	case "cidr":
		return prefixText(first(false).CIDR)
	case "cidr_ipv6":
		return prefixText(first(true).CIDR)
	case "gateway":
		return addrText(first(false).Gateway)
	case "gateway_ipv6":
		return addrText(first(true).Gateway)
	}
	return ""
}

// endpointText is an attribute of an endpoint on a network that may have to be chosen, ""
// for none.
func endpointText(e *state.Endpoint, on *state.Network, attr string) string {
	switch attr {
	case "ipv4":
		return addrText(e.IPv4.Addr())
	case "ipv6":
		return addrText(e.IPv6.Addr())
	case "ipv4_cidr":
		return prefixText(e.IPv4)
	case "ipv6_cidr":
		return prefixText(e.IPv6)
	case "mac":
		return e.MAC.String()
	case "interface":
		return e.Interface
	case "gateway":
		return gatewayText(on, e.IPv4)
	case "gateway_ipv6":
		return gatewayText(on, e.IPv6)
	}
	return ""
}

// gatewayText is the gateway of the network for an address in it.
func gatewayText(n *state.Network, p netip.Prefix) string {
	if !p.IsValid() {
		return ""
	}
	for _, s := range n.Subnets {
		if s.CIDR.Contains(p.Addr()) {
			return addrText(s.Gateway)
		}
	}
	return ""
}

// The attributes that a plugin may have to give.
var (
	assignedToNetwork  = []string{"cidr", "cidr_ipv6", "gateway", "gateway_ipv6"}
	assignedToEndpoint = []string{"ipv4", "ipv6", "ipv4_cidr", "ipv6_cidr", "mac", "interface", "gateway", "gateway_ipv6"}
)

// Answers fills in what plugins have given since, for outputs that were evaluated before:
// a saved plan has no configuration to evaluate them again.
type Answers struct{ pairs map[string]string }

// AnswersIn are the answers that the records of a world tell of.
func AnswersIn(w state.World) Answers {
	a := Answers{map[string]string{}}
	for _, o := range w {
		switch o := o.(type) {
		case state.Network:
			for _, attr := range assignedToNetwork {
				a.note(o.Mark.Address, attr, networkText(&o, attr))
			}
		case state.Endpoint:
			on, _ := w[state.RecordKey(state.KindNetwork, o.Network)].(state.Network)
			for _, attr := range assignedToEndpoint {
				a.note(o.Mark.Address, attr, endpointText(&o, &on, attr))
			}
		}
	}
	return a
}

func (a Answers) note(of state.Address, attr, text string) {
	if text != "" {
		a.pairs[state.AssignedTo(of, attr)] = text
	}
}

// Fill is the output with what is known by now.
func (a Answers) Fill(o state.Output) (state.Output, error) {
	dec := json.NewDecoder(bytes.NewReader(o.Value))
	dec.UseNumber()
	var v any
	err := dec.Decode(&v)
	if err == nil {
		o.Value, err = json.Marshal(a.fill(v))
	}
	if err != nil {
		return o, fmt.Errorf("filling in output %q: %w", o.Name(), err)
	}
	return o, nil
}

func (a Answers) fill(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, e := range v {
			v[name] = a.fill(e)
		}
	case []any:
		for i, e := range v {
			v[i] = a.fill(e)
		}
	case string:
		for from, to := range a.pairs {
			if v == from || strings.Contains(v, from) {
				v = strings.ReplaceAll(v, from, to)
			}
		}
		return v
	}
	return v
}

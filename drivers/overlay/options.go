package overlay

import (
	"errors"
	"fmt"
	"math/big"
	"net/netip"

	"github.com/cnmctl/cnmctl/drivers"
	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
	"github.com/zclconf/go-cty/cty"
)

// options are the network's, by the names in the schema. Which VNIs it has is in its record.
type options struct {
	VNIs          []uint32 `json:"vnis"`
	Port          uint16   `json:"port"`
	Offload       bool     `json:"checksum_offload"`
	GatewaySubnet string   `json:"gateway_subnet"`
	Encrypted     bool     `json:"encrypted"`
}

// decode reads the options over their defaults, so that a record without one of them (of
// an older version) means what it meant.
func decode(o state.Options) (options, error) {
	v := options{Port: state.VXLANPort}
	if err := o.Decode(&v); err != nil {
		return v, fmt.Errorf("reading the overlay options: %w", err)
	}
	return v, nil
}

// Schema is what may be written in an overlay block.
func (Driver) Schema() spec.DriverSchema {
	return spec.DriverSchema{
		Name: "overlay",
		Doc: "One network on several hosts: VXLAN tunnels join what is on each host. The hosts and the ends of their tunnels are `host` blocks, and each sandbox says on which `host` it is.\n\n" +
			"Every host knows where every endpoint is, so nothing is flooded or asked for across the tunnels, and no multicast or broadcast leaves a host. " +
			"The MTU is what the smallest of the hosts' underlays leaves after the tunnel's headers (50 bytes over IPv4, 70 over IPv6): 1450 by default, 1416 when `encrypted`. " +
			"Several subnets are joined by routes. Sandboxes get out of a network that is not `internal` by a second interface, on a bridge that the stack has on each of its hosts " +
			"(`network.gwbridge`; its endpoints do not reach each other, and have the host's address outside), unless they are on another network that is a way out.",
		Network: spec.Schema{Name: "overlay", Doc: "Options of an overlay network.", Attrs: []spec.AttrSchema{
			{Name: "vnis", Type: cty.List(cty.Number), Check: checkVNIs,
				Doc: "The VXLAN network identifiers: the first for the first IPv4 and the first IPv6 subnet, and so on. Chosen from 256 up when absent, so that no two networks of a store share one."},
			{Name: "port", Type: cty.Number, Default: cty.NumberIntVal(state.VXLANPort), Check: between(1, 65535),
				Doc: "The UDP port of the tunnels."},
			{Name: "checksum_offload", Type: cty.Bool, Default: cty.False,
				Doc: "Leave checksums and segmentation of what goes into a tunnel to the network card. It is faster, and where cards or drivers get it wrong, pings pass and TCP does not."},
			{Name: "encrypted", Type: cty.Bool, Default: cty.False,
				Doc: "Encrypt what hosts send each other (IPsec: ESP with AES-GCM), and drop what is not encrypted, either way. The keys are in Consul, and `cnmctl key rotate` renews them. The MTU is 34 bytes less."},
			{Name: "gateway_subnet", Type: cty.String, Check: checkGatewaySubnet,
				Doc: "The subnet of the bridge by which sandboxes get out, the same for all overlay networks of the stack, as in `172.18.0.0/16`. A free one is chosen from the default pools when absent."},
			drivers.HostBinding(),
		}},
		PortAddress: "host_binding",
		Endpoint:    spec.Schema{Name: "overlay", Doc: "An endpoint of an overlay network has no options of its own."},
	}
}

func checkVNIs(v cty.Value) error {
	if v.LengthInt() == 0 {
		return errors.New("the list is empty; leave it out to have VNIs chosen")
	}
	for it := v.ElementIterator(); it.Next(); {
		_, vni := it.Element()
		if vni.IsNull() || !vni.IsKnown() {
			return errors.New("a VNI is null")
		}
		if err := between(1, 1<<24-1)(vni); err != nil {
			return err
		}
	}
	return nil
}

func between(low, high int64) func(cty.Value) error {
	return func(v cty.Value) error {
		n, accuracy := v.AsBigFloat().Int64()
		if accuracy != big.Exact || n < low || n > high {
			return fmt.Errorf("%s is not a whole number from %d to %d", v.AsBigFloat().Text('g', 12), low, high)
		}
		return nil
	}
}

func checkGatewaySubnet(v cty.Value) error {
	p, err := netip.ParsePrefix(v.AsString())
	switch {
	case err != nil || !p.Addr().Is4() || p.Masked() != p:
		return fmt.Errorf("%q is not an IPv4 subnet, as in \"172.18.0.0/16\"", v.AsString())
	case p.Bits() < 8 || p.Bits() > 29:
		return fmt.Errorf("%q has a length of %d bits; 8 to 29 leave room for sandboxes", v.AsString(), p.Bits())
	}
	return nil
}

// Overhead of a tunnel: outer Ethernet header, IP header, UDP and VXLAN header.
const (
	overhead4 = 14 + 20 + 8 + 8
	overhead6 = 14 + 40 + 8 + 8
)

// Overhead of encryption in transport mode (RFC 4303, section 2; RFC 4106, sections 3 and
// 6): SPI and sequence number, IV, and tag; and within, the length of the padding and the
// next header. Padding makes what is encrypted a multiple of four.
const (
	espAround  = 8 + 8 + 16
	espTrailer = 2
	espAlign   = 4
)

// room is what an underlay leaves for frames' payloads.
func (n network) room(mtu int, ipv6 bool) int {
	const ethernet, ip4, ip6 = 14, 20, 40
	overhead, ip := overhead4, ip4
	if ipv6 {
		overhead, ip = overhead6, ip6
	}
	if !n.Encrypted {
		return mtu - overhead
	}
	encrypted := (mtu - ip - espAround) / espAlign * espAlign
	return encrypted - espTrailer - (overhead - ip)
}

// mtu is the network's: as written, or what the smallest underlay of all hosts leaves.
func (n network) mtu() int {
	if n.Network.MTU != 0 {
		return n.Network.MTU
	}
	mtu := n.room(state.EthernetMTU, false)
	for i, h := range n.Hosts {
		under := h.MTU
		if under == 0 {
			under = state.EthernetMTU
		}
		if room := n.room(under, h.VTEP.Is6()); i == 0 || room < mtu {
			mtu = room
		}
	}
	return mtu
}

// vtep is where tunnels to the host end; zero when it is not known.
func (n network) vtep(host string) netip.Addr {
	for _, h := range n.Hosts {
		if h.Name == host {
			return h.VTEP
		}
	}
	return netip.Addr{}
}

// segments is how many tunnels the network has on a host, and VNIs.
func segments(n state.Network) int { return max(families(n)) }

// families counts the subnets.
func families(n state.Network) (v4, v6 int) {
	for _, s := range n.Subnets {
		if s.CIDR.Addr().Is4() {
			v4++
		} else {
			v6++
		}
	}
	return v4, v6
}

// segment is the one that an endpoint is in: that of its IPv4 address, if it has one. Its
// frames of both families go by one tunnel, because they have one MAC.
func segment(n state.Network, e state.Endpoint) int {
	at := e.IPv4
	if !at.IsValid() {
		at = e.IPv6
	}
	i := 0
	for _, s := range n.Subnets {
		if s.CIDR.Addr().Is4() != at.Addr().Is4() {
			continue
		}
		if s.CIDR.Contains(at.Addr()) {
			return i
		}
		i++
	}
	return 0
}

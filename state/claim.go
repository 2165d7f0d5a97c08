package state

import (
	"net/netip"
	"strconv"
)

// Claim says that an endpoint holds an address of a network or a port of a host, or a
// network a VXLAN network identifier. Claims are create-only: two who want the same thing at once cannot both have
// it.
type Claim struct {
	// Network is the address of the network's block; "" when VNI is claimed.
	Network Address
	IP      netip.Addr
	// VNI is the number that is claimed in the place of an address. All stacks of a store
	// share one number space.
	VNI uint32 `json:",omitempty"`
	// Port is the published port that is claimed in the place of an address, OnHost the
	// host that it is one of ("" for the only host).
	Port   Port   `json:",omitzero"`
	OnHost string `json:",omitempty"`
	// Mark is the endpoint that holds the address or the port (or the network, for its
	// gateway and its VNI).
	Mark Owner
}

// VNIKey is the key of the claim on a VNI. In a snapshot of a store, the claims of other
// stacks are Foreign.
func VNIKey(vni uint32) Key {
	return Key{KindClaim, Store, vniName + strconv.FormatUint(uint64(vni), 10)}
}

// vniName begins the names of claims on VNIs. No network's address begins like it.
const vniName = "vni "

// ParseVNIKey is the VNI that a key is the claim on, and whether it is one.
func ParseVNIKey(k Key) (vni uint32, ok bool) {
	if k.Kind != KindClaim || len(k.Name) <= len(vniName) || k.Name[:len(vniName)] != vniName {
		return 0, false
	}
	n, err := strconv.ParseUint(k.Name[len(vniName):], 10, 24)
	return uint32(n), err == nil
}

// Key is network and address, or the VNI: the layout of the store's
// claim/<network>/<address> and claim/vni/<number>.
func (c Claim) Key() Key {
	if c.VNI != 0 {
		return VNIKey(c.VNI)
	}
	if c.Port.Host != 0 {
		return Key{KindClaim, Store, "port " + c.OnHost + " " + c.portText()}
	}
	return Key{KindClaim, Store, string(c.Network) + " " + c.IP.String()}
}

// String is what is claimed, in words.
func (c Claim) String() string {
	if c.VNI != 0 {
		return "VNI " + strconv.FormatUint(uint64(c.VNI), 10)
	}
	if c.Port.Host != 0 {
		return "port " + c.portText() + " of " + hostText(c.OnHost)
	}
	return c.IP.String() + " of " + string(c.Network)
}

// portText is protocol, address and number: tcp *:8080.
func (c Claim) portText() string {
	return c.Port.Protocol + " " + c.PortAddress()
}

// PortAddress is the claimed port with its address, "*" for all: *:8080, [::]:8080.
func (c Claim) PortAddress() string {
	if !c.Port.Address.IsValid() {
		return "*:" + strconv.Itoa(int(c.Port.Host))
	}
	return netip.AddrPortFrom(c.Port.Address, c.Port.Host).String()
}

// Owner is who holds the address.
func (c Claim) Owner() Owner { return c.Mark }

// Needs is nothing: a claim is the first thing made and the last released.
func (c Claim) Needs() []Key { return nil }

// Inside is nothing.
func (c Claim) Inside() []Key { return nil }

// Attrs is the holder, which cannot be changed: claims are released and taken.
func (c Claim) Attrs() []Attr {
	return []Attr{{Name: "holder", Value: string(c.Mark.Address), Fixed: true}}
}

// hostText is a host in a sentence.
func hostText(name string) string {
	if name == "" {
		return "the host"
	}
	return "host " + name
}

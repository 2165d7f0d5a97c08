package state

import (
	"net/netip"
	"strconv"
	"strings"
)

// Port is a published port of an endpoint, or a run of them: Count ports of the host, from
// Host up, that lead to as many of the endpoint, from Container up.
type Port struct {
	// Protocol is "tcp", "udp" or "sctp".
	Protocol string `json:"protocol"`
	// Address is the host's address that the port is published on. The zero Addr is all
	// of the host's addresses, of the families that the endpoint has; 0.0.0.0 and :: are
	// all of one family.
	Address netip.Addr `json:"address,omitzero"`
	// Host is 0 while it is to be chosen, and where addresses are not translated.
	Host      uint16 `json:"host,omitempty"`
	Container uint16 `json:"container"`
	Count     uint16 `json:"count"`
}

// Serves reports that the port is published on addresses of the family.
func (p Port) Serves(ipv6 bool) bool { return !p.Address.IsValid() || p.Address.Is6() == ipv6 }

// Anywhere reports that the port is published on all of the host's addresses of a family.
func (p Port) Anywhere() bool { return !p.Address.IsValid() || p.Address.IsUnspecified() }

// Single is the i-th port of the run by itself.
func (p Port) Single(i uint16) Port {
	p.Container, p.Count = p.Container+i, 1
	if p.Host != 0 {
		p.Host += i
	}
	return p
}

// String is the port as a literal: { host = 8080, container = 80, protocol = "tcp" }.
func (p Port) String() string {
	var b strings.Builder
	b.WriteString("{ ")
	if p.Host != 0 {
		b.WriteString("host = " + portRun(p.Host, p.Count) + ", ")
	}
	b.WriteString("container = " + portRun(p.Container, p.Count) + ", protocol = " + strconv.Quote(p.Protocol))
	if p.Address.IsValid() {
		b.WriteString(", address = " + strconv.Quote(p.Address.String()))
	}
	return b.String() + " }"
}

// portRun is 80, or "80-89".
func portRun(first, count uint16) string {
	if count <= 1 {
		return strconv.Itoa(int(first))
	}
	return strconv.Quote(PortRange{first, first + count - 1}.String())
}

// PortRange is a run of port numbers, both ends included.
type PortRange struct{ First, Last uint16 }

// Size is how many ports are in the range.
func (r PortRange) Size() int { return int(r.Last) - int(r.First) + 1 }

// String is 80, or 80-89.
func (r PortRange) String() string {
	if r.First == r.Last {
		return strconv.Itoa(int(r.First))
	}
	return strconv.Itoa(int(r.First)) + "-" + strconv.Itoa(int(r.Last))
}

// PortHolder is somebody who has a port of this host: a program that listens on it, or
// another stack that publishes it.
type PortHolder struct {
	Protocol string
	// Address is what it is held on; the zero Addr is all addresses of both families,
	// 0.0.0.0 and :: are all of one.
	Address netip.Addr
	Port    uint16
	// Who says who it is: "sshd (process 812)", "endpoint.web of stack shop".
	Who string
	// Program: it is one that listens, and hears who does not come by a rule.
	Program bool
}

// SharesAddress reports that something on address a is also on b, where the zero Addr and
// the unspecified ones stand for all addresses.
func SharesAddress(a, b netip.Addr) bool {
	switch {
	case !a.IsValid() || !b.IsValid() || a == b:
		return true
	case a.Is6() != b.Is6():
		return false
	}
	return a.IsUnspecified() || b.IsUnspecified()
}

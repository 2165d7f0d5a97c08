package kernel

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/cnmctl/cnmctl/state"
	"golang.org/x/sys/unix"
)

// Connections are translated as they were when they began. One that goes to a port which
// now leads elsewhere, or nowhere, would go on as before for as long as it sends packets (a
// client of UDP, for ever), so the kernel is made to forget it.

// hostPort is a published port: the zero Addr is all addresses of the family.
type hostPort struct {
	ipv6     bool
	protocol uint8
	address  netip.Addr
	port     uint16
}

// publishedPorts are the ports that maps of a table lead somewhere.
func publishedPorts(o state.Object) map[hostPort]netip.AddrPort {
	ports := map[hostPort]netip.AddrPort{}
	r, _ := o.(state.Ruleset)
	for _, s := range r.Sets {
		if s.Data != state.AddrPort4 && s.Data != state.AddrPort6 {
			continue
		}
		for _, e := range s.Elements {
			from, okFrom := parseHostPort(e.Key, s.Data == state.AddrPort6)
			to, okTo := parseTarget(e.Data)
			if okFrom && okTo {
				ports[from] = to
			}
		}
	}
	return ports
}

// parseHostPort reads a key: "tcp . 8080", or "192.0.2.1 . tcp . 8080".
func parseHostPort(text string, ipv6 bool) (p hostPort, ok bool) {
	parts := strings.Split(text, " . ")
	p.ipv6 = ipv6
	if len(parts) == 3 {
		p.address, _ = netip.ParseAddr(parts[0])
		parts = parts[1:]
	}
	if len(parts) != 2 {
		return p, false
	}
	proto, err := protoNumber(parts[0])
	port, more := strconv.ParseUint(parts[1], 10, 16)
	p.protocol, p.port = proto, uint16(port)
	return p, err == nil && more == nil
}

// parseTarget reads what a key leads to: "10.1.0.2 . 80".
func parseTarget(text string) (netip.AddrPort, bool) {
	ip, port, _ := strings.Cut(text, " . ")
	a, err := netip.ParseAddr(ip)
	n, more := strconv.ParseUint(port, 10, 16)
	return netip.AddrPortFrom(a, uint16(n)), err == nil && more == nil
}

// forgetStale makes the kernel forget the connections, in the namespace of the calling
// thread, that an op on a table has set right.
func (c *filterConn) forgetStale(op state.Op) error {
	stale := staleFlows{gone: map[hostPort]netip.AddrPort{}, come: map[hostPort]bool{}}
	old, now := publishedPorts(op.Before), publishedPorts(op.After)
	for p, to := range old {
		if now[p] != to {
			stale.gone[p] = to
		}
	}
	for p := range now {
		if _, was := old[p]; !was && p.protocol == unix.IPPROTO_UDP {
			stale.come[p] = true
		}
	}
	return stale.forget(c)
}

// staleFlows tells the connections to forget.
type staleFlows struct {
	// gone are ports that no longer lead where they did.
	gone map[hostPort]netip.AddrPort
	// come are ports that were nobody's: who sent there all the same was heard by the host,
	// and would be further on.
	come  map[hostPort]bool
	local map[netip.Addr]bool
}

func (s *staleFlows) forget(c *filterConn) error {
	if len(s.gone)+len(s.come) == 0 {
		return nil
	}
	if len(s.come) > 0 {
		if err := s.readLocal(); err != nil {
			return fmt.Errorf("reading the host's addresses: %w", err)
		}
	}
	families := map[bool]bool{}
	for p := range s.gone {
		families[p.ipv6] = true
	}
	for p := range s.come {
		families[p.ipv6] = true
	}
	for ipv6 := range families {
		family := uint8(unix.AF_INET)
		if ipv6 {
			family = unix.AF_INET6
		}
		// Somebody else may have deleted it; a kernel without CONFIG_NF_CT_NETLINK says
		// EINVAL, and shows connections to nobody.
		if err := c.forgetFlows(family, s.match); err != nil && !isAny(err, unix.ENOENT, unix.EINVAL, unix.EOPNOTSUPP, unix.EPROTONOSUPPORT) {
			return fmt.Errorf("forgetting the connections of changed ports: %w", err)
		}
	}
	return nil
}

func (s *staleFlows) readLocal() error {
	c, err := openConn(newBuffers())
	if err != nil {
		return err
	}
	defer c.close()
	list, err := c.addresses(noCancel)
	s.local = map[netip.Addr]bool{}
	for _, a := range list {
		s.local[a.prefix.Addr()] = true
	}
	return err
}

// match reports that a connection is stale.
func (s *staleFlows) match(f flow) bool {
	to, server := f.to.Addr(), f.server
	for _, address := range []netip.Addr{{}, to} {
		p := hostPort{to.Is6(), f.protocol, address, f.to.Port()}
		if was, gone := s.gone[p]; gone && was == server && f.to != server {
			return true // who came to the server's own address, also of another one with it in a VRF, is not concerned
		}
		if s.come[p] && server.Addr() == to && s.local[to] {
			return true
		}
	}
	return false
}

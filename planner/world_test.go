package planner

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/cnmctl/cnmctl/state"
)

// The small worlds of these tests: networks on bridges, sandboxes, and endpoints between
// them, as drivers would lower them.

const testStack = "shop"

func mark(a state.Address) state.Owner { return state.Owner{Stack: testStack, Address: a} }

// netOpt and the like are what a test changes of the usual block.
type world struct {
	state.World
	nets map[string]state.Network
}

func newWorld() *world { return &world{state.World{}, map[string]state.Network{}} }

// network adds a bridge network 10.<n>.0.0/24.
func (w *world) network(name string, n int, change ...func(*state.Network)) *world {
	net := state.Network{
		Mark: mark(state.Address("network." + name)), Name: name, Driver: "bridge", Device: "br-" + name, Prefix: "eth",
		Subnets: []state.Subnet{{CIDR: prefix("10.%d.0.0/24", n), Gateway: addr("10.%d.0.1", n)}},
	}
	for _, c := range change {
		c(&net)
	}
	w.nets[name] = net
	gateway := netip.PrefixFrom(net.Subnets[0].Gateway, net.Subnets[0].CIDR.Bits())
	w.Add(net,
		state.Claim{Network: net.Mark.Address, IP: gateway.Addr(), Mark: net.Mark},
		state.Link{Place: state.Host, Name: net.Device, Mark: net.Mark, Type: state.Bridge, MTU: net.MTU, MAC: mac(n, 1), Up: true},
		state.IPAddress{Place: state.Host, Link: net.Device, Prefix: gateway, Mark: net.Mark},
	)
	return w
}

// sandbox adds a named namespace with a hosts file.
func (w *world) sandbox(name string, hosts string) *world {
	a := state.Address("sandbox." + name)
	ns := "shop-" + plain(name)
	w.Add(
		state.Sandbox{Mark: mark(a), Name: plain(name), Netns: ns},
		state.Namespace{Name: ns, Mark: mark(a)},
		state.Sysctl{Place: state.Netns(ns), Path: "net/ipv4/ip_forward", Value: "0", Mark: mark(a)},
		state.File{Place: state.Netns(ns), Name: "hosts", Content: "# cnm:shop:\n127.0.0.1 localhost\n" + hosts, Mark: mark(a)},
	)
	return w
}

// endpoint joins a sandbox to a network with the address 10.<net>.0.<host>.
func (w *world) endpoint(name, network, sandbox string, host int, change ...func(*state.Endpoint)) *world {
	a := state.Address("endpoint." + name)
	net := w.nets[network]
	sub := net.Subnets[0].CIDR
	ip := sub.Masked().Addr().As4()
	ip[3] = byte(host)
	e := state.Endpoint{
		Mark: mark(a), Name: plain(name), Network: net.Mark.Address, Sandbox: state.Address("sandbox." + sandbox),
		IPv4: netip.PrefixFrom(netip.AddrFrom4(ip), sub.Bits()), MAC: mac(int(ip[1]), host),
		Interface: "eth" + fmt.Sprint(ip[1]), HostInterface: "ve-" + plain(name),
	}
	for _, c := range change {
		c(&e)
	}
	inside := state.Netns("shop-" + plain(sandbox))
	w.Add(e,
		state.Claim{Network: e.Network, IP: e.IPv4.Addr(), Mark: e.Mark},
		state.Link{Place: state.Host, Name: e.HostInterface, Mark: e.Mark, Type: state.Veth, MTU: net.MTU, Up: true, NoIPv6: true,
			MAC: mac(200, host), Master: net.Device, Peer: state.End{Place: inside, Name: e.Interface}},
		state.Link{Place: inside, Name: e.Interface, Mark: e.Mark, Type: state.Veth, MTU: net.MTU, Up: true,
			MAC: e.MAC, Peer: state.End{Place: state.Host, Name: e.HostInterface}, Second: true},
		state.IPAddress{Place: inside, Link: e.Interface, Prefix: e.IPv4, Mark: e.Mark},
		state.NewRoute(state.Route{Place: inside, Dst: netip.MustParsePrefix("0.0.0.0/0"), Metric: uint32(ip[1]),
			Via: net.Subnets[0].Gateway, Dev: e.Interface, Mark: e.Mark}),
	)
	return w
}

// plain is an instance's name without quotes and brackets: web-w0 of web["w0"].
func plain(name string) string {
	return strings.NewReplacer(`["`, "-", `"]`, "", "[", "-", "]", "").Replace(name)
}

func mac(a, b int) state.MAC { return state.MAC{2, 0x42, 10, byte(a), 0, byte(b)} }

func addr(format string, args ...any) netip.Addr {
	return netip.MustParseAddr(fmt.Sprintf(format, args...))
}

func prefix(format string, args ...any) netip.Prefix {
	return netip.MustParsePrefix(fmt.Sprintf(format, args...))
}

// shop is the usual world: two networks, three sandboxes.
func shop() *world {
	return newWorld().network("front", 1).network("back", 2).
		sandbox(`web["w0"]`, "10.1.0.2 w0\n").sandbox(`web["w1"]`, "10.1.0.2 w0\n").sandbox("db", "10.2.0.4 db\n").
		endpoint(`web["w0"]`, "front", `web["w0"]`, 2).endpoint(`web["w1"]`, "front", `web["w1"]`, 3).
		endpoint("db", "back", "db", 4)
}

func opts() Options { return Options{Stack: testStack} }

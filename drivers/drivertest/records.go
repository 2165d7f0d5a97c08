// Package drivertest is the contract that every driver passes, and what its tests are
// made of: records as they are when a driver sees them, and worlds as text.
package drivertest

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/cnmctl/cnmctl/drivers"
	"github.com/cnmctl/cnmctl/state"
)

// The stack and host of all samples.
const (
	Stack = "shop"
	Host  = "a"
)

// Records builds what a configuration comes to, allocated. Its methods return it, so that
// a sample reads like one.
type Records struct{ drivers.Records }

// Owner is the mark of the block at address.
func Owner(address string) state.Owner {
	return state.Owner{Stack: Stack, Address: state.Address(address)}
}

// Network adds a network with subnets whose first address is the gateway. An option is
// written as in the configuration: "icc = false".
func (r *Records) Network(name, driver string, subnets []string, options ...string) *Records {
	n := state.Network{Mark: Owner("network." + name), Name: name, Driver: driver, Prefix: "eth", Options: state.Options{}}
	if driver == "bridge" {
		n.Device = "br-" + name
	}
	for _, cidr := range subnets {
		s := state.Subnet{CIDR: netip.MustParsePrefix(cidr)}
		if driver == "bridge" || driver == "overlay" || driver == "macvlan" || driver == "ipvlan" && !slices.Contains(options, `mode = "l3"`) {
			s.Gateway = s.CIDR.Addr().Next()
		}
		n.Subnets = append(n.Subnets, s)
	}
	for _, o := range options {
		key, value, _ := strings.Cut(o, " = ")
		n.Options[key] = json.RawMessage(value)
	}
	if driver == "overlay" {
		for i := range n.Subnets {
			n.VNIs = append(n.VNIs, uint32(256+16*len(r.Networks)+i))
		}
	}
	r.Networks = append(r.Networks, n)
	return r
}

// Change edits the network added last.
func (r *Records) Change(edit func(n *state.Network)) *Records {
	edit(&r.Networks[len(r.Networks)-1])
	return r
}

// Cluster adds hosts called a, b and so on with these tunnel ends.
func (r *Records) Cluster(vteps ...string) *Records {
	for i, vtep := range vteps {
		name := string(rune('a' + i))
		r.Hosts = append(r.Hosts, state.HostRecord{Mark: Owner("host." + name), Name: name, VTEP: netip.MustParseAddr(vtep)})
	}
	return r
}

// Sandbox adds a sandbox of the host.
func (r *Records) Sandbox(name string, edit ...func(s *state.Sandbox)) *Records {
	s := state.Sandbox{Mark: Owner("sandbox." + name), Name: name, Host: Host, Netns: Stack + "-" + name}
	for _, e := range edit {
		e(&s)
	}
	r.Sandboxes = append(r.Sandboxes, s)
	return r
}

// Attach adds an endpoint with addresses of the network, in a sandbox.
func (r *Records) Attach(network, sandbox string, edit ...func(e *state.Endpoint)) *Records {
	i := 0
	for i = range r.Networks {
		if r.Networks[i].Name == network {
			break
		}
	}
	n := &r.Networks[i]
	number, inSandbox := 2, 0
	for _, e := range r.Endpoints {
		if e.Network == n.Mark.Address {
			number++
		}
		if e.Sandbox == state.Address("sandbox."+sandbox) {
			inSandbox++
		}
	}
	name := sandbox + "-" + network
	e := state.Endpoint{
		Mark: Owner("endpoint." + name), Name: name, Network: n.Mark.Address, Sandbox: state.Address("sandbox." + sandbox),
		MAC: state.MAC{2, 0x42, 0, 0, byte(i), byte(number)}, Interface: fmt.Sprintf("eth%d", inSandbox),
	}
	for _, box := range r.Sandboxes {
		if box.Mark.Address == e.Sandbox {
			e.Host = box.Host
		}
	}
	if n.Driver == "bridge" || n.Driver == "overlay" {
		e.HostInterface = fmt.Sprintf("veth%02d%02d", i, number)
	}
	if n.Driver == "null" || n.Driver == "host" {
		e.MAC, e.Interface = state.MAC{}, ""
	}
	for _, s := range n.Subnets {
		ip := netip.PrefixFrom(address(s, number), s.CIDR.Bits())
		if ip.Addr().Is4() && !e.IPv4.IsValid() {
			e.IPv4 = ip
		} else if ip.Addr().Is6() && !e.IPv6.IsValid() {
			e.IPv6 = ip
		}
	}
	for _, edit := range edit {
		edit(&e)
	}
	r.Endpoints = append(r.Endpoints, e)
	return r
}

// address is the one with the number in the subnet; those of a cable count from 0.
func address(s state.Subnet, number int) netip.Addr {
	ip := s.CIDR.Addr()
	if cable := s.CIDR.Addr().BitLen()-s.CIDR.Bits() <= 2; cable && !s.Gateway.IsValid() {
		number -= 2
	}
	for range number {
		ip = ip.Next()
	}
	return ip
}

// World is what the records come to.
func (r *Records) World(all []drivers.Driver) (state.World, error) {
	return drivers.Expand(Stack, Host, r.Records, all)
}

// Text is a world for people and golden files: a line for each object, in order, with its
// attributes indented below it.
func Text(w state.World) string {
	var b strings.Builder
	for _, k := range w.Keys() {
		o := w[k]
		if r, ok := o.(state.Ruleset); ok {
			fmt.Fprintf(&b, "%s\n%s", k, indent(r.String()))
			continue
		}
		what := ""
		if _, adopted := o.(state.Adopted); adopted {
			what = " (adopted)"
		}
		fmt.Fprintf(&b, "%s%s  [%s]\n", k, what, o.Owner().Address)
		for _, a := range o.Attrs() {
			if a.Name != "owner" {
				fmt.Fprintf(&b, "\t%s = %s\n", a.Name, strings.ReplaceAll(a.Value, `\n`, "\\n\n\t\t"))
			}
		}
	}
	return b.String()
}

func indent(text string) string {
	return "\t" + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n\t") + "\n"
}

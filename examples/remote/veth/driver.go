// Package veth is a network plugin and an IPAM plugin as small as they can be: a bridge for
// each network, a veth pair for each endpoint, and addresses that are counted up. It shows
// what a plugin of libnetwork's protocol has to do for cnmctl, and remembers nothing when it
// ends.
package veth

import (
	"crypto/sha256"
	"fmt"
	"net"
	"os"
	"sync"

	"github.com/docker/go-plugins-helpers/network"
	"github.com/vishvananda/netlink"
)

// Driver carries networks on bridges.
type Driver struct {
	// Scope is what the driver says of itself: network.LocalScope or network.GlobalScope.
	Scope string
	// Routes are what it wants in each sandbox.
	Routes []*network.StaticRoute

	mu        sync.Mutex
	networks  map[string]*bridge
	allocated map[string]bool
	nodes     map[string]bool
}

// bridge is a network.
type bridge struct {
	name      string
	gateway   net.IP // of the sandboxes
	gateway6  net.IP
	endpoints map[string]*endpoint
}

type endpoint struct{ joined, out bool }

// New is a driver without networks.
func New(scope string) *Driver {
	return &Driver{Scope: scope, networks: map[string]*bridge{}, allocated: map[string]bool{}, nodes: map[string]bool{}}
}

// Left lists what the driver holds, for those who want to know that nothing is left.
func (d *Driver) Left() (left []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for id := range d.allocated {
		left = append(left, "allocation "+id)
	}
	for address := range d.nodes {
		left = append(left, "node "+address)
	}
	for id, n := range d.networks {
		left = append(left, "network "+id)
		for id := range n.endpoints {
			left = append(left, "endpoint "+id)
		}
	}
	return left
}

// short makes an interface's name of an identifier.
func short(prefix, id string) string { return prefix + id[:10] }

// station makes an Ethernet address of an identifier.
func station(kind byte, id string) net.HardwareAddr {
	sum := sha256.Sum256([]byte(id))
	return net.HardwareAddr{0x02, kind, sum[0], sum[1], sum[2], sum[3]}
}

// GetCapabilities says how far networks reach.
func (d *Driver) GetCapabilities() (*network.CapabilitiesResponse, error) {
	return &network.CapabilitiesResponse{Scope: d.Scope, ConnectivityScope: d.Scope}, nil
}

// AllocateNetwork reserves something in the cluster: here, a name.
func (d *Driver) AllocateNetwork(r *network.AllocateNetworkRequest) (*network.AllocateNetworkResponse, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.allocated[r.NetworkID] = true
	return &network.AllocateNetworkResponse{Options: map[string]string{"tag": short("", r.NetworkID)}}, nil
}

// FreeNetwork is the inverse.
func (d *Driver) FreeNetwork(r *network.FreeNetworkRequest) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.allocated[r.NetworkID] {
		return fmt.Errorf("network %s not found", r.NetworkID)
	}
	delete(d.allocated, r.NetworkID)
	return nil
}

// CreateNetwork makes a bridge with the gateways' addresses.
func (d *Driver) CreateNetwork(r *network.CreateNetworkRequest) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.networks[r.NetworkID] != nil {
		return fmt.Errorf("network %s exists", r.NetworkID)
	}
	n := &bridge{name: short("vb", r.NetworkID), endpoints: map[string]*endpoint{}}
	link := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: n.name, HardwareAddr: station(0x97, r.NetworkID)}}
	if err := netlink.LinkAdd(link); err != nil {
		return fmt.Errorf("making bridge %s: %w", n.name, err)
	}
	for _, pool := range append(r.IPv4Data, r.IPv6Data...) {
		if pool.Gateway == "" {
			continue
		}
		address, err := netlink.ParseAddr(pool.Gateway)
		if err != nil {
			return err
		}
		if err := netlink.AddrAdd(link, address); err != nil {
			return fmt.Errorf("giving %s to %s: %w", pool.Gateway, n.name, err)
		}
		if address.IP.To4() == nil {
			n.gateway6 = address.IP
		} else if n.gateway == nil {
			n.gateway = address.IP
		}
	}
	d.networks[r.NetworkID] = n
	return netlink.LinkSetUp(link)
}

// DeleteNetwork is the inverse.
func (d *Driver) DeleteNetwork(r *network.DeleteNetworkRequest) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.networks[r.NetworkID]
	if n == nil {
		return fmt.Errorf("network %s not found", r.NetworkID)
	}
	if len(n.endpoints) > 0 {
		return fmt.Errorf("network %s has endpoints", r.NetworkID)
	}
	delete(d.networks, r.NetworkID)
	return remove(n.name)
}

// find is an endpoint with its network.
func (d *Driver) find(networkID, id string) (*bridge, *endpoint, error) {
	n := d.networks[networkID]
	if n == nil {
		return nil, nil, fmt.Errorf("network %s not found", networkID)
	}
	e := n.endpoints[id]
	if e == nil {
		return nil, nil, fmt.Errorf("endpoint %s not found", id)
	}
	return n, e, nil
}

// CreateEndpoint notes the endpoint, and gives it a MAC if it has none.
func (d *Driver) CreateEndpoint(r *network.CreateEndpointRequest) (*network.CreateEndpointResponse, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.networks[r.NetworkID]
	switch {
	case n == nil:
		return nil, fmt.Errorf("network %s not found", r.NetworkID)
	case n.endpoints[r.EndpointID] != nil:
		return nil, fmt.Errorf("endpoint %s exists", r.EndpointID)
	}
	e := &endpoint{}
	said := &network.EndpointInterface{}
	if r.Interface.MacAddress == "" {
		said.MacAddress = station(0x99, r.EndpointID).String()
	}
	n.endpoints[r.EndpointID] = e
	return &network.CreateEndpointResponse{Interface: said}, nil
}

// DeleteEndpoint is the inverse.
func (d *Driver) DeleteEndpoint(r *network.DeleteEndpointRequest) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, _, err := d.find(r.NetworkID, r.EndpointID)
	if err != nil {
		return err
	}
	delete(n.endpoints, r.EndpointID)
	return remove(short("vh", r.EndpointID))
}

// EndpointInfo tells of the endpoint.
func (d *Driver) EndpointInfo(r *network.InfoRequest) (*network.InfoResponse, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, _, err := d.find(r.NetworkID, r.EndpointID)
	if err != nil {
		return nil, err
	}
	return &network.InfoResponse{Value: map[string]string{"bridge": n.name}}, nil
}

// Join makes the pair: one end is a port of the bridge, the other for the sandbox.
func (d *Driver) Join(r *network.JoinRequest) (*network.JoinResponse, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, e, err := d.find(r.NetworkID, r.EndpointID)
	switch {
	case err != nil:
		return nil, err
	case e.joined:
		return nil, fmt.Errorf("endpoint %s has joined", r.EndpointID)
	}
	if _, err := os.Stat(r.SandboxKey); err != nil {
		return nil, fmt.Errorf("sandbox %w", err)
	}
	port, inner := short("vh", r.EndpointID), short("vc", r.EndpointID)
	if err := pair(n.name, port, inner, station(0x98, r.EndpointID)); err != nil {
		return nil, err
	}
	e.joined = true
	said := &network.JoinResponse{InterfaceName: network.InterfaceName{SrcName: inner, DstPrefix: "veth"}, StaticRoutes: d.Routes}
	if n.gateway != nil {
		said.Gateway = n.gateway.String()
	}
	if n.gateway6 != nil {
		said.GatewayIPv6 = n.gateway6.String()
	}
	return said, nil
}

// pair makes a veth pair whose first end is a port of the bridge, and up.
func pair(bridge, port, inner string, mac net.HardwareAddr) error {
	master, err := netlink.LinkByName(bridge)
	if err != nil {
		return fmt.Errorf("finding bridge %s: %w", bridge, err)
	}
	link := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: port, MasterIndex: master.Attrs().Index, HardwareAddr: mac}, PeerName: inner}
	if err := netlink.LinkAdd(link); err != nil {
		return fmt.Errorf("making %s: %w", port, err)
	}
	return netlink.LinkSetUp(link)
}

// Leave is the inverse.
func (d *Driver) Leave(r *network.LeaveRequest) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, e, err := d.find(r.NetworkID, r.EndpointID)
	if err != nil {
		return err
	}
	if !e.joined {
		return fmt.Errorf("endpoint %s has not joined", r.EndpointID)
	}
	e.joined = false
	return remove(short("vh", r.EndpointID))
}

// remove deletes an interface, if it is there.
func remove(name string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return nil //nolint:nilerr // it is gone
	}
	return netlink.LinkDel(link)
}

// DiscoverNew is told of a host.
func (d *Driver) DiscoverNew(n *network.DiscoveryNotification) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.nodes[fmt.Sprint(n.DiscoveryData)] = true
	return nil
}

// DiscoverDelete is told that one is gone.
func (d *Driver) DiscoverDelete(n *network.DiscoveryNotification) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.nodes, fmt.Sprint(n.DiscoveryData))
	return nil
}

// ProgramExternalConnectivity is told that an endpoint is its sandbox's way out.
func (d *Driver) ProgramExternalConnectivity(r *network.ProgramExternalConnectivityRequest) error {
	return d.wayOut(r.NetworkID, r.EndpointID, true)
}

// RevokeExternalConnectivity is the inverse.
func (d *Driver) RevokeExternalConnectivity(r *network.RevokeExternalConnectivityRequest) error {
	return d.wayOut(r.NetworkID, r.EndpointID, false)
}

func (d *Driver) wayOut(networkID, id string, out bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, e, err := d.find(networkID, id)
	if err == nil {
		e.out = out
	}
	return err
}

package plugin

import (
	"context"
	"fmt"
	"net/http"
)

// NetworkDriver is what a plugin that carries networks implements.
const NetworkDriver = "NetworkDriver"

// The labels under which libnetwork hands over what plugins ask for.
const (
	GenericLabel  = "com.docker.network.generic"
	InternalLabel = "com.docker.network.internal"
	IPv4Label     = "com.docker.network.enable_ipv4"
	IPv6Label     = "com.docker.network.enable_ipv6"
	PortMapLabel  = "com.docker.network.portmap"
	ExposedLabel  = "com.docker.network.endpoint.exposedports"
)

// Scope is how far a plugin's networks reach: a host, or the cluster.
type Scope string

// The scopes there are.
const (
	Local  Scope = "local"
	Global Scope = "global"
)

// Pool is an address range of a network, as its driver is told.
type Pool struct {
	AddressSpace string
	Pool         string
	Gateway      string
	AuxAddresses map[string]string
}

// Interface are an endpoint's addresses, "" for what is not said.
type Interface struct{ Address, AddressIPv6, MacAddress string }

// Route is a static route that a plugin wants in a sandbox.
type Route struct {
	Destination string
	// RouteType is 0 for a next hop, 1 for a destination on the link.
	RouteType int
	NextHop   string
}

// Joined is what a plugin answers to a Join.
type Joined struct {
	InterfaceName         struct{ SrcName, DstName, DstPrefix string }
	Gateway, GatewayIPv6  string
	StaticRoutes          []Route
	DisableGatewayService bool
}

// Node is a host of the cluster, as plugins are told of it.
type Node struct {
	Address, BindAddress string
	Self                 bool
}

// ExposedPort is a port of an endpoint, as libnetwork writes it under ExposedLabel.
type ExposedPort struct {
	// Proto is the protocol's number: see Protocol.
	Proto uint8
	Port  uint16
}

// PortBinding is a port of the host that is to lead to one of an endpoint, as libnetwork
// writes it under PortMapLabel. An empty HostIP is all addresses.
type PortBinding struct {
	ExposedPort
	IP, HostIP            string
	HostPort, HostPortEnd uint16
}

// Protocol is the number of "tcp", "udp" or "sctp" (IANA's protocol numbers).
func Protocol(name string) uint8 {
	return map[string]uint8{"tcp": 6, "udp": 17, "sctp": 132}[name]
}

// nodeDiscovery is the only type of discovery that plugins are told of.
const nodeDiscovery = 1

// Capabilities asks how far the plugin's networks reach.
func (c *Client) Capabilities(ctx context.Context) (scope, connectivity Scope, err error) {
	if err := c.Activate(ctx, NetworkDriver); err != nil {
		return "", "", err
	}
	const call = NetworkDriver + ".GetCapabilities"
	var said struct{ Scope, ConnectivityScope Scope }
	if err := c.call(ctx, call, true, nil, &said); err != nil {
		return "", "", err
	}
	if said.ConnectivityScope == "" {
		said.ConnectivityScope = said.Scope
	}
	for _, s := range []Scope{said.Scope, said.ConnectivityScope} {
		if s != Local && s != Global {
			return "", "", &Error{Plugin: c.Name, Call: call, Status: http.StatusOK, Sent: true, Err: fmt.Errorf(
				"the scope %q is neither %q nor %q", s, Local, Global)}
		}
	}
	return said.Scope, said.ConnectivityScope, nil
}

type networkRequest struct {
	NetworkID          string
	Options            any
	IPv4Data, IPv6Data []Pool
}

type endpointRequest struct {
	NetworkID, EndpointID string
	Interface             *Interface     `json:",omitempty"`
	SandboxKey            string         `json:",omitempty"`
	Options               map[string]any `json:",omitempty"`
}

// AllocateNetwork reserves what a network needs in the cluster. The answer goes with each
// CreateNetwork.
func (c *Client) AllocateNetwork(ctx context.Context, id string, options map[string]string, v4, v6 []Pool) (map[string]string, error) {
	var said struct{ Options map[string]string }
	err := c.driver(ctx, "AllocateNetwork", networkRequest{id, options, v4, v6}, &said)
	return said.Options, err
}

// FreeNetwork is the inverse of AllocateNetwork.
func (c *Client) FreeNetwork(ctx context.Context, id string) error {
	return c.driver(ctx, "FreeNetwork", struct{ NetworkID string }{id}, nil)
}

// CreateNetwork makes a network.
func (c *Client) CreateNetwork(ctx context.Context, id string, options map[string]any, v4, v6 []Pool) error {
	return c.driver(ctx, "CreateNetwork", networkRequest{id, options, v4, v6}, nil)
}

// DeleteNetwork is the inverse of CreateNetwork.
func (c *Client) DeleteNetwork(ctx context.Context, id string) error {
	return c.driver(ctx, "DeleteNetwork", struct{ NetworkID string }{id}, nil)
}

// CreateEndpoint makes an endpoint. What the request leaves open the plugin may set.
func (c *Client) CreateEndpoint(ctx context.Context, network, id string, given Interface, options map[string]any) (Interface, error) {
	var said struct{ Interface *Interface }
	err := c.driver(ctx, "CreateEndpoint", endpointRequest{NetworkID: network, EndpointID: id, Interface: &given, Options: options}, &said)
	if said.Interface == nil {
		said.Interface = &Interface{}
	}
	return *said.Interface, err
}

// DeleteEndpoint is the inverse of CreateEndpoint.
func (c *Client) DeleteEndpoint(ctx context.Context, network, id string) error {
	return c.driver(ctx, "DeleteEndpoint", endpointRequest{NetworkID: network, EndpointID: id}, nil)
}

// EndpointOperInfo asks what the plugin has to say of an endpoint.
func (c *Client) EndpointOperInfo(ctx context.Context, network, id string) (map[string]any, error) {
	var said struct{ Value map[string]any }
	err := c.driver(ctx, "EndpointOperInfo", endpointRequest{NetworkID: network, EndpointID: id}, &said)
	return said.Value, err
}

// Join asks for the endpoint's interface, which is for the sandbox.
func (c *Client) Join(ctx context.Context, network, id, sandbox string, options map[string]any) (Joined, error) {
	var said Joined
	err := c.driver(ctx, "Join", endpointRequest{NetworkID: network, EndpointID: id, SandboxKey: sandbox, Options: options}, &said)
	return said, err
}

// Leave is the inverse of Join.
func (c *Client) Leave(ctx context.Context, network, id string) error {
	return c.driver(ctx, "Leave", endpointRequest{NetworkID: network, EndpointID: id}, nil)
}

// ProgramExternalConnectivity opens the way out by an endpoint. A plugin need not know the
// call.
func (c *Client) ProgramExternalConnectivity(ctx context.Context, network, id string, options map[string]any) error {
	return tolerant(c.driver(ctx, "ProgramExternalConnectivity", endpointRequest{NetworkID: network, EndpointID: id, Options: options}, nil))
}

// RevokeExternalConnectivity is the inverse of ProgramExternalConnectivity.
func (c *Client) RevokeExternalConnectivity(ctx context.Context, network, id string) error {
	return tolerant(c.driver(ctx, "RevokeExternalConnectivity", endpointRequest{NetworkID: network, EndpointID: id}, nil))
}

// DiscoverNew tells of a host that there is.
func (c *Client) DiscoverNew(ctx context.Context, n Node) error {
	return c.driver(ctx, "DiscoverNew", discovery{nodeDiscovery, n}, nil)
}

// DiscoverDelete tells of a host that is gone.
func (c *Client) DiscoverDelete(ctx context.Context, n Node) error {
	return c.driver(ctx, "DiscoverDelete", discovery{nodeDiscovery, n}, nil)
}

type discovery struct {
	DiscoveryType int
	DiscoveryData Node
}

// driver makes a call of a network driver.
func (c *Client) driver(ctx context.Context, name string, in, out any) error {
	if err := c.Activate(ctx, NetworkDriver); err != nil {
		return err
	}
	return c.call(ctx, NetworkDriver+"."+name, repeatable(name), in, out)
}

// repeatable calls may be made twice: they ask, or they tell of what is known already.
func repeatable(name string) bool {
	switch name {
	case "EndpointOperInfo", "DiscoverNew", "DiscoverDelete":
		return true
	}
	return false
}

// tolerant forgives a plugin that it does not know a call.
func tolerant(err error) error {
	if Unknown(err) {
		return nil
	}
	return err
}

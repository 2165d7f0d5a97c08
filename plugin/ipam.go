package plugin

import (
	"context"
	"errors"
	"net/http"
	"strings"
)

// IpamDriver is what a plugin that gives out addresses implements.
const IpamDriver = "IpamDriver"

// The labels that libnetwork asks for addresses with.
const (
	GatewayLabel = "com.docker.network.gateway"
	RequestType  = "RequestAddressType"
	MACLabel     = "com.docker.network.endpoint.macaddress"
)

// IPAMCapabilities are what an IPAM plugin needs of those who ask.
type IPAMCapabilities struct{ RequiresMACAddress, RequiresRequestReplay bool }

// PoolRequest asks for an address range: a given one, or any of the address space.
type PoolRequest struct {
	AddressSpace, Pool, SubPool string
	Options                     map[string]string
	V6                          bool
}

// PoolAnswer is the range that was given.
type PoolAnswer struct {
	PoolID, Pool string
	Data         map[string]string
}

// AddressAnswer is the address that was given, with its length.
type AddressAnswer struct {
	Address string
	Data    map[string]string
}

// IPAMCapabilities asks what the plugin needs. One that does not answer needs nothing.
func (c *Client) IPAMCapabilities(ctx context.Context) (said IPAMCapabilities, err error) {
	err = c.ipam(ctx, "GetCapabilities", true, nil, &said)
	var refusal *Error
	if errors.As(err, &refusal) && refusal.Refused && refusal.Call != "Plugin.Activate" {
		return IPAMCapabilities{}, nil // it is optional
	}
	return said, err
}

// AddressSpaces asks for the address spaces of the host and of the cluster.
func (c *Client) AddressSpaces(ctx context.Context) (local, global string, err error) {
	var said struct{ LocalDefaultAddressSpace, GlobalDefaultAddressSpace string }
	err = c.ipam(ctx, "GetDefaultAddressSpaces", true, nil, &said)
	return said.LocalDefaultAddressSpace, said.GlobalDefaultAddressSpace, err
}

// RequestPool asks for an address range.
func (c *Client) RequestPool(ctx context.Context, r PoolRequest) (said PoolAnswer, err error) {
	err = c.ipam(ctx, "RequestPool", false, r, &said)
	return said, err
}

// ReleasePool is the inverse of RequestPool.
func (c *Client) ReleasePool(ctx context.Context, id string) error {
	return c.ipam(ctx, "ReleasePool", false, struct{ PoolID string }{id}, nil)
}

// RequestAddress asks for an address of the pool: a given one, or any ("").
func (c *Client) RequestAddress(ctx context.Context, pool, address string, options map[string]string) (said AddressAnswer, err error) {
	err = c.ipam(ctx, "RequestAddress", false, struct {
		PoolID, Address string
		Options         map[string]string
	}{pool, address, options}, &said)
	return said, err
}

// ReleaseAddress is the inverse of RequestAddress.
func (c *Client) ReleaseAddress(ctx context.Context, pool, address string) error {
	return c.ipam(ctx, "ReleaseAddress", false, struct{ PoolID, Address string }{pool, address}, nil)
}

// ipam makes a call of an IPAM driver.
func (c *Client) ipam(ctx context.Context, name string, idempotent bool, in, out any) error {
	if err := c.Activate(ctx, IpamDriver); err != nil {
		return err
	}
	return c.call(ctx, IpamDriver+"."+name, idempotent, in, out)
}

// Unknown reports that the plugin does not know the call.
func Unknown(err error) bool {
	var refusal *Error
	return errors.As(err, &refusal) && refusal.Status == http.StatusNotFound
}

// Gone reports that the plugin refused a call because it knows nothing of what it was
// called for. The protocol has no code for it, so it is read from what plugins say; that it
// does not know the call (404) is nothing of the sort.
func Gone(err error) bool {
	var refusal *Error
	if !errors.As(err, &refusal) {
		return false
	}
	text := strings.ToLower(refusal.Said)
	for _, words := range []string{
		"not found", "no such", "not exist", "doesn't exist", "not allocated",
		"unknown network", "unknown endpoint", "unknown pool", "unknown address",
	} {
		if strings.Contains(text, words) {
			return true
		}
	}
	return false
}

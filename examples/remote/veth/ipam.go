package veth

import (
	"fmt"
	"net/netip"
	"sync"

	"github.com/docker/go-plugins-helpers/ipam"
)

// requestLabel is cnmctl's name for a request. A plugin that honours it answers a request
// which is made again because its answer was lost as it did the first time.
const requestLabel = "com.cnmctl.request"

// IPAM gives out addresses, the lowest free one first.
type IPAM struct {
	// NeedsMAC: it wants to know for which Ethernet address an address is.
	NeedsMAC bool

	mu    sync.Mutex
	pools map[string]*pool // by ID
	lives int              // how often it has forgotten
}

type pool struct {
	cidr    netip.Prefix
	request string
	taken   map[netip.Addr]string // the request
}

// NewIPAM is an IPAM plugin without pools.
func NewIPAM() *IPAM { return &IPAM{pools: map[string]*pool{}} }

// Forget is what a plugin does that ends and is started again.
func (i *IPAM) Forget() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.pools, i.lives = map[string]*pool{}, i.lives+1
}

// Left lists what the plugin has given out.
func (i *IPAM) Left() (left []string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for id, p := range i.pools {
		left = append(left, "pool "+id)
		for ip := range p.taken {
			left = append(left, "address "+ip.String())
		}
	}
	return left
}

// GetCapabilities says what is needed.
func (i *IPAM) GetCapabilities() (*ipam.CapabilitiesResponse, error) {
	return &ipam.CapabilitiesResponse{RequiresMACAddress: i.NeedsMAC}, nil
}

// GetDefaultAddressSpaces names the two there are.
func (i *IPAM) GetDefaultAddressSpaces() (*ipam.AddressSpacesResponse, error) {
	return &ipam.AddressSpacesResponse{LocalDefaultAddressSpace: "here", GlobalDefaultAddressSpace: "everywhere"}, nil
}

// RequestPool gives the range that is asked for, or the next one.
func (i *IPAM) RequestPool(r *ipam.RequestPoolRequest) (*ipam.RequestPoolResponse, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	label := r.Options[requestLabel]
	for id, p := range i.pools {
		if label != "" && p.request == label {
			return answer(id, p), nil
		}
	}
	cidr, err := netip.ParsePrefix(r.Pool)
	if r.Pool == "" {
		cidr, err = i.free(r.V6), nil
	}
	if err != nil {
		return nil, err
	}
	for _, p := range i.pools {
		if p.cidr.Overlaps(cidr) {
			return nil, fmt.Errorf("pool %s overlaps %s", cidr, p.cidr)
		}
	}
	id := fmt.Sprintf("%s/%s/%d", r.AddressSpace, cidr, i.lives)
	i.pools[id] = &pool{cidr: cidr, request: label, taken: map[netip.Addr]string{}}
	return answer(id, i.pools[id]), nil
}

func answer(id string, p *pool) *ipam.RequestPoolResponse {
	return &ipam.RequestPoolResponse{PoolID: id, Pool: p.cidr.String()}
}

// free is a range that nobody has.
func (i *IPAM) free(v6 bool) netip.Prefix {
	for n := byte(0); ; n++ {
		cidr := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 77, n, 0}), 24)
		if v6 {
			cidr = netip.PrefixFrom(netip.AddrFrom16([16]byte{0xfd, 0x77, 0, 0, 0, 0, 0, n}), 64)
		}
		taken := false
		for _, p := range i.pools {
			taken = taken || p.cidr.Overlaps(cidr)
		}
		if !taken {
			return cidr
		}
	}
}

// ReleasePool takes a range back.
func (i *IPAM) ReleasePool(r *ipam.ReleasePoolRequest) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	p := i.pools[r.PoolID]
	if p == nil {
		return fmt.Errorf("pool %s not found", r.PoolID)
	}
	if len(p.taken) > 0 {
		return fmt.Errorf("pool %s is in use", r.PoolID)
	}
	delete(i.pools, r.PoolID)
	return nil
}

// RequestAddress gives the address that is asked for, or the lowest free one.
func (i *IPAM) RequestAddress(r *ipam.RequestAddressRequest) (*ipam.RequestAddressResponse, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	p := i.pools[r.PoolID]
	if p == nil {
		return nil, fmt.Errorf("pool %s not found", r.PoolID)
	}
	label := r.Options[requestLabel]
	given := func(ip netip.Addr) *ipam.RequestAddressResponse {
		p.taken[ip] = label
		return &ipam.RequestAddressResponse{Address: netip.PrefixFrom(ip, p.cidr.Bits()).String()}
	}
	if r.Address != "" {
		ip, err := netip.ParseAddr(r.Address)
		if holder, taken := p.taken[ip]; err != nil || !p.cidr.Contains(ip) || taken && (label == "" || holder != label) {
			return nil, fmt.Errorf("address %s is not available", r.Address)
		}
		return given(ip), nil
	}
	for ip, holder := range p.taken {
		if label != "" && holder == label {
			return given(ip), nil
		}
	}
	for ip := p.cidr.Addr().Next(); p.cidr.Contains(ip.Next()); ip = ip.Next() {
		if _, taken := p.taken[ip]; !taken {
			return given(ip), nil
		}
	}
	return nil, fmt.Errorf("pool %s has no addresses left", r.PoolID)
}

// ReleaseAddress takes an address back.
func (i *IPAM) ReleaseAddress(r *ipam.ReleaseAddressRequest) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	p := i.pools[r.PoolID]
	if p == nil {
		return fmt.Errorf("pool %s not found", r.PoolID)
	}
	ip, err := netip.ParseAddr(r.Address)
	if _, taken := p.taken[ip]; err != nil || !taken {
		return fmt.Errorf("address %s not found", r.Address)
	}
	delete(p.taken, ip)
	return nil
}

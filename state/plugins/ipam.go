package plugins

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"

	"github.com/cnmctl/cnmctl/plugin"
	"github.com/cnmctl/cnmctl/state"
)

// requestLabel names a request in its options: who honours it gives the same answer to a
// request that is made again because the first answer was lost.
const requestLabel = "com.cnmctl.request"

// ipam is the IPAM plugin, activated, and what it needs. One that wants to be told again
// what it gave (RequiresRequestReplay) is told so before it is asked anything in a run.
func (t *Target) ipam(ctx context.Context, name string, timeout int) (*plugin.Client, plugin.IPAMCapabilities, error) {
	c, err := t.client(name, timeout)
	if err != nil {
		return nil, plugin.IPAMCapabilities{}, err
	}
	if needs, asked := t.needs[name]; asked {
		return c, needs, nil
	}
	needs, err := c.IPAMCapabilities(ctx)
	if err == nil && needs.RequiresRequestReplay {
		err = t.replay(ctx, c)
	}
	if err != nil {
		return nil, needs, err
	}
	if t.needs == nil {
		t.needs = map[string]plugin.IPAMCapabilities{}
	}
	t.needs[name] = needs
	return c, needs, nil
}

// requestPool asks for a range, and for the addresses in it that are the network's own.
func (t *Target) requestPool(ctx context.Context, p state.Pool) error {
	wish := p.CIDR
	if p.Got.CIDR.IsValid() {
		wish = p.Got.CIDR // it is put back
	}
	c, _, err := t.ipam(ctx, p.Plugin, p.Timeout)
	if err != nil {
		return err
	}
	p.Got, p.Stage = state.PoolGot{}, state.Begun
	if p, err = t.requestRange(ctx, c, p, wish); err != nil {
		return err
	}
	for {
		next, ok := missing(p)
		if !ok {
			break
		}
		if p, err = t.own(ctx, c, p, next); err != nil {
			return fmt.Errorf("requesting %s: %w", next, err)
		}
	}
	p.Stage = state.Made
	return t.write(ctx, p)
}

// requestRange asks for the range itself.
func (t *Target) requestRange(ctx context.Context, c *plugin.Client, p state.Pool, wish netip.Prefix) (state.Pool, error) {
	const call = plugin.IpamDriver + ".RequestPool"
	p.Got.Space = p.Space
	if p.Space == "" {
		local, global, err := c.AddressSpaces(ctx)
		if err != nil {
			return p, err
		}
		if p.Got.Space = local; p.Global {
			p.Got.Space = global
		}
	}
	if err := t.write(ctx, p); err != nil {
		return p, err
	}
	said, err := c.RequestPool(ctx, plugin.PoolRequest{
		AddressSpace: p.Got.Space, Pool: text(wish), SubPool: text(p.Range), Options: poolOptions(p), V6: p.V6,
	})
	if err != nil {
		return p, err
	}
	if said.PoolID == "" {
		return p, refused(c, call, "it gave a pool without an ID")
	}
	p.Got.ID, p.Stage = said.PoolID, state.Created
	cidr, parsed := netip.ParsePrefix(said.Pool)
	if parsed == nil {
		p.Got.CIDR = cidr.Masked()
	}
	if gw, ok := said.Data[plugin.GatewayLabel]; ok && parsed == nil && !p.Gateway.IsValid() && p.WithGateway {
		offered, err := netip.ParsePrefix(gw)
		if err != nil || !cidr.Contains(offered.Addr()) {
			parsed = fmt.Errorf("its gateway %q is not in it", gw)
		}
		p.Got.Gateway = offered.Addr()
	}
	if err := t.write(ctx, p); err != nil {
		return p, err
	}
	switch {
	case parsed != nil:
		return p, refused(c, call, "it gave the pool %q: %w", said.Pool, parsed)
	case cidr.Addr().Is6() != p.V6:
		return p, refused(c, call, "it gave the pool %s, which is of the wrong family", cidr)
	case wish.IsValid() && wish.Masked() != cidr.Masked():
		return p, refused(c, call, "it gave the pool %s, but was asked for %s", cidr, wish)
	}
	return p, t.clash(ctx, c, p)
}

// clash refuses a pool that overlaps one of the stack's others.
func (t *Target) clash(ctx context.Context, c *plugin.Client, p state.Pool) error {
	known, err := t.Cluster.Snapshot(ctx)
	if err != nil {
		return err
	}
	for _, k := range known.Keys() {
		if other, ok := known[k].(state.Pool); ok && k != p.Key() && other.Got.CIDR.IsValid() && other.Got.CIDR.Overlaps(p.Got.CIDR) {
			return refused(c, plugin.IpamDriver+".RequestPool", "it gave the pool %s, which overlaps %s of %s", p.Got.CIDR, other.Got.CIDR, other.Mark.Address)
		}
	}
	return nil
}

// own is an address that goes with a pool.
type own struct {
	gateway bool
	name    string // why it is reserved, if it is no gateway
	ip      netip.Addr
}

func (o own) String() string {
	if o.gateway {
		return "the gateway"
	}
	return fmt.Sprintf("%s (%s)", o.ip, o.name)
}

// missing is the next address that the pool has not, and should. A gateway that the plugin
// offered with the pool need not be asked for.
func missing(p state.Pool) (own, bool) {
	if p.WithGateway && !p.Got.Gateway.IsValid() {
		return own{gateway: true, ip: p.Gateway}, true
	}
	for _, name := range slices.Sorted(maps.Keys(p.Reserved)) {
		if ip := p.Reserved[name]; !slices.Contains(p.Got.Addresses, ip) {
			return own{name: name, ip: ip}, true
		}
	}
	return own{}, false
}

// own asks for an address that goes with the pool.
func (t *Target) own(ctx context.Context, c *plugin.Client, p state.Pool, o own) (state.Pool, error) {
	said, err := c.RequestAddress(ctx, p.Got.ID, addr(o.ip), ownOptions(p, o))
	if err != nil {
		return p, err
	}
	got, unusable := address(c, said.Address, p.Got.CIDR, o.ip)
	if got.IsValid() {
		p.Got.Addresses = append(p.Got.Addresses, got.Addr())
		if o.gateway {
			p.Got.Gateway = got.Addr()
		}
	}
	return p, errors.Join(unusable, t.write(ctx, p))
}

// releasePool gives a range back with the addresses that came with it. What is asked for when
// a run ends may be given without anybody knowing, so it is asked for again first: a plugin
// that honours the request's label tells then what it was.
func (t *Target) releasePool(ctx context.Context, p state.Pool) error {
	c, _, err := t.ipam(ctx, p.Plugin, p.Timeout)
	if err != nil {
		return err
	}
	if p.Got.ID == "" {
		said, err := c.RequestPool(ctx, plugin.PoolRequest{
			AddressSpace: p.Got.Space, Pool: text(p.CIDR), SubPool: text(p.Range), Options: poolOptions(p), V6: p.V6,
		})
		if plugin.Refused(err) {
			return nil // it was never given
		}
		if err != nil || said.PoolID == "" {
			return err
		}
		p.Got.ID = said.PoolID
	}
	if next, ok := missing(p); ok && p.Stage == state.Created {
		if p, err = t.own(ctx, c, p, next); err != nil && !answered(err) {
			return err
		}
	}
	for len(p.Got.Addresses) > 0 {
		last := len(p.Got.Addresses) - 1
		if err := back(p.Stage, c.ReleaseAddress(ctx, p.Got.ID, p.Got.Addresses[last].String())); err != nil {
			return err
		}
		p.Got.Addresses = p.Got.Addresses[:last]
		if err := t.write(ctx, p); err != nil {
			return err
		}
	}
	return back(p.Stage, c.ReleasePool(ctx, p.Got.ID))
}

// requestLease asks for an endpoint's address in the first pool that has one.
func (t *Target) requestLease(ctx context.Context, l state.Lease) error {
	wish := l.IP
	if l.Got.Address.IsValid() {
		wish = l.Got.Address.Addr() // it is put back
	}
	l.Got, l.Stage = state.LeaseGot{}, state.Begun
	l, err := t.lease(ctx, l, wish)
	if err != nil {
		return err
	}
	l.Stage = state.Made
	return t.write(ctx, l)
}

// lease makes the request, and notes what was given even if it cannot be used.
func (t *Target) lease(ctx context.Context, l state.Lease, wish netip.Addr) (state.Lease, error) {
	c, needs, err := t.ipam(ctx, l.Plugin, l.Timeout)
	if err != nil {
		return l, err
	}
	known, err := t.Cluster.Snapshot(ctx)
	if err != nil {
		return l, err
	}
	var pools []state.Pool
	for _, k := range l.Pools {
		if p, ok := known[k].(state.Pool); ok && p.Got.ID != "" && (!wish.IsValid() || p.Got.CIDR.Contains(wish)) {
			pools = append(pools, p)
		}
	}
	if len(pools) == 0 {
		return l, fmt.Errorf("%s is in no pool of %s", cmpText(wish), l.Network)
	}
	if err := t.write(ctx, l); err != nil {
		return l, err
	}
	for i, p := range pools {
		said, err := c.RequestAddress(ctx, p.Got.ID, addr(wish), leaseOptions(l, needs.RequiresMACAddress))
		if plugin.Refused(err) && i < len(pools)-1 {
			continue // it has none left
		}
		if err != nil {
			return l, err
		}
		got, unusable := address(c, said.Address, p.Got.CIDR, wish)
		if holder := holder(known, l, got.Addr()); got.IsValid() && holder != "" {
			return l, refused(c, plugin.IpamDriver+".RequestAddress", "it gave %s, which %s has", got.Addr(), holder)
		}
		l.Got.Pool, l.Got.Address = p.Got.ID, got
		if needs.RequiresMACAddress {
			l.Got.MAC = l.MAC
		}
		return l, errors.Join(unusable, t.write(ctx, l))
	}
	return l, nil
}

func cmpText(ip netip.Addr) string {
	if !ip.IsValid() {
		return "the endpoint"
	}
	return ip.String()
}

// holder is who has the address already on the network.
func holder(known state.World, l state.Lease, ip netip.Addr) state.Address {
	for _, k := range known.Keys() {
		switch o := known[k].(type) {
		case state.Lease:
			if k != l.Key() && o.Network == l.Network && o.Got.Address.Addr() == ip {
				return o.Mark.Address
			}
		case state.Pool:
			if o.Mark.Address == l.Network && (o.Got.Gateway == ip || slices.Contains(o.Got.Addresses, ip)) {
				return o.Mark.Address
			}
		}
	}
	return ""
}

// releaseLease gives an address back. One whose answer was lost is asked for again first.
func (t *Target) releaseLease(ctx context.Context, l state.Lease) error {
	if !l.Got.Address.IsValid() {
		again, err := t.lease(ctx, l, l.IP)
		if !again.Got.Address.IsValid() && (err == nil || answered(err)) {
			return nil // it was never given, or is another's
		}
		if !again.Got.Address.IsValid() {
			return err
		}
		l = again
	}
	c, _, err := t.ipam(ctx, l.Plugin, l.Timeout)
	if err != nil {
		return err
	}
	return back(l.Stage, c.ReleaseAddress(ctx, l.Got.Pool, l.Got.Address.Addr().String()))
}

// answered reports that the plugin did answer, if not with what it was asked for.
func answered(err error) bool {
	var e *plugin.Error
	return errors.As(err, &e) && e.Status != 0
}

// address reads an address that a plugin gave: with a length, or with that of its pool. One
// that cannot be used is returned too: it has to be given back.
func address(c *plugin.Client, said string, pool netip.Prefix, wish netip.Addr) (netip.Prefix, error) {
	const call = plugin.IpamDriver + ".RequestAddress"
	got, err := netip.ParsePrefix(said)
	if err != nil {
		ip, err := netip.ParseAddr(said)
		if err != nil {
			return got, refused(c, call, "it gave the address %q, which is none", said)
		}
		got = netip.PrefixFrom(ip, pool.Bits())
	}
	switch {
	case !pool.Contains(got.Addr()):
		return got, refused(c, call, "it gave the address %s, which is not in its pool %s", got, pool)
	case wish.IsValid() && got.Addr() != wish:
		return got, refused(c, call, "it gave the address %s, but was asked for %s", got, wish)
	}
	return netip.PrefixFrom(got.Addr(), pool.Bits()), nil
}

func poolOptions(p state.Pool) map[string]string {
	options := map[string]string{requestLabel: state.PluginID(p.Mark) + "/" + strconv.Itoa(p.Number)}
	maps.Copy(options, p.Options)
	return options
}

// ownOptions are those of an address that goes with a pool.
func ownOptions(p state.Pool, o own) map[string]string {
	label := poolOptions(p)[requestLabel] + "/"
	if o.gateway {
		return map[string]string{plugin.RequestType: plugin.GatewayLabel, requestLabel: label + "gateway"}
	}
	return map[string]string{requestLabel: label + o.ip.String()}
}

func leaseOptions(l state.Lease, withMAC bool) map[string]string {
	id := state.PluginID(l.Mark) + "/4"
	if l.V6 {
		id = state.PluginID(l.Mark) + "/6"
	}
	options := map[string]string{requestLabel: id}
	if withMAC {
		options[plugin.MACLabel] = l.MAC.String()
	}
	maps.Copy(options, l.Options)
	return options
}

func text(p netip.Prefix) string {
	if !p.IsValid() {
		return ""
	}
	return p.String()
}

func addr(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

package plugins

import (
	"context"
	"fmt"
	"maps"
	"net/netip"

	"github.com/cnmctl/cnmctl/plugin"
	"github.com/cnmctl/cnmctl/state"
)

// driver is the network plugin, activated, whose networks have to reach as far as wanted.
func (t *Target) driver(ctx context.Context, name string, timeout int, global bool) (*plugin.Client, error) {
	c, err := t.client(name, timeout)
	if err != nil {
		return nil, err
	}
	scope, _, err := c.Capabilities(ctx)
	if err != nil {
		return nil, err
	}
	want := plugin.Local
	if global {
		want = plugin.Global
	}
	if scope != want {
		return nil, refused(c, plugin.NetworkDriver+".GetCapabilities", "its networks are of scope %s, not %s; write scope = %q into the network's remote block", scope, want, scope)
	}
	return c, nil
}

// allocate has a plugin reserve what a network needs in the cluster. Older plugins do not
// know the call.
func (t *Target) allocate(ctx context.Context, a state.Allocation) error {
	c, err := t.driver(ctx, a.Plugin, a.Timeout, true)
	if err != nil {
		return err
	}
	v4, v6, err := t.pools(ctx, a.PluginNetwork)
	if err != nil {
		return err
	}
	a.Got, a.Stage = nil, state.Begun
	if err := t.write(ctx, a); err != nil {
		return err
	}
	got, err := c.AllocateNetwork(ctx, a.ID, a.Options, v4, v6)
	if err != nil && !plugin.Unknown(err) {
		return err
	}
	a.Got, a.Stage = got, state.Made
	return t.write(ctx, a)
}

func (t *Target) free(ctx context.Context, a state.Allocation) error {
	c, err := t.client(a.Plugin, a.Timeout)
	if err != nil {
		return err
	}
	return back(a.Stage, c.FreeNetwork(ctx, a.ID))
}

func (t *Target) createNetwork(ctx context.Context, n state.PluginNetwork) error {
	c, err := t.driver(ctx, n.Plugin, n.Timeout, n.Global)
	if err != nil {
		return err
	}
	v4, v6, err := t.pools(ctx, n)
	if err != nil {
		return err
	}
	generic := maps.Clone(n.Options)
	if generic == nil {
		generic = map[string]string{}
	}
	if n.Global {
		known, err := t.Cluster.Snapshot(ctx)
		if err != nil {
			return err
		}
		if a, ok := known[state.AllocationKey(n.Plugin, n.Mark.Address)].(state.Allocation); ok {
			maps.Copy(generic, a.Got)
		}
	}
	options := map[string]any{plugin.GenericLabel: generic, plugin.IPv4Label: n.IPv4, plugin.IPv6Label: n.IPv6}
	if n.Internal {
		options[plugin.InternalLabel] = true
	}
	n.Stage = state.Begun
	if err := t.write(ctx, n); err != nil {
		return err
	}
	if err := c.CreateNetwork(ctx, n.ID, options, v4, v6); err != nil {
		return err
	}
	n.Stage = state.Made
	return t.write(ctx, n)
}

func (t *Target) deleteNetwork(ctx context.Context, n state.PluginNetwork) error {
	c, err := t.client(n.Plugin, n.Timeout)
	if err != nil {
		return err
	}
	return back(n.Stage, c.DeleteNetwork(ctx, n.ID))
}

// pools are the network's ranges, as a driver is told.
func (t *Target) pools(ctx context.Context, n state.PluginNetwork) (v4, v6 []plugin.Pool, err error) {
	v4, v6 = []plugin.Pool{}, []plugin.Pool{}
	add := func(space string, cidr netip.Prefix, gateway netip.Addr, aux map[string]netip.Addr) {
		p := plugin.Pool{AddressSpace: space, Pool: cidr.String(), Gateway: within(gateway, cidr), AuxAddresses: map[string]string{}}
		for name, ip := range aux {
			p.AuxAddresses[name] = within(ip, cidr)
		}
		if cidr.Addr().Is4() {
			v4 = append(v4, p)
		} else {
			v6 = append(v6, p)
		}
	}
	space := "LocalDefault"
	if n.Global {
		space = "GlobalDefault"
	}
	for _, s := range n.Ranges {
		add(space, s.CIDR, s.Gateway, s.Reserved)
	}
	if len(n.Ranges)+len(n.Pools) == 0 && n.IPv4 {
		// libnetwork's null IPAM: the plugin sees to addresses.
		add("null", netip.PrefixFrom(netip.IPv4Unspecified(), 0), netip.Addr{}, nil)
	}
	if len(n.Pools) == 0 {
		return v4, v6, nil
	}
	known, err := t.Cluster.Snapshot(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, k := range n.Pools {
		p, ok := known[k].(state.Pool)
		if !ok || !p.Got.CIDR.IsValid() {
			return nil, nil, fmt.Errorf("%s is not there; plan again", k)
		}
		add(p.Got.Space, p.Got.CIDR, p.Got.Gateway, p.Reserved)
	}
	return v4, v6, nil
}

// within is an address with the length of its range, "" for none.
func within(ip netip.Addr, cidr netip.Prefix) string {
	if !ip.IsValid() {
		return ""
	}
	return netip.PrefixFrom(ip, cidr.Bits()).String()
}

// discover tells a plugin of a host.
func (t *Target) discover(ctx context.Context, n state.Node) error {
	c, err := t.driver(ctx, n.Plugin, n.Timeout, true)
	if err != nil {
		return err
	}
	n.Stage = state.Begun
	if err := t.write(ctx, n); err != nil {
		return err
	}
	if err := c.DiscoverNew(ctx, node(n)); err != nil && !plugin.Unknown(err) {
		return err
	}
	n.Stage = state.Made
	return t.write(ctx, n)
}

func (t *Target) discoverDelete(ctx context.Context, n state.Node) error {
	c, err := t.client(n.Plugin, n.Timeout)
	if err != nil {
		return err
	}
	return back(n.Stage, c.DiscoverDelete(ctx, node(n)))
}

func node(n state.Node) plugin.Node {
	return plugin.Node{Address: n.Address.String(), BindAddress: n.Address.String(), Self: n.Self}
}

package plugins

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/cnmctl/cnmctl/plugin"
	"github.com/cnmctl/cnmctl/state"
)

// createEndpoint makes an endpoint and joins it to its sandbox. Its interface is moved
// there by whoever makes links.
func (t *Target) createEndpoint(ctx context.Context, e state.PluginEndpoint) error {
	held := e.Joined.Interface // it is put back
	c, err := t.client(e.Plugin, e.Timeout)
	if err == nil {
		err = c.Activate(ctx, plugin.NetworkDriver)
	}
	if err != nil {
		return err
	}
	e.Joined, e.Stage = state.Joined{}, state.Begun
	if err := t.addressed(ctx, &e); err != nil {
		return err
	}
	if err := t.write(ctx, e); err != nil {
		return err
	}
	given := plugin.Interface{Address: text(e.Joined.IPv4), AddressIPv6: text(e.Joined.IPv6), MacAddress: e.Joined.MAC.String()}
	said, err := c.CreateEndpoint(ctx, e.NetworkID, e.ID, given, generic(e.Options, e.Ports))
	if err != nil {
		return err
	}
	e.Stage = state.Created
	if err := t.write(ctx, e); err != nil {
		return err
	}
	if err := complete(c, &e.Joined, given, said); err != nil {
		return err
	}
	path := e.Path
	if _, _, container := state.Container(path); container {
		if path, err = t.Path(ctx, path); err != nil {
			return err
		}
	}
	joined, err := c.Join(ctx, e.NetworkID, e.ID, path, generic(e.Labels, e.Ports))
	if err != nil {
		return err
	}
	if err := understand(c, &e.Joined, joined); err != nil {
		return err
	}
	mac, err := t.MAC(e.Joined.Source)
	if err != nil {
		return refused(c, plugin.NetworkDriver+".Join", "it named the interface %q: %w", e.Joined.Source, err)
	}
	if e.Joined.MAC.IsZero() {
		e.Joined.MAC = mac
	}
	if e.Joined.Interface, err = t.name(ctx, c, e, held, joined); err != nil {
		return err
	}
	if e.Joined.Info, err = info(ctx, c, e); err != nil {
		return err
	}
	e.Stage = state.Made
	return t.write(ctx, e)
}

// generic are options as libnetwork hands them over, of endpoints as of sandboxes.
func generic(options map[string]string, ports []state.Port) map[string]any {
	exposed, bound := publish(ports)
	all := map[string]any{plugin.ExposedLabel: exposed, plugin.PortMapLabel: bound}
	for name, value := range options {
		all[name] = value
	}
	return all
}

// publish are the ports that a plugin is to publish, one by one.
func publish(ports []state.Port) (exposed []plugin.ExposedPort, bound []plugin.PortBinding) {
	exposed, bound = []plugin.ExposedPort{}, []plugin.PortBinding{} // libnetwork sends no null
	for _, run := range ports {
		for i := range run.Count {
			p := run.Single(i)
			inside := plugin.ExposedPort{Proto: plugin.Protocol(p.Protocol), Port: p.Container}
			b := plugin.PortBinding{ExposedPort: inside, HostPort: p.Host, HostPortEnd: p.Host}
			if p.Address.IsValid() {
				b.HostIP = p.Address.String()
			}
			exposed, bound = append(exposed, inside), append(bound, b)
		}
	}
	return exposed, bound
}

// addressed fills in what is asked for, with what an IPAM plugin gave.
func (t *Target) addressed(ctx context.Context, e *state.PluginEndpoint) error {
	e.Joined.IPv4, e.Joined.IPv6, e.Joined.MAC = e.IPv4, e.IPv6, e.MAC
	if len(e.Leases) == 0 {
		return nil
	}
	known, err := t.Cluster.Snapshot(ctx)
	if err != nil {
		return err
	}
	for _, k := range e.Leases {
		l, ok := known[k].(state.Lease)
		if !ok || !l.Got.Address.IsValid() {
			return fmt.Errorf("%s is not there; plan again", k)
		}
		if l.V6 {
			e.Joined.IPv6 = l.Got.Address
		} else {
			e.Joined.IPv4 = l.Got.Address
		}
		if e.Joined.MAC.IsZero() {
			e.Joined.MAC = l.Got.MAC
		}
	}
	return nil
}

// complete takes over what the plugin chose. It may choose what was left open, no more.
func complete(c *plugin.Client, j *state.Joined, given, said plugin.Interface) error {
	const call = plugin.NetworkDriver + ".CreateEndpoint"
	for _, f := range []struct {
		name, given, said string
		take              func(string) error
	}{
		{"address", given.Address, said.Address, takePrefix(&j.IPv4, true)},
		{"IPv6 address", given.AddressIPv6, said.AddressIPv6, takePrefix(&j.IPv6, false)},
		{"MAC", given.MacAddress, said.MacAddress, func(text string) error {
			mac, err := net.ParseMAC(text)
			if err == nil && (len(mac) != len(j.MAC) || mac[0]&1 != 0) {
				err = errors.New("it is not the Ethernet address of one station")
			}
			copy(j.MAC[:], mac)
			return err
		}},
	} {
		switch {
		case f.said == "":
		case f.given != "":
			return refused(c, call, "it set the %s %s, which it may not: it was asked for %s", f.name, f.said, f.given)
		default:
			if err := f.take(f.said); err != nil {
				return refused(c, call, "it set the %s %q: %w", f.name, f.said, err)
			}
		}
	}
	return nil
}

func takePrefix(to *netip.Prefix, is4 bool) func(string) error {
	return func(text string) error {
		p, err := netip.ParsePrefix(text)
		if err == nil && (p.Addr().Is4() != is4 || p.Addr().IsMulticast() || p.Addr().IsUnspecified()) {
			err = errors.New("no interface can have it")
		}
		*to = p
		return err
	}
}

// understand reads what a Join was answered with.
func understand(c *plugin.Client, j *state.Joined, said plugin.Joined) error {
	const call = plugin.NetworkDriver + ".Join"
	j.Source, j.NoService = said.InterfaceName.SrcName, said.DisableGatewayService
	if err := checkName(j.Source); err != nil {
		return refused(c, call, "it named the interface %q: %w", j.Source, err)
	}
	for _, g := range []struct {
		text string
		to   *netip.Addr
		is4  bool
	}{{said.Gateway, &j.Gateway4, true}, {said.GatewayIPv6, &j.Gateway6, false}} {
		if g.text == "" {
			continue
		}
		ip, err := netip.ParseAddr(g.text)
		if err != nil || ip.Is4() != g.is4 {
			return refused(c, call, "it named the gateway %q, which is no address of the family", g.text)
		}
		*g.to = ip
	}
	const nextHop, connected = 0, 1
	for _, r := range said.StaticRoutes {
		to, err := netip.ParsePrefix(r.Destination)
		if err != nil {
			return refused(c, call, "it wants a route to %q: %w", r.Destination, err)
		}
		route := state.GivenRoute{To: to.Masked()}
		switch r.RouteType {
		case nextHop:
			if route.Via, err = netip.ParseAddr(r.NextHop); err != nil || route.Via.Is4() != to.Addr().Is4() {
				return refused(c, call, "it wants a route to %s by %q, which is no address of the family", to, r.NextHop)
			}
		case connected:
		default:
			return refused(c, call, "it wants a route to %s of type %d; there are 0 (next hop) and 1 (connected)", to, r.RouteType)
		}
		j.Routes = append(j.Routes, route)
	}
	return nil
}

// name is that of the interface in the sandbox: as asked for, as it was, as the plugin
// wants, or the prefix that it wants and the lowest number that is free.
func (t *Target) name(ctx context.Context, c *plugin.Client, e state.PluginEndpoint, held string, said plugin.Joined) (string, error) {
	if name := cmp.Or(e.Interface, held); name != "" {
		return name, nil
	}
	taken := slices.Clone(e.Taken)
	known, err := t.Host.Snapshot(ctx)
	if err != nil {
		return "", err
	}
	for k, o := range known {
		if other, ok := o.(state.PluginEndpoint); ok && k != e.Key() && other.In == e.In {
			taken = append(taken, other.Joined.Interface)
		}
	}
	name := said.InterfaceName.DstName
	if name == "" {
		prefix := cmp.Or(said.InterfaceName.DstPrefix, "eth")
		for i := 0; name == "" || slices.Contains(taken, name); i++ {
			name = prefix + strconv.Itoa(i)
		}
	}
	if err := checkName(name); err != nil {
		return "", refused(c, plugin.NetworkDriver+".Join", "it wants the interface to be called %q in the sandbox: %w", name, err)
	}
	if slices.Contains(taken, name) {
		return "", refused(c, plugin.NetworkDriver+".Join", "it wants the interface to be called %q, as another one in the sandbox is; name it with interface", name)
	}
	return name, nil
}

// checkName refuses what the kernel would refuse as an interface's name (dev_valid_name),
// and lo, which nobody can give away.
func checkName(name string) error {
	const most = 15 // IFNAMSIZ of linux/if.h less the NUL
	switch {
	case name == "":
		return errors.New("it is empty")
	case len(name) > most:
		return fmt.Errorf("it has %d bytes; the kernel allows %d", len(name), most)
	case name == "." || name == ".." || name == "lo" || name == "all" || name == "default":
		return errors.New("it means something else to the kernel")
	case strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`/:"@%*\]`, r) }):
		return errors.New("it holds what no name should")
	}
	return nil
}

// info is what the plugin has to say of the endpoint. It need not know the call.
func info(ctx context.Context, c *plugin.Client, e state.PluginEndpoint) (map[string]string, error) {
	said, err := c.EndpointOperInfo(ctx, e.NetworkID, e.ID)
	if plugin.Refused(err) {
		return nil, nil
	}
	if err != nil || len(said) == 0 {
		return nil, err
	}
	values := make(map[string]string, len(said))
	for name, value := range said {
		values[name] = fmt.Sprint(value)
	}
	return values, nil
}

// deleteEndpoint is the inverse.
func (t *Target) deleteEndpoint(ctx context.Context, e state.PluginEndpoint) error {
	c, err := t.client(e.Plugin, e.Timeout)
	if err != nil {
		return err
	}
	// Whatever a plugin says of an endpoint that has left, or never joined: what counts is
	// that it can be deleted then.
	if err := c.Leave(ctx, e.NetworkID, e.ID); err != nil && !plugin.Refused(err) {
		return err
	}
	return back(e.Stage, c.DeleteEndpoint(ctx, e.NetworkID, e.ID))
}

// program makes an endpoint its sandbox's way out.
func (t *Target) program(ctx context.Context, w state.WayOut) error {
	c, err := t.client(w.Plugin, w.Timeout)
	if err == nil {
		err = c.Activate(ctx, plugin.NetworkDriver)
	}
	if err != nil {
		return err
	}
	w.Stage = state.Begun
	if err := t.write(ctx, w); err != nil {
		return err
	}
	if err := c.ProgramExternalConnectivity(ctx, w.NetworkID, w.ID, generic(w.Options, w.Ports)); err != nil {
		return err
	}
	w.Stage = state.Made
	return t.write(ctx, w)
}

func (t *Target) revoke(ctx context.Context, w state.WayOut) error {
	c, err := t.client(w.Plugin, w.Timeout)
	if err != nil {
		return err
	}
	return back(w.Stage, c.RevokeExternalConnectivity(ctx, w.NetworkID, w.ID))
}

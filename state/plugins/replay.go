package plugins

import (
	"context"

	"github.com/cnmctl/cnmctl/plugin"
	"github.com/cnmctl/cnmctl/state"
)

// remind has the object's IPAM plugin told what it gave before it is asked for anything in a
// run, if it wants to be (RequiresRequestReplay). What is known of it is read afterwards: it
// may have new names.
func (t *Target) remind(ctx context.Context, o state.Object) error {
	var err error
	switch o := o.(type) {
	case state.Pool:
		_, _, err = t.ipam(ctx, o.Plugin, o.Timeout)
	case state.Lease:
		_, _, err = t.ipam(ctx, o.Plugin, o.Timeout)
	}
	return err
}

// replay asks for all that was given. Who refuses has it written down already. A plugin may
// call its pools otherwise than before it forgot them.
func (t *Target) replay(ctx context.Context, c *plugin.Client) error {
	known, err := t.Cluster.Snapshot(ctx)
	if err != nil {
		return err
	}
	called := map[string]string{}
	for _, k := range known.Keys() {
		p, ok := known[k].(state.Pool)
		if !ok || p.Plugin != c.Name || p.Got.ID == "" {
			continue
		}
		was := p.Got.ID
		if p, err = t.replayPool(ctx, c, p); err != nil {
			return err
		}
		called[was] = p.Got.ID
	}
	for _, k := range known.Keys() {
		l, ok := known[k].(state.Lease)
		if !ok || l.Plugin != c.Name || !l.Got.Address.IsValid() {
			continue
		}
		if id := called[l.Got.Pool]; id != "" && id != l.Got.Pool {
			l.Got.Pool = id
			if err := t.write(ctx, l); err != nil {
				return err
			}
		}
		_, err := c.RequestAddress(ctx, l.Got.Pool, l.Got.Address.Addr().String(), leaseOptions(l, !l.Got.MAC.IsZero()))
		if err := back(state.Begun, err); err != nil {
			return err
		}
	}
	return nil
}

// replayPool asks for a pool again, and for the addresses that go with it.
func (t *Target) replayPool(ctx context.Context, c *plugin.Client, p state.Pool) (state.Pool, error) {
	said, err := c.RequestPool(ctx, plugin.PoolRequest{
		AddressSpace: p.Got.Space, Pool: p.Got.CIDR.String(), SubPool: text(p.Range), Options: poolOptions(p), V6: p.V6,
	})
	if err := back(state.Begun, err); err != nil {
		return p, err
	}
	if said.PoolID != "" && said.PoolID != p.Got.ID {
		p.Got.ID = said.PoolID
		if err := t.write(ctx, p); err != nil {
			return p, err
		}
	}
	for _, ip := range p.Got.Addresses {
		_, err := c.RequestAddress(ctx, p.Got.ID, ip.String(), ownOptions(p, own{gateway: p.WithGateway && ip == p.Got.Gateway, ip: ip}))
		if err := back(state.Begun, err); err != nil {
			return p, err
		}
	}
	return p, nil
}

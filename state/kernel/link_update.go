package kernel

import (
	"github.com/cnmctl/cnmctl/state"
	"golang.org/x/sys/unix"
)

// updateLinks changes links in place, without taking them down: that would cut traffic,
// and cost the link its routes and IPv6 addresses.
func (r *run) updateLinks(ops []int) error {
	for _, i := range ops {
		if err := r.ctx.Err(); err != nil {
			return err
		}
		op := r.wave[i]
		before, _ := op.Before.(state.Link)
		after := op.After.(state.Link)
		if before.Name != after.Name && before.Name != "" {
			if r.report(i, r.renameLink(before, after)); r.first != nil {
				break
			}
			continue
		}
		r.report(i, r.updateLink(before, after))
		if r.first == nil && before.MAC != after.MAC && after.Master == "" {
			r.announceLink(after)
		}
		if r.first != nil {
			break
		}
	}
	return nil
}

func (r *run) updateLink(before, after state.Link) error {
	open, err := r.at(after.Place)
	if err != nil {
		return err
	}
	all := before.HalfMade || before.Name == ""
	b := &batch{}
	if err := open.moveLinkLocal(r.ctx, b, before, after); err != nil {
		return err
	}
	if err := r.changes(b, open, before, after, all); err != nil {
		return err
	}
	if after.Master != "" && (all || before.Master != after.Master || before.Hairpin != after.Hairpin || before.Isolated != after.Isolated || before.Quiet != after.Quiet) {
		portFlags(b, after)
	}
	if before.Filtering != after.Filtering { // never a word of it to kernels without
		switchFiltering(b, after)
	}
	if after.Type == state.VXLAN && (all || before.Tunnel.Local != after.Tunnel.Local || before.Tunnel.Learning != after.Tunnel.Learning) {
		changeTunnel(b, after)
	}
	if after.Stacked() && (all || before.On != after.On) && after.Type != state.VLAN {
		changeStacked(b, after)
	}
	if err := open.conn.one(r.ctx, b); err != nil {
		return err
	}
	if after.VLANs != "" && (all || before.VLANs != after.VLANs || before.Master != after.Master) {
		if err := r.changeVLANs(open, after); err != nil {
			return err
		}
	}
	if all || before.NoIPv6 != after.NoIPv6 || before.BelowIPv6() && !after.BelowIPv6() {
		if err := r.switchIPv6(after); err != nil {
			return err
		}
	}
	if after.Type == state.VXLAN && (all || before.Tunnel.Checksums != after.Tunnel.Checksums) {
		if err := r.switchChecksums(after); err != nil {
			return err
		}
	}
	b.reset()
	if after.Up && (all || !before.Up) {
		change(b, after.Name, unix.IFF_UP, unix.IFF_UP)
		b.end()
	}
	complete(b, after, false)
	return open.conn.one(r.ctx, b)
}

// changes adds the request with all that one message can change.
func (r *run) changes(b *batch, open *place, before, after state.Link, all bool) error {
	var master int32
	if above := after.Above(); above != "" {
		var err error
		if master, err = open.lookup(r.ctx, above); err != nil {
			return err
		}
	}
	var mask uint32
	if !after.Up && (all || before.Up) {
		mask = unix.IFF_UP
	}
	change(b, after.Name, 0, mask)
	if after.MTU != 0 && (all || before.MTU != after.MTU) {
		b.u32(unix.IFLA_MTU, uint32(after.MTU))
	}
	if !after.MAC.IsZero() && !after.KeepsMAC() && (all || before.MAC != after.MAC) {
		b.attr(unix.IFLA_ADDRESS, after.MAC[:])
	}
	if after.Type != state.VRF && (all || before.Above() != after.Above()) {
		b.u32(unix.IFLA_MASTER, uint32(master))
	}
	b.end()
	return nil
}

// switchIPv6 sets one link's disable_ipv6.
func (r *run) switchIPv6(l state.Link) error {
	return excursion(func() error {
		write, done, err := r.ipv6Switch(l.Place)
		if err != nil {
			return err
		}
		defer done()
		return write(l.Name, l.NoIPv6)
	})
}

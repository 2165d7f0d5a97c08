package kernel

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cnmctl/cnmctl/state"
	"golang.org/x/sys/unix"
)

// extFilterVLANs is RTEXT_FILTER_BRVLAN_COMPRESSED of linux/rtnetlink.h: a dump of bridges
// and their ports has their VLANs, ranges as two entries.
const extFilterVLANs = 1 << 2

// Of linux/if_bridge.h.
const (
	bridgeVLANInfo = 2 // IFLA_BRIDGE_VLAN_INFO
	vlanPVID       = 1 << 1
	vlanUntagged   = 1 << 2
	vlanRangeBegin = 1 << 3
	vlanRangeEnd   = 1 << 4
	vlanInfoSize   = 4
)

// readVLANs adds to the links what VLANs they are in, if any bridge among them filters by
// VLAN.
func (c *conn) readVLANs(ctx context.Context, links []link) error {
	if !slices.ContainsFunc(links, func(l link) bool { return l.filtering }) {
		return nil
	}
	vlans, err := c.vlans(ctx)
	if err != nil {
		return err
	}
	filtering := map[int32]bool{}
	for _, l := range links {
		filtering[l.index] = l.filtering
	}
	for i := range links {
		if l := &links[i]; filtering[l.master] {
			l.vlans = state.VLANText(vlans[l.index])
		}
	}
	return nil
}

// vlans are those of all bridges and ports, by number.
func (c *conn) vlans(ctx context.Context) (map[int32][]state.PortVLAN, error) {
	var m message
	m.b = make([]byte, unix.SizeofIfInfomsg, unix.SizeofIfInfomsg+8)
	m.b[0] = unix.AF_BRIDGE
	m.u32(unix.IFLA_EXT_MASK, extFilterVLANs)
	found := map[int32][]state.PortVLAN{}
	err := c.dump(ctx, unix.RTM_GETLINK, m.b, func() { clear(found) }, func(body []byte) {
		if len(body) < unix.SizeofIfInfomsg {
			return
		}
		index := int32(native.Uint32(body[4:]))
		attrs(body[unix.SizeofIfInfomsg:], func(typ uint16, data []byte) {
			if typ == unix.IFLA_AF_SPEC {
				found[index] = parseVLANs(data)
			}
		})
	})
	if err != nil {
		return nil, fmt.Errorf("reading VLANs: %w", err)
	}
	return found, nil
}

func parseVLANs(b []byte) (vlans []state.PortVLAN) {
	var begin uint16
	attrs(b, func(typ uint16, data []byte) {
		if typ != bridgeVLANInfo || len(data) < vlanInfoSize {
			return
		}
		flags, last := native.Uint16(data), native.Uint16(data[2:])
		if flags&vlanRangeBegin != 0 {
			begin = last
			return
		}
		first := last
		if flags&vlanRangeEnd != 0 {
			first = begin
		}
		for id := first; id <= last; id++ {
			vlans = append(vlans, state.PortVLAN{ID: id, PVID: flags&vlanPVID != 0, Untagged: flags&vlanUntagged != 0})
		}
	})
	return vlans
}

// vlanRequests adds the requests that take a port out of the VLANs that it has and into
// those that it is to have, and returns how many they are.
func vlanRequests(b *batch, index int32, have, want []state.PortVLAN) (requests int) {
	gone := slices.DeleteFunc(slices.Clone(have), func(v state.PortVLAN) bool {
		return slices.ContainsFunc(want, func(w state.PortVLAN) bool { return w.ID == v.ID })
	})
	fresh := slices.DeleteFunc(slices.Clone(want), func(v state.PortVLAN) bool { return slices.Contains(have, v) })
	for _, r := range []struct {
		typ   uint16
		vlans []state.PortVLAN
	}{{unix.RTM_DELLINK, gone}, {unix.RTM_SETLINK, fresh}} {
		if len(r.vlans) > 0 {
			vlanRequest(b, r.typ, index, r.vlans)
			requests++
		}
	}
	return requests
}

func vlanRequest(b *batch, typ uint16, index int32, vlans []state.PortVLAN) {
	fixed := ifinfo(index, 0, 0)
	fixed[0] = unix.AF_BRIDGE
	b.request(typ, 0, fixed)
	b.nest(unix.IFLA_AF_SPEC, func() {
		for _, v := range vlans {
			info := make([]byte, vlanInfoSize)
			native.PutUint16(info, vlanPVID*uint16(bit(v.PVID))|vlanUntagged*uint16(bit(v.Untagged)))
			native.PutUint16(info[2:], v.ID)
			b.attr(bridgeVLANInfo, info)
		}
	})
	b.end()
}

// bornIn are the VLANs of a new port.
func bornIn() []state.PortVLAN {
	return []state.PortVLAN{{ID: state.FirstVLAN, PVID: true, Untagged: true}}
}

// newPortVLANs adds the requests for the VLANs of a port that was just made.
func newPortVLANs(ctx context.Context, b *batch, open *place, l state.Link) (requests int, err error) {
	if l.VLANs == "" {
		return 0, nil
	}
	index, err := open.lookup(ctx, l.Name)
	if err != nil {
		return 0, err
	}
	want, err := state.ParseVLANs(l.VLANs)
	if err != nil {
		return 0, err
	}
	return vlanRequests(b, index, bornIn(), want), nil
}

// changeVLANs gives a port that is there the wanted VLANs, whatever it has now.
func (r *run) changeVLANs(open *place, l state.Link) error {
	index, err := open.lookup(r.ctx, l.Name)
	if err != nil {
		return err
	}
	want, err := state.ParseVLANs(l.VLANs)
	if err != nil {
		return err
	}
	have, err := open.conn.vlans(r.ctx)
	if err != nil {
		return err
	}
	b := &batch{}
	if vlanRequests(b, index, have[index], want) == 0 {
		return nil
	}
	results, err := open.conn.send(noCancel, b)
	return errors.Join(append(results, err)...)
}

// switchFiltering adds the request that has a bridge keep VLANs apart, or not.
func switchFiltering(b *batch, l state.Link) {
	b.request(unix.RTM_NEWLINK, 0, ifinfo(0, 0, 0)) // RTM_SETLINK ignores IFLA_LINKINFO
	b.text(unix.IFLA_IFNAME, l.Name)
	b.nest(unix.IFLA_LINKINFO, func() {
		b.text(unix.IFLA_INFO_KIND, string(state.Bridge))
		b.nest(unix.IFLA_INFO_DATA, func() { b.u8(unix.IFLA_BR_VLAN_FILTERING, bit(l.Filtering)) })
	})
	b.end()
}

// tryFiltering makes a bridge that keeps VLANs apart: a kernel that cannot takes no notice
// of the wish, and says nothing of VLANs when it is asked.
func tryFiltering(ctx context.Context, c *conn) error {
	b := &batch{}
	const name = "probe-filter"
	newBridge(b, state.Link{Name: name, Filtering: true}, 0)
	if err := c.one(ctx, b); err != nil {
		return err
	}
	links, err := c.links(ctx)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(links, func(l link) bool { return l.name == name && l.filtering }) {
		return unix.EOPNOTSUPP
	}
	return nil
}

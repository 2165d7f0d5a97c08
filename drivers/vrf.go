package drivers

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/cnmctl/cnmctl/state"
)

// The default routes of both families.
var (
	default4 = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	default6 = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
)

// NewVRF is a VRF with the end of its table: what the table has no other route for must not
// be looked up in those that follow (main above all), as the kernel would. ipv6 says whether
// there is anything of that family in it.
func NewVRF(p state.Place, name string, table uint32, ipv6 bool, mark state.Owner) []state.Object {
	objects := []state.Object{state.Link{
		Place: p, Name: name, Mark: mark, Type: state.VRF, Table: table,
		MAC: seededMAC(0x44, string(p)+"\x00"+name), Up: true, NoIPv6: !ipv6,
	}, vrfEnd(p, default4, table, mark)}
	if ipv6 {
		objects = append(objects, vrfEnd(p, default6, table, mark))
	}
	return objects
}

func vrfEnd(p state.Place, dst netip.Prefix, table uint32, mark state.Owner) state.Object {
	return state.NewRoute(state.Route{
		Place: p, Dst: dst, Table: table, Metric: state.LastMetric, Type: state.Unreachable, Mark: mark,
	})
}

// vrfs are the sandbox's own; one that shares a namespace finds them there.
func (s *sandbox) vrfs() []state.Object {
	if s.Shares != "" {
		return nil
	}
	var objects []state.Object
	for _, name := range slices.Sorted(maps.Keys(s.VRFs)) {
		ipv6 := slices.ContainsFunc(s.attached, func(a attachment) bool { return a.VRF == name && a.HasIPv6() })
		objects = append(objects, NewVRF(s.Place(), name, s.VRFs[name], ipv6, s.Mark)...)
	}
	return objects
}

// table is that of the VRF, 0 for main.
func (a Attached) table() uint32 { return a.In.VRFs[a.VRF] }

// enslaved are objects of the network's with the interfaces of those of its endpoints that
// are in VRFs put there, and with the routes by them in the VRFs' tables: that is the same
// whatever driver made them.
func (n *network) enslaved(objects []state.Object) []state.Object {
	in := map[state.End]Attached{}
	for _, a := range n.attached {
		if a.VRF != "" {
			in[state.End{Place: a.In.Place(), Name: a.Interface}] = a
		}
	}
	if len(in) == 0 {
		return objects
	}
	for i, o := range objects {
		switch o := o.(type) {
		case state.Link:
			if a, ok := in[state.End{Place: o.Place, Name: o.Name}]; ok {
				o.VRF = a.VRF
				objects[i] = o
			}
		case state.Route:
			if a, ok := in[state.End{Place: o.Place, Name: o.Dev}]; ok && o.Table == state.MainTable {
				o.Table = a.table()
				objects[i] = o
			}
		}
	}
	return objects
}

// domains are the routing tables of the sandbox's endpoints that have ways out of their own:
// main ("") and its VRFs.
func (s *sandbox) domains() []string {
	return append([]string{""}, slices.Sorted(maps.Keys(s.VRFs))...)
}

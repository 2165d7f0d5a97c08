package planner

import (
	"fmt"
	"maps"
	"net/netip"

	"github.com/cnmctl/cnmctl/drivers"
	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/hcl/v2"
)

// Parents checks the interfaces of this host that networks sit on: they have to be there,
// and what the kernel would refuse, or leave without effect, is said while planning.
func Parents(t *spec.Topology, traits map[string]drivers.Traits, host string, f Facts) hcl.Diagnostics {
	here := map[state.Address]bool{}
	for _, s := range t.Sandboxes {
		here[s.Mark.Address] = s.Host == "" || s.Host == host
	}
	used := map[state.Address]bool{}
	for _, e := range t.Endpoints {
		used[e.Network] = used[e.Network] || here[e.Sandbox]
	}
	var diags hcl.Diagnostics
	for _, n := range t.Networks {
		name := option(n.Options, "parent")
		if traits[n.Driver].Dummy == "" || name == "" || !used[n.Mark.Address] {
			continue
		}
		if d := checkParent(n, name, f); d != nil {
			diags = append(diags, d)
		}
	}
	return diags
}

func checkParent(n *spec.Network, name string, f Facts) *hcl.Diagnostic {
	base, tag := drivers.SplitParent(name)
	if f.Links[name] {
		base, tag = name, 0 // somebody else has made it
	}
	at, who := n.At(n.Driver+".parent"), n.Mark.Address
	mtu, there := f.MTUs[base]
	switch {
	case !there:
		return failure(at, "No such parent", fmt.Sprintf(
			"%s is to sit on %s, but this host has no such interface. Create it first, or name one that exists ('ip link' lists them).", who, base))
	case !f.Links[base]:
		return failure(at, "Parent of the stack's own", fmt.Sprintf(
			"%s is to sit on %s, which is an interface of this stack itself. Name one of the host's, or leave parent out to have a network that leads nowhere.", who, base))
	case tag == 0 && f.Ports[base] != "":
		return failure(at, "Parent is a port", fmt.Sprintf(
			"%s is to sit on %s, which is a port of %s, and the kernel puts nothing else on a port. Name %[3]s, or another interface.", who, base, f.Ports[base]))
	case n.MTU > mtu:
		return failure(n.At("mtu"), "MTU larger than the parent's", fmt.Sprintf(
			"%s has an MTU of %d, and its parent %s one of %d, which no endpoint can exceed. Lower mtu, leave it out to have the parent's, or raise the parent's (ip link set %[3]s mtu %[2]d).", who, n.MTU, base, mtu))
	case tag != 0 && f.Down[base]:
		return failure(at, "Parent is down", fmt.Sprintf(
			"%s needs the VLAN %d of %s, which is down: the kernel has no VLAN up on an interface that is down. Bring it up (ip link set %[3]s up).", who, tag, base))
	case f.Down[base]:
		return &hcl.Diagnostic{Severity: hcl.DiagWarning, Subject: at, Summary: "Parent is down", Detail: fmt.Sprintf(
			"%s sits on %s, which is down: nothing gets through before it is up (ip link set %[2]s up).", who, base)}
	}
	return nil
}

// withoutOwn is the subnet with the addresses reserved that the host has itself, for a
// network that is the host's own: two machines with one address are of no use.
func (f Facts) withoutOwn(s state.Subnet) state.Subnet {
	var own map[string]netip.Addr
	for ip, link := range f.HostAddresses {
		if !s.CIDR.Contains(ip) || ip == s.Gateway {
			continue
		}
		if own == nil {
			own = maps.Clone(s.Reserved)
			if own == nil {
				own = map[string]netip.Addr{}
			}
		}
		own["this host's "+link+" ("+ip.String()+")"] = ip
	}
	if own != nil {
		s.Reserved = own
	}
	return s
}

// shares reports that the network is one that the host is on already.
func shares(traits drivers.Traits, n *spec.Network) bool {
	return traits.Dummy != "" && option(n.Options, "parent") != ""
}

// heir is the wanted object, with the MTU of the link below where it has none of its own.
func heir(o state.Object, want, live state.World) state.Object {
	l, ok := o.(state.Link)
	if !ok || !l.Stacked() || l.MTU != 0 {
		return o
	}
	l.MTU = mtuOf(state.LinkKey(l.On.Lower.Place, l.On.Lower.Name), want, live)
	return l
}

// mtuOf is the MTU that a link has, or will have; 0 when that is not known.
func mtuOf(k state.Key, want, live state.World) int {
	if f, foreign := live[k].(state.Foreign); foreign {
		return f.MTU
	}
	l, ok := want[k].(state.Link)
	if ok && l.MTU == 0 && l.Stacked() {
		return mtuOf(state.LinkKey(l.On.Lower.Place, l.On.Lower.Name), want, live)
	}
	return l.MTU
}

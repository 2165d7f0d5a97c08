package kernel

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"

	"github.com/cnmctl/cnmctl/state"
	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// option is the kernel configuration that a feature needs.
var option = map[state.Feature]string{
	state.FeatureBridge:   "CONFIG_BRIDGE",
	state.FeatureVeth:     "CONFIG_VETH",
	state.FeatureVXLAN:    "CONFIG_VXLAN",
	state.FeatureNftables: "CONFIG_NF_TABLES and CONFIG_NF_TABLES_INET",
	state.FeatureNAT:      "CONFIG_NFT_NAT and CONFIG_NFT_MASQ",
	state.FeatureMacvlan:  "CONFIG_MACVLAN",
	state.FeatureIPvlan:   "CONFIG_IPVLAN",
	state.FeatureVLAN:     "CONFIG_VLAN_8021Q",
	state.FeatureDummy:    "CONFIG_DUMMY",
	state.FeatureVRF:      "CONFIG_NET_VRF",
	state.FeatureESP:      "CONFIG_XFRM_USER, CONFIG_INET_ESP and CONFIG_CRYPTO_GCM",
	state.FeatureESP6:     "CONFIG_XFRM_USER, CONFIG_INET6_ESP and CONFIG_CRYPTO_GCM",

	state.FeatureTBF:           "CONFIG_NET_SCH_TBF",
	state.FeatureNetem:         "CONFIG_NET_SCH_NETEM",
	state.FeatureIFB:           "CONFIG_IFB",
	state.FeatureMirred:        "CONFIG_NET_SCH_INGRESS, CONFIG_NET_CLS_U32 and CONFIG_NET_ACT_MIRRED",
	state.FeatureVLANFiltering: "CONFIG_BRIDGE_VLAN_FILTERING",
}

// MissingError names features that the kernel lacks.
type MissingError struct{ Features []state.Feature }

func (e *MissingError) Error() string {
	text := "this kernel lacks"
	for i, f := range e.Features {
		if i > 0 {
			text += ","
		}
		text += fmt.Sprintf(" %s (enable %s, or load its module)", f, option[f])
	}
	return text
}

// Probe tries the features in a scratch namespace, which is gone when it returns, and
// reports all that are missing as a *MissingError.
func (k *Kernel) Probe(ctx context.Context, features []state.Feature) error {
	if len(features) == 0 {
		return nil
	}
	return excursion(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("making a scratch namespace: %w", os.NewSyscallError("unshare", err))
		}
		var missing []state.Feature
		for _, f := range features {
			err := k.try(ctx, f)
			switch {
			case err == nil:
			case isAny(err, unix.EOPNOTSUPP, unix.ENOENT, unix.EPROTONOSUPPORT, unix.EAFNOSUPPORT, unix.ENOPROTOOPT, unix.EINVAL, unix.ENOSYS):
				missing = append(missing, f)
			default:
				return fmt.Errorf("trying whether the kernel has %s: %w", f, err)
			}
		}
		if len(missing) > 0 {
			return &MissingError{missing}
		}
		return nil
	})
}

// try uses a feature in the namespace of the calling thread.
func (k *Kernel) try(ctx context.Context, f state.Feature) error {
	switch f {
	case state.FeatureNftables:
		return tryTable(func(*nftables.Conn, *nftables.Table) {})
	case state.FeatureNAT:
		return tryTable(tryMasquerade)
	case state.FeatureESP, state.FeatureESP6:
		return k.tryESP(ctx, f == state.FeatureESP6)
	}
	c, err := openConn(k.buffers)
	if err != nil {
		return err
	}
	defer c.close()
	switch f {
	case state.FeatureVLANFiltering:
		return tryFiltering(ctx, c)
	case state.FeatureMirred:
		return tryRedirect(ctx, c)
	case state.FeatureTBF, state.FeatureNetem:
		return tryQdisc(ctx, c, f)
	}
	b := &batch{}
	l := state.Link{Name: "probe-" + string(f), Type: state.LinkType(f)}
	switch l.Type {
	case state.Bridge:
		newBridge(b, l, 0)
	case state.Veth:
		newVeth(b, l, state.Link{Name: "probe-peer"}, 0, [2]uint32{}, -1)
	case state.VXLAN:
		l.Tunnel = state.Tunnel{VNI: 1, Port: state.VXLANPort}
		newVXLAN(b, l, 0, -1)
	case state.Dummy, state.IFB:
		newPlain(b, l, 0)
	case state.VRF:
		l.Table = 1
		newVRF(b, l, 0)
	case state.Macvlan, state.IPvlan, state.VLAN:
		// On no link, which is invalid to a kernel that knows the type.
		newStacked(b, l, 0, 0, -1)
		if err := c.one(ctx, b); !isAny(err, unix.EINVAL, unix.ENODEV) {
			return err
		}
		return nil
	default:
		return fmt.Errorf("%q is not a feature that can be tried: %w", f, errors.ErrUnsupported)
	}
	return c.one(ctx, b)
}

// tryESP makes an IPsec state, with a key of zeros.
func (k *Kernel) tryESP(ctx context.Context, ipv6 bool) error {
	c, err := k.openXfrm()
	if err != nil {
		return err
	}
	defer c.close()
	end := netip.MustParseAddr("192.0.2.1")
	if ipv6 {
		end = netip.MustParseAddr("2001:db8::1")
	}
	b := &batch{}
	newState(b, state.NewIPsecState(k.stack, state.Host, end, end, 1), make([]byte, 20))
	return c.one(ctx, b)
}

// tryTable makes a table in the namespace of the calling thread.
func tryTable(fill func(*nftables.Conn, *nftables.Table)) error {
	c, err := nftables.New()
	if err != nil {
		return err
	}
	t := c.AddTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: "probe"})
	fill(c, t)
	err = c.Flush()
	c.DelTable(t)
	return errors.Join(err, c.Flush())
}

func tryMasquerade(c *nftables.Conn, t *nftables.Table) {
	chain := c.AddChain(&nftables.Chain{
		Name: "probe", Table: t, Type: nftables.ChainTypeNAT,
		Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource,
	})
	c.AddRule(&nftables.Rule{Table: t, Chain: chain, Exprs: []expr.Any{&expr.Masq{}}})
}

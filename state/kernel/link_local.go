package kernel

import (
	"context"
	"net/netip"

	"github.com/cnmctl/cnmctl/state"
	"golang.org/x/sys/unix"
)

// linkLocalLength is the length that the kernel gives its own link-local addresses
// (addrconf_add_linklocal).
const linkLocalLength = 64

// moveLinkLocal adds the requests that give a link the link-local address of its new MAC:
// the kernel keeps the one that it made of the old MAC until the link goes down. The new
// one comes first, so that the routes by way of fe80::/64 stay.
func (open *place) moveLinkLocal(ctx context.Context, b *batch, before, after state.Link) error {
	if before.MAC == after.MAC || before.MAC.IsZero() || after.MAC.IsZero() || before.NoIPv6 || after.NoIPv6 {
		return nil
	}
	index, err := open.lookup(ctx, after.Name)
	if err != nil {
		return err
	}
	has, err := open.conn.addresses(ctx)
	if err != nil {
		return err
	}
	old := before.MAC.LinkLocal()
	for _, a := range has {
		if a.index == index && a.prefix.Addr() == old {
			linkLocalRequest(b, unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, index, after.MAC.LinkLocal())
			linkLocalRequest(b, unix.RTM_DELADDR, 0, index, old)
			return nil
		}
	}
	return nil // this link has none, or not of its MAC (addr_gen_mode)
}

// linkLocalRequest adds one request, for an address that is like the kernel's own: it is
// looked for on the link before it is used, and says that the kernel made it.
func linkLocalRequest(b *batch, typ, flags uint16, index int32, ip netip.Addr) {
	fixed := make([]byte, unix.SizeofIfAddrmsg)
	fixed[0], fixed[1], fixed[3] = unix.AF_INET6, linkLocalLength, unix.RT_SCOPE_LINK
	native.PutUint32(fixed[4:], uint32(index))
	b.request(typ, flags, fixed)
	b.addr(unix.IFA_LOCAL, ip)
	b.addr(unix.IFA_ADDRESS, ip)
	if typ == unix.RTM_NEWADDR {
		b.u32(unix.IFA_FLAGS, unix.IFA_F_PERMANENT)
		b.u8(ifaProto, ifaProtoKernel)
	}
	b.end()
}

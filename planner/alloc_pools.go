package planner

import (
	"crypto/sha256"
	"net/netip"
	"strconv"
	"strings"

	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
	"go4.org/netipx"
)

// localPools and globalPools are where libnetwork takes automatic subnets from: 31 for
// networks of one host, 65536 for networks that span hosts.
func localPools() []spec.Pool {
	return []spec.Pool{
		{Base: netip.MustParsePrefix("172.17.0.0/16"), Size: 16},
		{Base: netip.MustParsePrefix("172.18.0.0/16"), Size: 16},
		{Base: netip.MustParsePrefix("172.19.0.0/16"), Size: 16},
		{Base: netip.MustParsePrefix("172.20.0.0/14"), Size: 16},
		{Base: netip.MustParsePrefix("172.24.0.0/14"), Size: 16},
		{Base: netip.MustParsePrefix("172.28.0.0/14"), Size: 16},
		{Base: netip.MustParsePrefix("192.168.0.0/16"), Size: 20},
	}
}

func globalPools() []spec.Pool {
	return []spec.Pool{{Base: netip.MustParsePrefix("10.0.0.0/8"), Size: 24}}
}

// poolCursor walks the subnets of pools once. Within one allocation subnets are only ever
// taken, so what it has passed need not be looked at again.
type poolCursor struct {
	pools []spec.Pool
	at    netip.Prefix
	// after is where to go on at the end; nil: nowhere.
	after *poolCursor
}

// newCursor walks the configured pools of a family, or the fallback when there are none.
func newCursor(configured []spec.Pool, v6 bool, fallback []spec.Pool) *poolCursor {
	var pools []spec.Pool
	for _, p := range configured {
		if p.Base.IsValid() && p.Base.Addr().Is6() == v6 {
			pools = append(pools, p)
		}
	}
	if len(pools) == 0 {
		pools = fallback
	}
	return &poolCursor{pools: pools}
}

// next is the next subnet of the pools, in order.
func (c *poolCursor) next() (netip.Prefix, bool) {
	for len(c.pools) > 0 {
		base, size := c.pools[0].Base.Masked(), c.pools[0].Size
		switch {
		case size < base.Bits() || size > base.Addr().BitLen():
			// Not a size that the base can be cut into: an empty pool.
		case !c.at.IsValid():
			c.at = netip.PrefixFrom(base.Addr(), size)
			return c.at, true
		default:
			c.at = netip.PrefixFrom(netipx.PrefixLastIP(c.at).Next(), size)
			if c.at.IsValid() && base.Contains(c.at.Addr()) {
				return c.at, true
			}
		}
		c.pools, c.at = c.pools[1:], netip.Prefix{}
	}
	if c.after != nil {
		return c.after.next()
	}
	return netip.Prefix{}, false
}

// describePools lists the pools for messages.
func describePools(pools []spec.Pool) string {
	text := make([]string, len(pools))
	for i, p := range pools {
		text[i] = p.Base.String()
		if p.Size != p.Base.Bits() {
			text[i] += " cut to /" + strconv.Itoa(p.Size)
		}
	}
	return strings.Join(text, ", ")
}

// uniqueLocal is the network's /64 under fd00::/8 (RFC 4193): the 40 bits of global ID and
// 16 of subnet ID are a hash, so that they are random among stacks and the same on every
// run. Attempts after a collision differ.
func uniqueLocal(stack string, network state.Address, attempt int) netip.Prefix {
	sum := hash(stack, network, attempt)
	ip := [16]byte{0: 0xfd}
	copy(ip[1:8], sum[:7])
	return netip.PrefixFrom(netip.AddrFrom16(ip), 64)
}

// hash is what generated values are made of: the same for a block on every run, different
// in each attempt.
func hash(stack string, block state.Address, attempt int) [sha256.Size]byte {
	text := stack + "\x00" + string(block)
	if attempt > 0 {
		text += "\x00" + strconv.Itoa(attempt)
	}
	return sha256.Sum256([]byte(text))
}

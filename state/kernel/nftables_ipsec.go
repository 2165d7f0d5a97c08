package kernel

import (
	"encoding/binary"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// rawExpr is an expression that google/nftables cannot read or write, as attributes in the
// order of the kernel's own (nft_rt_get_dump, nft_xfrm_get_dump).
type rawExpr struct {
	expr.Any // nil; for the type alone
	name     string
	data     []byte
}

func (e rawExpr) bytes() []byte {
	var m message
	m.text(unix.NFTA_EXPR_NAME, e.name)
	m.attr(unix.NFTA_EXPR_DATA|unix.NLA_F_NESTED, e.data)
	return m.b
}

// What golang.org/x/sys/unix lacks of linux/netfilter/nf_tables.h.
const (
	nftRtXfrm      = 4
	nftaXfrmDreg   = 1
	nftaXfrmKey    = 2
	nftaXfrmDir    = 3
	nftaXfrmSpnum  = 4
	nftXfrmReqid   = 5
	xfrmPolicyIn   = 0
	innermostState = 0
)

func beNumber(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }

// routeIPsec loads whether the route of a packet encrypts it: one byte.
func routeIPsec() rawExpr {
	var m message
	m.attr(unix.NFTA_RT_KEY, beNumber(nftRtXfrm))
	m.attr(unix.NFTA_RT_DREG, beNumber(reg1))
	return rawExpr{name: "rt", data: m.b}
}

// stateNumber loads the number (reqid) of the state that a packet was decrypted with.
func stateNumber() rawExpr {
	var m message
	m.attr(nftaXfrmDreg, beNumber(reg1))
	m.attr(nftaXfrmKey, beNumber(nftXfrmReqid))
	m.u8(nftaXfrmDir, xfrmPolicyIn)
	m.attr(nftaXfrmSpnum, beNumber(innermostState))
	return rawExpr{name: "xfrm", data: m.b}
}

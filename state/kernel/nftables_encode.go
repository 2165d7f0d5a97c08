package kernel

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/cnmctl/cnmctl/state"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Rules are compiled exactly as nft compiles them: what either has written, both can read.

// The registers. A value of up to 16 bytes fits into register 1; behind an IPv4 address,
// the port of a map's value comes in the second quarter of it, behind an IPv6 address in
// register 2.
const (
	reg1         = unix.NFT_REG_1
	reg2         = unix.NFT_REG_2
	regPortAfter = unix.NFT_REG32_01
)

// compiler turns one rule into expressions.
type compiler struct {
	exprs []expr.Any
	// family is what the rule has made sure of so far: 0, NFPROTO_IPV4 or NFPROTO_IPV6.
	family byte
}

func (c *compiler) add(e ...expr.Any) { c.exprs = append(c.exprs, e...) }

func encodeRule(r state.FilterRule) ([]expr.Any, error) {
	c := &compiler{}
	for _, m := range r.Matches {
		if err := c.match(m); err != nil {
			return nil, err
		}
	}
	if err := c.statement(r.Do); err != nil {
		return nil, err
	}
	return c.exprs, nil
}

// match compiles a condition: load what it is about, then compare.
func (c *compiler) match(m state.Match) error {
	if bits, ok := bitFields[m.Selector]; ok {
		return c.bits(m, bits)
	}
	if set, ok := m.Set(); ok {
		if err := c.load(m.Selector); err != nil {
			return err
		}
		c.add(&expr.Lookup{SourceRegister: reg1, SetName: set, Invert: m.Not})
		return nil
	}
	if a, ok := addressFields[m.Selector]; ok {
		return c.address(m, a)
	}
	value, err := encodeOperand(m)
	if err != nil {
		return err
	}
	if err := c.load(m.Selector); err != nil {
		return err
	}
	if m.Selector == state.TCPSport {
		c.add(&expr.Cmp{Op: expr.CmpOpLt, Register: reg1, Data: value})
		return nil
	}
	c.compare(m.Not, value)
	if m.Selector == state.Family && !m.Not {
		c.family = value[0]
	}
	return nil
}

func (c *compiler) compare(not bool, value []byte) {
	op := expr.CmpOpEq
	if not {
		op = expr.CmpOpNeq
	}
	c.add(&expr.Cmp{Op: op, Register: reg1, Data: value})
}

// metaFields are what the kernel knows of a packet beside its bytes.
var metaFields = map[state.Selector]expr.MetaKey{
	state.IifName: expr.MetaKeyIIFNAME, state.OifName: expr.MetaKeyOIFNAME, state.SdifName: metaKeySDIFNAME,
	state.Family: expr.MetaKeyNFPROTO, state.L4Proto: expr.MetaKeyL4PROTO, state.PacketMark: expr.MetaKeyMARK,
}

// metaKeySDIFNAME is NFT_META_SDIFNAME of linux/netfilter/nf_tables.h, not in package expr.
const metaKeySDIFNAME expr.MetaKey = 34

// portFields are ports of one protocol.
var portFields = map[state.Selector]uint8{
	state.TCPDport: unix.IPPROTO_TCP, state.UDPDport: unix.IPPROTO_UDP, state.SCTPDport: unix.IPPROTO_SCTP,
	state.TCPSport: unix.IPPROTO_TCP,
}

// addressField is where an address is in the network header.
type addressField struct {
	family byte
	offset uint32
	size   uint32
}

var addressFields = map[state.Selector]addressField{
	state.SaddrIPv4: {unix.NFPROTO_IPV4, 12, 4}, state.DaddrIPv4: {unix.NFPROTO_IPV4, 16, 4},
	state.SaddrIPv6: {unix.NFPROTO_IPV6, 8, 16}, state.DaddrIPv6: {unix.NFPROTO_IPV6, 24, 16},
}

// bitField is a set of flags of a connection.
type bitField struct {
	key  expr.CtKey
	bits map[string]uint32
}

var bitFields = map[state.Selector]bitField{
	state.CTState: {expr.CtKeySTATE, map[string]uint32{
		"invalid": expr.CtStateBitINVALID, "established": expr.CtStateBitESTABLISHED,
		"related": expr.CtStateBitRELATED, "new": expr.CtStateBitNEW, "untracked": expr.CtStateBitUNTRACKED,
	}},
	state.CTStatus: {expr.CtKeySTATUS, map[string]uint32{"snat": 1 << 4, "dnat": 1 << 5}},
}

// load brings a field, or several joined ones, into registers from the first on.
func (c *compiler) load(f state.Selector) error {
	if fields := f.Fields(); len(fields) > 1 {
		return c.loadKey(fields)
	}
	if key, ok := metaFields[f]; ok {
		c.add(&expr.Meta{Key: key, Register: reg1})
		return nil
	}
	if proto, ok := portFields[f]; ok {
		c.add(&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: reg1}, &expr.Cmp{Op: expr.CmpOpEq, Register: reg1, Data: []byte{proto}})
		offset := uint32(2)
		if f == state.TCPSport {
			offset = 0
		}
		c.add(&expr.Payload{DestRegister: reg1, Base: expr.PayloadBaseTransportHeader, Offset: offset, Len: 2})
		return nil
	}
	if a, ok := addressFields[f]; ok {
		c.require(a.family)
		c.add(&expr.Payload{DestRegister: reg1, Base: expr.PayloadBaseNetworkHeader, Offset: a.offset, Len: a.size})
		return nil
	}
	switch f {
	case state.Direction:
		c.add(&expr.Ct{Key: expr.CtKeyDIRECTION, Register: reg1})
		return nil
	case state.VNI:
		c.add(&expr.Payload{DestRegister: reg1, Base: expr.PayloadBaseTransportHeader, Offset: 12, Len: 3})
		return nil
	case state.FromIPsec:
		c.add(stateNumber())
		return nil
	case state.RouteIPsec:
		c.add(routeIPsec())
		return nil
	}
	if f == state.DaddrType {
		c.add(&expr.Fib{Register: reg1, FlagDADDR: true, ResultADDRTYPE: true})
		return nil
	}
	return fmt.Errorf("%q cannot be looked up", f)
}

// loadKey brings several fields into registers one behind the other, each at the next
// multiple of four bytes.
func (c *compiler) loadKey(fields []state.Selector) error {
	for _, f := range fields {
		if a, ok := addressFields[f]; ok {
			c.require(a.family)
		}
	}
	at := uint32(0)
	for _, f := range fields {
		a, address := addressFields[f]
		switch {
		case address:
			c.add(&expr.Payload{DestRegister: register(at), Base: expr.PayloadBaseNetworkHeader, Offset: a.offset, Len: a.size})
			at += a.size
		case f == state.L4Proto:
			c.add(&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: register(at)})
			at += registerSize
		case f == state.Sport || f == state.Dport:
			offset := map[state.Selector]uint32{state.Sport: 0, state.Dport: 2}[f]
			c.add(&expr.Payload{DestRegister: register(at), Base: expr.PayloadBaseTransportHeader, Offset: offset, Len: 2})
			at += registerSize
		default:
			return fmt.Errorf("%q cannot be part of a key", f)
		}
	}
	return nil
}

// registerSize is that of the small registers, four of which are one of the large ones.
const registerSize = 4

// register is the one that begins after so many bytes, as nft numbers it: by the large one
// where one begins there.
func register(at uint32) uint32 {
	const large = 4 * registerSize
	if at%large == 0 {
		return reg1 + at/large
	}
	return unix.NFT_REG32_00 + at/registerSize
}

// require makes sure of the family before its header is read.
func (c *compiler) require(family byte) {
	if c.family == family {
		return
	}
	c.add(&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: reg1}, &expr.Cmp{Op: expr.CmpOpEq, Register: reg1, Data: []byte{family}})
	c.family = family
}

// address compares an address with a prefix. Where the prefix ends between two bytes only
// those before are loaded, else the rest is masked.
func (c *compiler) address(m state.Match, a addressField) error {
	p, err := parsePrefix(m.Value)
	if err != nil || uint32(len(p.Addr().AsSlice())) != a.size || p.Bits() == 0 {
		return fmt.Errorf("%q is nothing to compare %s with", m.Value, m.Selector)
	}
	c.require(a.family)
	value, size := p.Addr().AsSlice(), a.size
	if p.Bits()%8 == 0 {
		size = uint32(p.Bits() / 8)
	}
	c.add(&expr.Payload{DestRegister: reg1, Base: expr.PayloadBaseNetworkHeader, Offset: a.offset, Len: size})
	if p.Bits()%8 != 0 {
		c.add(&expr.Bitwise{SourceRegister: reg1, DestRegister: reg1, Len: size, Mask: maskOf(p), Xor: make([]byte, size)})
	}
	c.compare(m.Not, value[:size])
	return nil
}

func parsePrefix(text string) (netip.Prefix, error) {
	if !strings.Contains(text, "/") {
		a, err := netip.ParseAddr(text)
		return netip.PrefixFrom(a, a.BitLen()), err
	}
	return netip.ParsePrefix(text)
}

func maskOf(p netip.Prefix) []byte {
	mask := make([]byte, len(p.Addr().AsSlice()))
	for bit := range p.Bits() {
		mask[bit/8] |= 0x80 >> (bit % 8)
	}
	return mask
}

// bits tests whether any of the flags is set.
func (c *compiler) bits(m state.Match, f bitField) error {
	var mask uint32
	for name := range strings.SplitSeq(m.Value, ",") {
		bit, ok := f.bits[name]
		if !ok || m.Not {
			return fmt.Errorf("%q is not a test that %s knows", m, m.Selector)
		}
		mask |= bit
	}
	c.add(&expr.Ct{Key: f.key, Register: reg1},
		&expr.Bitwise{SourceRegister: reg1, DestRegister: reg1, Len: 4, Mask: binaryutil.NativeEndian.PutUint32(mask), Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: reg1, Data: make([]byte, 4)})
	return nil
}

// rtnLocal is the type of routes to the machine's own addresses (RTN_LOCAL).
const rtnLocal = unix.RTN_LOCAL

// The directions of a connection (enum ip_conntrack_dir).
const ipCTDirOriginal, ipCTDirReply = 0, 1

// encodeOperand is what a field is compared with.
func encodeOperand(m state.Match) ([]byte, error) {
	switch m.Selector {
	case state.IifName, state.OifName, state.SdifName:
		return linkName(m.Value)
	case state.Family:
		switch m.Value {
		case "ipv4":
			return []byte{unix.NFPROTO_IPV4}, nil
		case "ipv6":
			return []byte{unix.NFPROTO_IPV6}, nil
		}
	case state.L4Proto:
		n, err := protoNumber(m.Value)
		return []byte{n}, err
	case state.PacketMark:
		n, err := strconv.ParseUint(strings.TrimPrefix(m.Value, "0x"), 16, 32)
		return binaryutil.NativeEndian.PutUint32(uint32(n)), err
	case state.TCPDport, state.UDPDport, state.SCTPDport:
		n, err := strconv.ParseUint(m.Value, 10, 16)
		return binary.BigEndian.AppendUint16(nil, uint16(n)), err
	case state.VNI:
		n, err := strconv.ParseUint(strings.TrimPrefix(m.Value, "0x"), 16, 24)
		return binary.BigEndian.AppendUint32(nil, uint32(n))[1:], err
	case state.FromIPsec:
		n, err := strconv.ParseUint(m.Value, 10, 32)
		return binaryutil.NativeEndian.PutUint32(uint32(n)), err
	case state.TCPSport:
		if n, err := strconv.ParseUint(strings.TrimPrefix(m.Value, "< "), 10, 16); err == nil && !m.Not {
			return binary.BigEndian.AppendUint16(nil, uint16(n)), nil
		}
	case state.Direction:
		switch m.Value {
		case "original":
			return []byte{ipCTDirOriginal}, nil
		case "reply":
			return []byte{ipCTDirReply}, nil
		}
	case state.RouteIPsec:
		switch m.Value {
		case "exists":
			return []byte{1}, nil
		case "missing":
			return []byte{0}, nil
		}
	case state.DaddrType:
		if m.Value == "local" {
			return binaryutil.NativeEndian.PutUint32(rtnLocal), nil
		}
	}
	return nil, fmt.Errorf("%q is nothing to compare %s with", m.Value, m.Selector)
}

// verdicts are the verbs that end the evaluation of a chain.
var verdicts = map[state.Verb]expr.VerdictKind{
	state.Accept: expr.VerdictAccept, state.Drop: expr.VerdictDrop, state.Return: expr.VerdictReturn,
	state.Jump: expr.VerdictJump, state.Goto: expr.VerdictGoto,
}

func (c *compiler) statement(s state.Statement) error {
	if kind, ok := verdicts[s.Verb]; ok {
		c.add(&expr.Verdict{Kind: kind, Chain: s.Chain})
		return nil
	}
	switch s.Verb {
	case state.VerdictMap:
		if err := c.load(s.Key); err != nil {
			return err
		}
		c.add(&expr.Lookup{SourceRegister: reg1, DestRegister: unix.NFT_REG_VERDICT, IsDestRegSet: true, SetName: s.Map})
	case state.Masquerade:
		c.add(&expr.Masq{})
	case state.SetMark:
		c.add(&expr.Immediate{Register: reg1, Data: binaryutil.NativeEndian.PutUint32(s.Mark)},
			&expr.Meta{Key: expr.MetaKeyMARK, SourceRegister: true, Register: reg1})
	case state.SNAT:
		return c.nat(expr.NATTypeSourceNAT, s)
	case state.DNAT:
		if s.Map != "" {
			return c.natByMap(s)
		}
		return c.nat(expr.NATTypeDestNAT, s)
	default:
		return fmt.Errorf("%q is not a statement", s.Verb)
	}
	return nil
}

// nat writes a fixed address, and port.
func (c *compiler) nat(typ expr.NATType, s state.Statement) error {
	if !s.Addr.IsValid() {
		return fmt.Errorf("%s has no address", s.Verb)
	}
	n := &expr.NAT{Type: typ, Family: unix.NFPROTO_IPV4, RegAddrMin: reg1, RegAddrMax: reg1}
	if s.Addr.Is6() {
		n.Family = unix.NFPROTO_IPV6
	}
	c.add(&expr.Immediate{Register: reg1, Data: s.Addr.AsSlice()})
	if s.Port != 0 {
		c.add(&expr.Immediate{Register: reg2, Data: binary.BigEndian.AppendUint16(nil, s.Port)})
		n.RegProtoMin, n.RegProtoMax, n.Specified = reg2, reg2, true
	}
	c.add(n)
	return nil
}

// natByMap looks address and port up.
func (c *compiler) natByMap(s state.Statement) error {
	if err := c.load(s.Key); err != nil {
		return err
	}
	n := &expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: reg1, RegAddrMax: reg1,
		RegProtoMin: regPortAfter, RegProtoMax: regPortAfter, Specified: true}
	if s.IPv6 {
		n.Family, n.RegProtoMin, n.RegProtoMax = unix.NFPROTO_IPV6, reg2, reg2
	}
	c.add(&expr.Lookup{SourceRegister: reg1, DestRegister: reg1, IsDestRegSet: true, SetName: s.Map}, n)
	return nil
}

package kernel

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/cnmctl/cnmctl/state"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"golang.org/x/sys/unix"
)

// decodeRule reads a rule. What cnmctl would not write in exactly this way is kept as it
// is: the decoder may guess, because its guess is compiled again and compared.
func decodeRule(exprs, comment []byte) state.FilterRule {
	opaque := state.FilterRule{Opaque: &state.OpaqueRule{Exprs: bytes.Clone(exprs), Userdata: bytes.Clone(comment)}}
	list, ok := unmarshalExprs(exprs)
	if !ok {
		return opaque
	}
	r, ok := decompile(list)
	if !ok {
		return opaque
	}
	if r.Owner, ok = onlyComment(comment, ruleComment); !ok {
		return opaque
	}
	again, err := encodeRule(r)
	if err != nil || !sameExprs(list, again) {
		return opaque
	}
	return r
}

// mostKnown bounds what a ruleMemo remembers.
const mostKnown = 1000

// ruleMemo remembers what rules say: those of a thousand sandboxes are the same.
type ruleMemo struct {
	mutex sync.Mutex
	rules map[string]state.FilterRule
}

// rule is decodeRule, from memory if it has been asked for before.
func (m *ruleMemo) rule(exprs, comment []byte) state.FilterRule {
	key := strconv.Itoa(len(comment)) + " " + string(comment) + string(exprs)
	m.mutex.Lock()
	r, ok := m.rules[key]
	m.mutex.Unlock()
	if ok {
		return r
	}
	r = decodeRule(exprs, comment)
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if m.rules == nil || len(m.rules) >= mostKnown {
		m.rules = map[string]state.FilterRule{}
	}
	m.rules[key] = r
	return r
}

// onlyComment is the comment in user data that holds nothing else.
func onlyComment(data []byte, typ userdata.Type) (string, bool) {
	if len(data) == 0 {
		return "", true
	}
	if len(data) < 2 || data[0] != byte(typ) || int(data[1]) != len(data)-2 {
		return "", false
	}
	return string(bytes.TrimRight(data[2:], "\x00")), true
}

func sameExprs(a, b []expr.Any) bool {
	x, err := marshalExprs(a)
	if err != nil {
		return false
	}
	y, err := marshalExprs(b)
	return err == nil && bytes.Equal(x, y)
}

// unmarshalExprs reads a list of expressions, if it knows all of them.
func unmarshalExprs(b []byte) ([]expr.Any, bool) {
	var list []expr.Any
	ok := true
	attrs(b, func(_ uint16, elem []byte) {
		var name string
		var data []byte
		attrs(elem, func(typ uint16, value []byte) {
			switch typ {
			case unix.NFTA_EXPR_NAME:
				name = string(bytes.TrimRight(value, "\x00"))
			case unix.NFTA_EXPR_DATA:
				data = value
			}
		})
		if name == "byteorder" && turnsNothing(data) {
			return
		}
		e := newExpr(name, data)
		if raw, is := e.(rawExpr); is {
			list = append(list, raw)
			return
		}
		if e == nil || expr.Unmarshal(familyInet, data, e) != nil {
			ok = false
			return
		}
		list = append(list, e)
	})
	return list, ok
}

// turnsNothing reports that an expression turns round no byte, because the value is shorter
// than what it turns round at once. nft puts one behind the protocol in keys of ranges,
// which is one byte; we do not.
func turnsNothing(byteorder []byte) bool {
	var length, size uint32
	attrs(byteorder, func(typ uint16, data []byte) {
		switch typ {
		case unix.NFTA_BYTEORDER_LEN:
			length = be32(data)
		case unix.NFTA_BYTEORDER_SIZE:
			size = be32(data)
		}
	})
	return length < size
}

// newExpr makes room for an expression of a kind that rules of ours are made of.
func newExpr(name string, data []byte) expr.Any {
	switch name {
	case "meta":
		return &expr.Meta{}
	case "cmp":
		return &expr.Cmp{}
	case "payload":
		return &expr.Payload{}
	case "bitwise":
		return &expr.Bitwise{}
	case "lookup":
		return &expr.Lookup{}
	case "ct":
		return &expr.Ct{}
	case "fib":
		return &expr.Fib{}
	case "nat":
		return &expr.NAT{}
	case "masq":
		return &expr.Masq{}
	case "rt", "xfrm":
		return rawExpr{name: name, data: bytes.Clone(data)}
	case "immediate":
		if isVerdict(data) {
			return &expr.Verdict{}
		}
		return &expr.Immediate{}
	}
	return nil
}

// isVerdict tells a verdict from a value: both are immediate data.
func isVerdict(immediate []byte) bool {
	verdict := false
	attrs(immediate, func(typ uint16, data []byte) {
		if typ == unix.NFTA_IMMEDIATE_DREG && len(data) == 4 {
			verdict = binary.BigEndian.Uint32(data) == unix.NFT_REG_VERDICT
		}
	})
	return verdict
}

// decompiler reads a rule's expressions from left to right.
type decompiler struct {
	rest []expr.Any
	rule state.FilterRule
}

// next takes the next expression if it is a T.
func next[T expr.Any](d *decompiler) (e T, ok bool) {
	if len(d.rest) == 0 {
		return e, false
	}
	if e, ok = d.rest[0].(T); ok {
		d.rest = d.rest[1:]
	}
	return e, ok
}

func decompile(list []expr.Any) (state.FilterRule, bool) {
	d := &decompiler{rest: list}
	for len(d.rest) > 0 {
		if d.statement() {
			return d.rule, len(d.rest) == 0
		}
		if !d.match() {
			return d.rule, false
		}
	}
	return d.rule, false
}

// statement reads what ends a rule, if that is what comes.
func (d *decompiler) statement() bool {
	if v, ok := next[*expr.Verdict](d); ok {
		for verb, kind := range verdicts {
			if kind == v.Kind {
				d.rule.Do = state.Statement{Verb: verb, Chain: v.Chain}
				return true
			}
		}
		return false
	}
	if _, ok := next[*expr.Masq](d); ok {
		d.rule.Do = state.Statement{Verb: state.Masquerade}
		return true
	}
	return d.markStatement() || d.natStatement() || d.mapStatement()
}

// markStatement reads a value and where it goes.
func (d *decompiler) markStatement() bool {
	if len(d.rest) != 2 {
		return false
	}
	value, ok := d.rest[0].(*expr.Immediate)
	to, set := d.rest[1].(*expr.Meta)
	if !ok || !set || !to.SourceRegister || to.Key != expr.MetaKeyMARK || len(value.Data) != 4 {
		return false
	}
	d.rule.Do, d.rest = state.MarkWith(binaryutil.NativeEndian.Uint32(value.Data)), nil
	return true
}

// natStatement reads one or two values and a NAT expression.
func (d *decompiler) natStatement() bool {
	before := d.rest
	addr, ok := next[*expr.Immediate](d)
	if !ok {
		return false
	}
	port, hasPort := next[*expr.Immediate](d)
	n, ok := next[*expr.NAT](d)
	if !ok {
		d.rest = before
		return false
	}
	s := state.Statement{Verb: natVerb(n)}
	s.Addr, _ = netip.AddrFromSlice(addr.Data)
	if hasPort && len(port.Data) >= 2 {
		s.Port = binary.BigEndian.Uint16(port.Data)
	}
	d.rule.Do = s
	return true
}

func natVerb(n *expr.NAT) state.Verb {
	if n.Type == expr.NATTypeSourceNAT {
		return state.SNAT
	}
	return state.DNAT
}

// mapStatement reads a lookup whose result is a verdict, or address and port.
func (d *decompiler) mapStatement() bool {
	end := len(d.rest) - 1
	if n, ok := d.rest[end].(*expr.NAT); ok && end > 0 {
		l, ok := d.rest[end-1].(*expr.Lookup)
		if !ok {
			return false
		}
		key, ok := d.field(d.rest[:end-1])
		if ok {
			d.rule.Do, d.rest = state.DNATBy(key, l.SetName, n.Family == unix.NFPROTO_IPV6), nil
		}
		return ok
	}
	l, ok := d.rest[end].(*expr.Lookup)
	if !ok || !l.IsDestRegSet || l.DestRegister != unix.NFT_REG_VERDICT {
		return false
	}
	key, ok := d.field(d.rest[:end])
	if ok {
		d.rule.Do, d.rest = state.LookUp(key, l.SetName), nil
	}
	return ok
}

// field is what a run of loads brings into register 1.
func (d *decompiler) field(loads []expr.Any) (state.Selector, bool) {
	for _, f := range loadable {
		c := &compiler{family: d.family()}
		if c.load(f) == nil && sameExprs(loads, c.exprs) {
			return f, true
		}
	}
	return "", false
}

// loadable are all fields that can be loaded, in a fixed order.
var loadable = loadableFields()

func loadableFields() []state.Selector {
	list := append(state.Keys(), state.DaddrType, state.Direction, state.VNI, state.FromIPsec, state.RouteIPsec)
	for f := range metaFields {
		list = append(list, f)
	}
	for f := range portFields {
		list = append(list, f)
	}
	for f := range addressFields {
		list = append(list, f)
	}
	slices.Sort(list)
	return list
}

// family is what the conditions read so far make sure of.
func (d *decompiler) family() byte {
	c := &compiler{}
	for _, m := range d.rule.Matches {
		if c.match(m) != nil {
			return 0
		}
	}
	return c.family
}

// match reads one condition: up to the next comparison or lookup, or, where that is only
// about the protocol of what comes after it, up to the one behind.
func (d *decompiler) match() bool {
	for n := 1; n <= len(d.rest); n++ {
		switch d.rest[n-1].(type) {
		case *expr.Cmp, *expr.Lookup:
		default:
			continue
		}
		// The longer reading first: "meta l4proto tcp" may begin "tcp dport 80".
		if more := d.comparison(n + 1); more > 0 && d.take(more) {
			return true
		}
		return d.take(n)
	}
	return false
}

// comparison is where the first comparison from the n-th expression on ends, 0 for nowhere.
func (d *decompiler) comparison(n int) int {
	for ; n <= len(d.rest); n++ {
		switch d.rest[n-1].(type) {
		case *expr.Cmp, *expr.Lookup:
			return n
		}
	}
	return 0
}

// take reads the next n expressions as one condition, if they are one.
func (d *decompiler) take(n int) bool {
	for _, m := range candidates(d.rest[:n]) {
		c := &compiler{family: d.family()}
		if c.match(m) == nil && sameExprs(d.rest[:n], c.exprs) {
			d.rule.Matches = append(d.rule.Matches, m)
			d.rest = d.rest[n:]
			return true
		}
	}
	return false
}

// candidates are the conditions that a run of expressions may be, by its last one: every
// field with the value that it would mean there.
func candidates(run []expr.Any) []state.Match {
	var list []state.Match
	switch last := run[len(run)-1].(type) {
	case *expr.Lookup:
		for _, f := range loadable {
			list = append(list, state.Match{Selector: f, Not: last.Invert, Value: "@" + last.SetName})
		}
	case *expr.Cmp:
		for _, f := range loadable {
			if value, ok := decodeOperand(f, run, last.Data); ok {
				list = append(list, state.Match{Selector: f, Not: last.Op == expr.CmpOpNeq, Value: value})
			}
		}
		for _, f := range []state.Selector{state.CTState, state.CTStatus} {
			if value, ok := decodeBits(f, run); ok {
				list = append(list, state.Match{Selector: f, Value: value})
			}
		}
	}
	return list
}

// decodeOperand is the value in a comparison as one of field f.
func decodeOperand(f state.Selector, run []expr.Any, data []byte) (string, bool) {
	if a, ok := addressFields[f]; ok {
		return decodePrefix(run, data, int(a.size))
	}
	switch {
	case len(data) == unix.IFNAMSIZ && (f == state.IifName || f == state.OifName || f == state.SdifName):
		return string(bytes.TrimRight(data, "\x00")), true
	case len(data) == 1 && f == state.Family:
		return map[byte]string{unix.NFPROTO_IPV4: "ipv4", unix.NFPROTO_IPV6: "ipv6"}[data[0]], true
	case len(data) == 1 && f == state.Direction:
		return map[byte]string{ipCTDirOriginal: "original", ipCTDirReply: "reply"}[data[0]], true
	case len(data) == 1 && f == state.L4Proto:
		return protoName(data[0]), true
	case len(data) == 4 && f == state.PacketMark:
		return state.MarkIs(binaryutil.NativeEndian.Uint32(data)).Value, true
	case len(data) == 3 && f == state.VNI:
		return state.VNIIs(binary.BigEndian.Uint32(append([]byte{0}, data...))).Value, true
	case len(data) == 4 && f == state.FromIPsec:
		return state.DecryptedWith(binaryutil.NativeEndian.Uint32(data)).Value, true
	case len(data) == 1 && f == state.RouteIPsec:
		return map[byte]string{0: "missing", 1: "exists"}[data[0]], true
	case len(data) == 4 && f == state.DaddrType:
		return "local", true
	case len(data) == 2 && f == state.TCPSport:
		return "< " + strconv.Itoa(int(binary.BigEndian.Uint16(data))), true
	case len(data) == 2 && portFields[f] != 0:
		return strconv.Itoa(int(binary.BigEndian.Uint16(data))), true
	}
	return "", false
}

// decodePrefix is the prefix that a comparison of the first bytes of an address, or of a
// masked one, stands for.
func decodePrefix(run []expr.Any, data []byte, size int) (string, bool) {
	if len(data) > size || len(data) == 0 {
		return "", false
	}
	bits := len(data) * 8
	if len(run) > 1 {
		if mask, ok := run[len(run)-2].(*expr.Bitwise); ok {
			bits = onesOf(mask.Mask)
		}
	}
	a, _ := netip.AddrFromSlice(append(bytes.Clone(data), make([]byte, size-len(data))...))
	if bits == a.BitLen() {
		return a.String(), true
	}
	p, err := a.Prefix(bits)
	return p.String(), err == nil
}

func onesOf(mask []byte) int {
	n := 0
	for _, b := range mask {
		for ; b&0x80 != 0; b <<= 1 {
			n++
		}
	}
	return n
}

// decodeBits names the flags of a test.
func decodeBits(f state.Selector, run []expr.Any) (string, bool) {
	if len(run) != 3 {
		return "", false
	}
	mask, ok := run[1].(*expr.Bitwise)
	if !ok || len(mask.Mask) != 4 {
		return "", false
	}
	set := binaryutil.NativeEndian.Uint32(mask.Mask)
	type flag struct {
		bit  uint32
		name string
	}
	var flags []flag
	for name, bit := range bitFields[f].bits {
		if set&bit != 0 {
			flags = append(flags, flag{bit, name})
			set &^= bit
		}
	}
	slices.SortFunc(flags, func(a, b flag) int { return int(a.bit) - int(b.bit) })
	names := make([]string, len(flags))
	for i, f := range flags {
		names[i] = f.name
	}
	return strings.Join(names, ","), set == 0 && len(names) > 0
}

// decodeVerdict reads the verdict of a map's element.
func decodeVerdict(data []byte) (state.Statement, error) {
	s, known := state.Statement{}, false
	attrs(data, func(typ uint16, nested []byte) {
		if typ != unix.NFTA_DATA_VERDICT {
			return
		}
		attrs(nested, func(typ uint16, value []byte) {
			switch {
			case typ == unix.NFTA_VERDICT_CODE && len(value) == 4:
				for verb, kind := range verdicts {
					if kind == expr.VerdictKind(int32(binary.BigEndian.Uint32(value))) {
						s.Verb, known = verb, true
					}
				}
			case typ == unix.NFTA_VERDICT_CHAIN:
				s.Chain = string(bytes.TrimRight(value, "\x00"))
			}
		})
	})
	if !known {
		return s, fmt.Errorf("an unknown verdict")
	}
	return s, nil
}

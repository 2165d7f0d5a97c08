package kernel

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/cnmctl/cnmctl/state"
	"golang.org/x/sys/unix"
)

const (
	sizeofFibRuleHdr = 12 // struct fib_rule_hdr of linux/fib_rules.h
	actionToTable    = 1  // FR_ACT_TO_TBL
)

// rule is what a dump says of one policy routing rule.
type rule struct {
	state.Rule
	proto uint8
	// odd: it says something that a state.Rule cannot.
	odd bool
}

// rules reads the policy routing rules of the socket's namespace.
func (c *conn) rules(ctx context.Context) (found []rule, err error) {
	fixed := make([]byte, sizeofFibRuleHdr)
	err = c.dump(ctx, unix.RTM_GETRULE, fixed, func() { found = found[:0] }, func(body []byte) {
		if len(body) >= sizeofFibRuleHdr && (body[0] == unix.AF_INET || body[0] == unix.AF_INET6) {
			found = append(found, parseRule(body))
		}
	})
	if err != nil {
		return nil, fmt.Errorf("reading rules: %w", err)
	}
	return found, nil
}

func parseRule(b []byte) rule {
	r := rule{Rule: state.Rule{IPv6: b[0] == unix.AF_INET6, Table: uint32(b[4])}}
	// Type of service, an action that is no table, and an inverted rule.
	r.odd = b[3] != 0 || b[7] != actionToTable || native.Uint32(b[8:])&unix.FIB_RULE_INVERT != 0
	attrs(b[sizeofFibRuleHdr:], func(typ uint16, data []byte) {
		switch typ {
		case unix.FRA_PRIORITY:
			r.Priority = number(data)
		case unix.FRA_TABLE:
			r.Table = number(data)
		case unix.FRA_SRC:
			r.From = netip.PrefixFrom(address(data), int(b[2]))
		case unix.FRA_DST:
			r.To = netip.PrefixFrom(address(data), int(b[1]))
		case unix.FRA_IIFNAME:
			r.Iif = cstring(data)
		case unix.FRA_OIFNAME:
			r.Oif = cstring(data)
		case unix.FRA_FWMARK:
			r.FwMark = number(data)
		case unix.FRA_FWMASK:
			r.odd = r.odd || number(data) != ^uint32(0) && number(data) != 0
		case unix.FRA_PROTOCOL:
			r.proto = uint8(number(data))
		case unix.FRA_SUPPRESS_PREFIXLEN, unix.FRA_SUPPRESS_IFGROUP:
			r.odd = r.odd || number(data) != ^uint32(0)
		case unix.FRA_GOTO, unix.FRA_FLOW, unix.FRA_TUN_ID, unix.FRA_UID_RANGE, unix.FRA_IP_PROTO,
			unix.FRA_SPORT_RANGE, unix.FRA_DPORT_RANGE:
			r.odd = true
		case unix.FRA_L3MDEV:
			r.odd = r.odd || number(data) != 0
		}
	})
	return r
}

// object is the rule as an object, nil for the kernel's own three and for those that we
// could not have made. Outside of our namespaces the protocol number is the mark.
func (r *rule) object(p state.Place, on *held, stack string) state.Object {
	if r.proto == unix.RTPROT_KERNEL || r.odd || on.lent && r.proto != state.Protocol(stack) {
		return nil
	}
	o := r.Rule
	o.Place, o.Mark = p, on.space
	return o
}

// writeRule adds the request that makes or deletes the rule.
func (k *Kernel) writeRule(b *batch, op state.Op) {
	r := op.Object().(state.Rule)
	fixed := make([]byte, sizeofFibRuleHdr)
	fixed[0] = unix.AF_INET
	if r.IPv6 {
		fixed[0] = unix.AF_INET6
	}
	if r.To.IsValid() {
		fixed[1] = uint8(r.To.Bits())
	}
	if r.From.IsValid() {
		fixed[2] = uint8(r.From.Bits())
	}
	fixed[7] = actionToTable
	if op.Action == state.Delete {
		b.request(unix.RTM_DELRULE, 0, fixed)
	} else {
		b.request(unix.RTM_NEWRULE, unix.NLM_F_CREATE|unix.NLM_F_EXCL, fixed)
		b.u8(unix.FRA_PROTOCOL, state.Protocol(k.stack))
	}
	b.u32(unix.FRA_TABLE, r.Table)
	b.u32(unix.FRA_PRIORITY, r.Priority)
	if r.To.IsValid() {
		b.addr(unix.FRA_DST, r.To.Addr())
	}
	if r.From.IsValid() {
		b.addr(unix.FRA_SRC, r.From.Addr())
	}
	if r.Iif != "" {
		b.text(unix.FRA_IIFNAME, r.Iif)
	}
	if r.Oif != "" {
		b.text(unix.FRA_OIFNAME, r.Oif)
	}
	if r.FwMark != 0 {
		b.u32(unix.FRA_FWMARK, r.FwMark)
	}
	b.end()
}

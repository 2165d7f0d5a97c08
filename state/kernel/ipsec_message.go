package kernel

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/cnmctl/cnmctl/state"
	"golang.org/x/sys/unix"
)

// What golang.org/x/sys/unix lacks of linux/xfrm.h.
const (
	xfrmNewState     = 0x10
	xfrmDelState     = 0x11
	xfrmGetState     = 0x12
	xfrmNewPolicy    = 0x13
	xfrmDelPolicy    = 0x14
	xfrmGetPolicy    = 0x15
	xfrmUpdatePolicy = 0x19

	xfrmaTemplate  = 5
	xfrmaEncap     = 4
	xfrmaAEAD      = 18
	xfrmaMark      = 21
	xfrmaReplayESN = 23

	xfrmOut       = 1
	xfrmTransport = 0

	sizeofSelector   = 56
	sizeofState      = 224
	sizeofStateID    = 24
	sizeofPolicy     = 168
	sizeofPolicyID   = 64
	sizeofTemplate   = 64
	sizeofAlgorithm  = 64 // the name in struct xfrm_algo_aead
	offsetLifetime   = 96 // in struct xfrm_usersa_info
	sizeofLifetime   = 32 // the limits of bytes and packets in struct xfrm_lifetime_cfg
	offsetPolicyLife = sizeofSelector
)

const (
	aeadName = "rfc4106(gcm(aes))"
	// icvBits is the size of the tag behind each packet, saltBits that of the part of the
	// key that goes into the nonce (RFC 4106, sections 4 and 6).
	icvBits, saltBits = 128, 32
)

// xfrmAddress is xfrm_address_t.
func xfrmAddress(a netip.Addr) []byte { return append(a.AsSlice(), make([]byte, 16)...)[:16] }

func parseXfrmAddress(b []byte, family uint16) netip.Addr {
	if family == unix.AF_INET {
		return address(b[:4])
	}
	return address(b[:16])
}

// unlimited are the limits of a struct xfrm_lifetime_cfg that end nothing (XFRM_INF).
var unlimited = bytes.Repeat([]byte{0xff}, sizeofLifetime)

// stateInfo is struct xfrm_usersa_info for an ESP state.
func stateInfo(s state.IPsecState) []byte {
	b := make([]byte, sizeofState)
	native.PutUint16(b[40:], uint16(family(s.Dst))) // of the selector, which selects all
	copy(b[56:], xfrmAddress(s.Dst))
	binary.BigEndian.PutUint32(b[72:], s.SPI)
	b[76] = unix.IPPROTO_ESP
	copy(b[80:], xfrmAddress(s.Src))
	copy(b[offsetLifetime:], unlimited)
	native.PutUint32(b[208:], state.IPsecMark(s.Mark.Stack))
	native.PutUint16(b[212:], uint16(family(s.Dst)))
	b[214] = xfrmTransport
	return b
}

// newState adds the request that makes a state with its key.
func newState(b *batch, s state.IPsecState, key []byte) {
	b.request(xfrmNewState, unix.NLM_F_CREATE|unix.NLM_F_EXCL, stateInfo(s))
	aead := append([]byte(aeadName), make([]byte, sizeofAlgorithm)...)[:sizeofAlgorithm]
	aead = native.AppendUint32(aead, uint32(len(key)*8))
	aead = native.AppendUint32(aead, icvBits)
	b.attr(xfrmaAEAD, append(aead, key...))
	b.end()
}

func delState(b *batch, s state.IPsecState) {
	id := make([]byte, sizeofStateID)
	copy(id, xfrmAddress(s.Dst))
	binary.BigEndian.PutUint32(id[16:], s.SPI)
	native.PutUint16(id[20:], uint16(family(s.Dst)))
	id[22] = unix.IPPROTO_ESP
	b.request(xfrmDelState, 0, id)
	b.end()
}

// liveState is what a dump says of a state.
type liveState struct {
	state.IPsecState
	reqid uint32
	key   []byte
}

func parseState(body []byte) (s liveState, ok bool) {
	if len(body) < sizeofState {
		return s, false
	}
	family := native.Uint16(body[212:])
	s.Dst, s.Src = parseXfrmAddress(body[56:], family), parseXfrmAddress(body[80:], family)
	s.SPI, s.reqid = binary.BigEndian.Uint32(body[72:]), native.Uint32(body[208:])
	form := xfrmForm(body[76], body[214])
	algorithm, more := " without algorithm", ""
	attrs(body[sizeofState:], func(typ uint16, data []byte) {
		switch {
		case typ == xfrmaAEAD && len(data) >= sizeofAlgorithm+8:
			bits := native.Uint32(data[sizeofAlgorithm:])
			algorithm = fmt.Sprintf(" %s %d icv %d", cstring(data[:sizeofAlgorithm]), int(bits)-saltBits, native.Uint32(data[sizeofAlgorithm+4:]))
			s.key = bytes.Clone(data[sizeofAlgorithm+8:])
		case typ == xfrmaReplayESN, typ == xfrmaMark, typ == xfrmaEncap:
			more += fmt.Sprintf(" attribute %d", typ)
		}
	})
	if window := body[215]; window != 0 {
		more += fmt.Sprintf(" replay-window %d", window)
	}
	if flags := body[216]; flags != 0 {
		more += fmt.Sprintf(" flags %#x", flags)
	}
	if !bytes.Equal(body[offsetLifetime:][:sizeofLifetime], unlimited) {
		more += " limited"
	}
	s.Form = form + algorithm + more
	return s, true
}

// xfrmForm names protocol and mode.
func xfrmForm(proto, mode uint8) string {
	form := fmt.Sprintf("protocol %d", proto)
	if proto == unix.IPPROTO_ESP {
		form = "esp"
	}
	if mode == xfrmTransport {
		return form + " transport"
	}
	return fmt.Sprintf("%s mode %d", form, mode)
}

// selector is struct xfrm_selector for UDP packets between the ends. ESP packets, which
// keep the mark of what is in them, are not selected again.
func selector(p state.IPsecPolicy) []byte {
	b := make([]byte, sizeofSelector)
	copy(b, xfrmAddress(p.Dst))
	copy(b[16:], xfrmAddress(p.Src))
	native.PutUint16(b[40:], uint16(family(p.Dst)))
	b[42], b[43] = uint8(p.Dst.BitLen()), uint8(p.Src.BitLen())
	b[44] = unix.IPPROTO_UDP
	return b
}

func (b *batch) xfrmMark(mark uint32) {
	b.attr(xfrmaMark, native.AppendUint32(native.AppendUint32(nil, mark), ^uint32(0)))
}

// setPolicy adds the request that makes a policy, or puts it into the place of the one
// between the same ends.
func setPolicy(b *batch, p state.IPsecPolicy, typ uint16) {
	info := append(selector(p), make([]byte, sizeofPolicy-sizeofSelector)...)
	copy(info[offsetPolicyLife:], unlimited)
	info[160] = xfrmOut
	b.request(typ, unix.NLM_F_CREATE, info)
	b.attr(xfrmaTemplate, template(p))
	b.xfrmMark(state.IPsecMark(p.Mark.Stack))
	b.end()
}

// template is struct xfrm_user_tmpl: which state is to be used.
func template(p state.IPsecPolicy) []byte {
	t := make([]byte, sizeofTemplate)
	copy(t, xfrmAddress(p.Dst))
	binary.BigEndian.PutUint32(t[16:], p.SPI)
	t[20] = unix.IPPROTO_ESP
	native.PutUint16(t[24:], uint16(family(p.Dst)))
	copy(t[28:], xfrmAddress(p.Src))
	native.PutUint32(t[44:], state.IPsecMark(p.Mark.Stack))
	t[48] = xfrmTransport
	for at := 52; at < sizeofTemplate; at += 4 {
		native.PutUint32(t[at:], ^uint32(0)) // any algorithm: the state has the right one
	}
	return t
}

func delPolicy(b *batch, p state.IPsecPolicy) {
	id := append(selector(p), make([]byte, sizeofPolicyID-sizeofSelector)...)
	id[60] = xfrmOut
	b.request(xfrmDelPolicy, 0, id)
	b.xfrmMark(state.IPsecMark(p.Mark.Stack))
	b.end()
}

// parsePolicy reads a policy of the stack's own from a dump.
func parsePolicy(body []byte, mark uint32) (p state.IPsecPolicy, ok bool) {
	if len(body) < sizeofPolicy {
		return p, false
	}
	var marked, mask uint32
	var templates []byte
	attrs(body[sizeofPolicy:], func(typ uint16, data []byte) {
		switch {
		case typ == xfrmaTemplate:
			templates = data
		case typ == xfrmaMark && len(data) >= 8:
			marked, mask = native.Uint32(data), native.Uint32(data[4:])
		}
	})
	family := native.Uint16(body[40:])
	p.Dst, p.Src = parseXfrmAddress(body, family), parseXfrmAddress(body[16:], family)
	p.Mark.Stack = "" // the caller knows it
	if marked != mark || mask != ^uint32(0) || body[160] != xfrmOut || !bytes.Equal(body[:sizeofSelector], selector(p)) {
		return p, false
	}
	p.Form = policyForm(body, templates, mark)
	if len(templates) >= sizeofTemplate {
		p.SPI = binary.BigEndian.Uint32(templates[16:])
	}
	return p, true
}

// policyForm is state.IPsecForm, or what else there is to say of a policy.
func policyForm(body, templates []byte, mark uint32) string {
	action, priority, limits := body[161], native.Uint32(body[152:]), body[offsetPolicyLife:][:sizeofLifetime]
	if action != 0 {
		return "block"
	}
	if len(templates) != sizeofTemplate {
		return fmt.Sprintf("%d templates", len(templates)/sizeofTemplate)
	}
	form := xfrmForm(templates[20], templates[48])
	if form == xfrmForm(unix.IPPROTO_ESP, xfrmTransport) {
		form = state.IPsecForm
	}
	if priority != 0 {
		form += fmt.Sprintf(" priority %d", priority)
	}
	if !bytes.Equal(limits, unlimited) {
		form += " limited"
	}
	if reqid := native.Uint32(templates[44:]); reqid != mark {
		form += fmt.Sprintf(" reqid %#x", reqid)
	}
	if optional := templates[50]; optional != 0 {
		form += " optional"
	}
	return form
}

package state

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"net/netip"
	"strconv"
)

// IPsecForm is the form of all states and policies that cnmctl makes. RFC 8221 asks for an
// ICV of 16 bytes. There is no replay window: a host that starts again counts from one
// again, and nobody would tell the other hosts (RFC 4303, section 3.3.3, says so of keys
// that are not negotiated).
const IPsecForm = "esp transport rfc4106(gcm(aes)) 128 icv 128"

// IPsecState is how packets from one tunnel end to another are encrypted (RFC 4303), and
// how the other one tells and decrypts them: the kernel's xfrm state, or security
// association. Its key is in no object, plan or record: it is made of a secret of the
// stack's keyring where the state is made, and read only to compare it.
type IPsecState struct {
	Place    Place
	Src, Dst netip.Addr
	// SPI names the state in packets; see SPI.
	SPI uint32
	// Generation is the number of the secret that the key is made of; 0 on a live state
	// whose key is made of none of them.
	Generation uint32
	// Form is IPsecForm, or what a live state is instead.
	Form string
	Mark Owner
}

// IPsecStateKey is the key of the state from src to dst with the SPI.
func IPsecStateKey(p Place, src, dst netip.Addr, spi uint32) Key {
	return Key{KindIPsecState, p, fmt.Sprintf("%s > %s %#x", src, dst, spi)}
}

// NewIPsecState is the state of a stack for packets from src to dst, with the key of a
// generation.
func NewIPsecState(stack string, p Place, src, dst netip.Addr, generation uint32) IPsecState {
	return IPsecState{
		Place: p, Src: src, Dst: dst, SPI: SPI(stack, src, dst, generation), Generation: generation, Form: IPsecForm, Mark: Owner{Stack: stack},
	}
}

// Key is the ends and the SPI.
func (s IPsecState) Key() Key { return IPsecStateKey(s.Place, s.Src, s.Dst, s.SPI) }

// Owner is the stack: its networks share the states between two hosts.
func (s IPsecState) Owner() Owner { return s.Mark }

// Needs is the keyring.
func (s IPsecState) Needs() []Key { return append(insideOf(s.Place, ""), KeyringKey()) }

// Inside is the namespace.
func (s IPsecState) Inside() []Key { return insideOf(s.Place, "") }

// Attrs cannot be changed in place: a key has one SPI.
func (s IPsecState) Attrs() []Attr {
	return []Attr{intAttr("generation", s.Generation).fixed(), strAttr("form", s.Form).fixed().quiet()}
}

// Derive is the key material of the state: a key of 16 bytes and a salt of 4 (RFC 4106,
// section 8.1). Every state has one of its own, because a counter that two senders have of
// one key would give AES-GCM away.
func (s IPsecState) Derive(from Secret) ([]byte, error) {
	const size = 16 + 4
	info := fmt.Sprintf("cnmctl esp\x00%s\x00%s\x00%s\x00%d", s.Mark.Stack, s.Src, s.Dst, s.Generation)
	return hkdf.Key(sha256.New, from.bytes, nil, info, size)
}

// IPsecPolicy has the marked packets from one tunnel end to another encrypted with a state:
// the kernel's xfrm policy. A packet that it applies to is dropped where the state is missing.
type IPsecPolicy struct {
	Place    Place
	Src, Dst netip.Addr
	// SPI is that of the state.
	SPI uint32
	// Form is IPsecForm, or what a live policy is instead.
	Form string
	Mark Owner
}

// Key is the ends.
func (p IPsecPolicy) Key() Key {
	return Key{KindIPsecPolicy, p.Place, fmt.Sprintf("%s > %s", p.Src, p.Dst)}
}

// Owner is the stack.
func (p IPsecPolicy) Owner() Owner { return p.Mark }

// Needs is the state.
func (p IPsecPolicy) Needs() []Key {
	return append(insideOf(p.Place, ""), IPsecStateKey(p.Place, p.Src, p.Dst, p.SPI))
}

// Inside is the namespace.
func (p IPsecPolicy) Inside() []Key { return insideOf(p.Place, "") }

// Attrs are changed in one step, between two packets.
func (p IPsecPolicy) Attrs() []Attr {
	return []Attr{{Name: "spi", Value: "0x" + strconv.FormatUint(uint64(p.SPI), 16)}, strAttr("form", p.Form).quiet()}
}

// firstSPI: smaller numbers are reserved (RFC 4303, section 2.1).
const firstSPI = 256

// SPI names the state of a stack from src to dst with the key of a generation. It is a
// hash, as libnetwork's is, so that both ends know it without asking: of some thousand
// hosts no two will have one for the same receiver.
func SPI(stack string, src, dst netip.Addr, generation uint32) uint32 {
	h := fnv.New32a()
	h.Write([]byte(stack + "\x00"))
	h.Write(src.AsSlice())
	h.Write(dst.AsSlice())
	h.Write(binary.BigEndian.AppendUint32(nil, generation))
	spi := h.Sum32()
	if spi < firstSPI {
		spi += firstSPI
	}
	return spi
}

// IPsecMark is the mark of packets that a stack wants encrypted, and the number (reqid) of
// its states and policies, by which they are known to be its own.
func IPsecMark(stack string) uint32 {
	const first = 0x63000000 // "c"
	return first | hash(stack)&0xffffff
}

package kernel

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/cnmctl/cnmctl/state"
	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

// The byte orders of keys, as nft notes them (enum byteorder of nft's datatype.h).
const (
	byteOrderHost = 1
	byteOrderBig  = 2
)

// types are the parts of a set's key or a map's value.
type types []nftables.SetDatatype

// setTypes are the types that sets of ours use.
var setTypes = map[state.Types]nftables.SetDatatype{
	state.TypeIfName: nftables.TypeIFName,
	state.TypeIPv4:   nftables.TypeIPAddr,
	state.TypeIPv6:   nftables.TypeIP6Addr,
	state.TypeProto:  nftables.TypeInetProto,
	state.TypePort:   nftables.TypeInetService,
}

func dataTypes(t state.Types) (types, error) {
	var list types
	for _, part := range t.Split() {
		d, ok := setTypes[part]
		if !ok {
			return nil, fmt.Errorf("sets of type %q are not known", part)
		}
		list = append(list, d)
	}
	return list, nil
}

// typesOf are the types with nft's number, if all of them are known.
func typesOf(magic, size uint32) (state.Types, bool) {
	var names []string
	for ; magic != 0; magic >>= nftables.SetConcatTypeBits {
		found := false
		for name, d := range setTypes {
			if d.GetNFTMagic() == magic&nftables.SetConcatTypeMask {
				names, found = append([]string{string(name)}, names...), true
			}
		}
		if !found {
			return "", false
		}
	}
	t := state.Types(strings.Join(names, " . "))
	list, err := dataTypes(t)
	return t, err == nil && list.size() == size
}

// magic is nft's number for the types.
func (t types) magic() uint32 {
	var magic uint32
	for _, part := range t {
		magic = magic<<nftables.SetConcatTypeBits | part.GetNFTMagic()
	}
	return magic
}

// size is the length of a value. The parts of a longer one begin in registers of their own.
func (t types) size() uint32 {
	if len(t) == 1 {
		return t[0].Bytes
	}
	var size uint32
	for _, part := range t {
		size += (part.Bytes + 3) &^ 3
	}
	return size
}

// native reports that nft takes the key for a number of the machine's byte order.
func (t types) native() bool { return len(t) == 1 && t[0].Name == nftables.TypeIFName.Name }

// encode reads a value in nft's words.
func (t types) encode(text string) ([]byte, error) {
	parts := strings.Split(text, " . ")
	if len(parts) != len(t) {
		return nil, fmt.Errorf("%q has %d parts in place of %d", text, len(parts), len(t))
	}
	var value []byte
	for i, part := range parts {
		b, err := encodeValue(t[i], part)
		if err != nil {
			return nil, err
		}
		value = append(value, b...)
		for len(t) > 1 && len(value)%4 != 0 {
			value = append(value, 0)
		}
	}
	return value, nil
}

// decode writes a value in nft's words.
func (t types) decode(value []byte) (string, error) {
	var parts []string
	for _, part := range t {
		size := int(part.Bytes)
		if len(value) < size {
			return "", errors.New("a value is too short")
		}
		text, err := decodeValue(part, value[:size])
		if err != nil {
			return "", err
		}
		parts = append(parts, text)
		value = value[min((size+3)&^3, len(value)):]
	}
	return strings.Join(parts, " . "), nil
}

func encodeValue(t nftables.SetDatatype, text string) ([]byte, error) {
	switch t.Name {
	case nftables.TypeIFName.Name:
		return linkName(text)
	case nftables.TypeInetProto.Name:
		n, err := protoNumber(text)
		return []byte{n}, err
	case nftables.TypeInetService.Name:
		n, err := strconv.ParseUint(text, 10, 16)
		return binary.BigEndian.AppendUint16(nil, uint16(n)), err
	}
	a, err := netip.ParseAddr(text)
	if err == nil && uint32(len(a.AsSlice())) != t.Bytes {
		err = fmt.Errorf("%s is not an %s", text, t.Name)
	}
	return a.AsSlice(), err
}

func decodeValue(t nftables.SetDatatype, value []byte) (string, error) {
	switch t.Name {
	case nftables.TypeIFName.Name:
		return string(bytes.TrimRight(value, "\x00")), nil
	case nftables.TypeInetProto.Name:
		return protoName(value[0]), nil
	case nftables.TypeInetService.Name:
		return strconv.Itoa(int(binary.BigEndian.Uint16(value))), nil
	}
	a, ok := netip.AddrFromSlice(value)
	if !ok {
		return "", fmt.Errorf("an address of %d bytes", len(value))
	}
	return a.String(), nil
}

// encodeRange reads a key whose parts are ranges in nft's words: the first and the last
// value of each.
func (t types) encodeRange(text string) (first, last []byte, err error) {
	parts := strings.Split(text, " . ")
	low, high := make([]string, len(parts)), make([]string, len(parts))
	for i, part := range parts {
		if p, err := netip.ParsePrefix(part); err == nil {
			low[i], high[i] = p.Masked().Addr().String(), state.LastAddr(p).String()
			continue
		}
		var run bool
		if low[i], high[i], run = strings.Cut(part, "-"); !run || t.named(i, part) {
			low[i], high[i] = part, part
		}
	}
	if first, err = t.encode(strings.Join(low, " . ")); err != nil {
		return nil, nil, err
	}
	last, err = t.encode(strings.Join(high, " . "))
	return first, last, err
}

// named reports that a part is a name with a dash in it, no range: ipv6-icmp.
func (t types) named(i int, part string) bool {
	_, known := protocols[part]
	return known && i < len(t) && t[i].Name == nftables.TypeInetProto.Name
}

// decodeRange writes a key whose parts are ranges in nft's words.
func (t types) decodeRange(first, last []byte) (string, error) {
	var parts []string
	for _, part := range t {
		size := int(part.Bytes)
		if len(first) < size || len(last) < size {
			return "", errors.New("a range is too short")
		}
		text, err := rangeText(part, first[:size], last[:size])
		if err != nil {
			return "", err
		}
		parts = append(parts, text)
		first, last = first[min((size+3)&^3, len(first)):], last[min((size+3)&^3, len(last)):]
	}
	return strings.Join(parts, " . "), nil
}

// rangeText is a range in nft's words: as a prefix where it is one, as one value if both
// ends are the same.
func rangeText(t nftables.SetDatatype, first, last []byte) (string, error) {
	switch {
	case bytes.Equal(first, last):
		return decodeValue(t, first)
	case t.Name == nftables.TypeInetProto.Name:
		return strconv.Itoa(int(first[0])) + "-" + strconv.Itoa(int(last[0])), nil
	case t.Name == nftables.TypeIPAddr.Name, t.Name == nftables.TypeIP6Addr.Name:
		low, _ := netip.AddrFromSlice(first)
		high, _ := netip.AddrFromSlice(last)
		return state.AddrRange{First: low, Last: high}.String(), nil
	}
	low, err := decodeValue(t, first)
	if err != nil {
		return "", err
	}
	high, err := decodeValue(t, last)
	return low + "-" + high, err
}

// linkName is an interface's name as rules hold it, filled up with zeros.
func linkName(name string) ([]byte, error) {
	if name == "" || len(name) >= unix.IFNAMSIZ || strings.ContainsRune(name, 0) {
		return nil, fmt.Errorf("%q is not the name of an interface", name)
	}
	b := make([]byte, unix.IFNAMSIZ)
	copy(b, name)
	return b, nil
}

// protocols are those that nft has names for everywhere.
var protocols = map[string]uint8{
	"tcp": unix.IPPROTO_TCP, "udp": unix.IPPROTO_UDP, "sctp": unix.IPPROTO_SCTP,
	"icmp": unix.IPPROTO_ICMP, "ipv6-icmp": unix.IPPROTO_ICMPV6,
}

func protoNumber(text string) (uint8, error) {
	if n, ok := protocols[text]; ok {
		return n, nil
	}
	n, err := strconv.ParseUint(text, 10, 8)
	return uint8(n), err
}

func protoName(n uint8) string {
	for name, number := range protocols {
		if number == n {
			return name
		}
	}
	return strconv.Itoa(int(n))
}

package spec

import (
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cnmctl/cnmctl/state"
	"github.com/zclconf/go-cty/cty"
)

// The checks of one value each. They are used in schemas, so what they say is the detail
// of a diagnostic: what is wrong, and what is allowed.

// onStrings applies a check to a string, or to each element of a list or map of them; what is
// said of elements is joined.
func onStrings(check func(string) error) func(cty.Value) error {
	return func(v cty.Value) error {
		if v.Type() == cty.String {
			return check(v.AsString())
		}
		var wrong []error
		for it := v.ElementIterator(); it.Next(); {
			k, e := it.Element()
			if e.IsNull() {
				wrong = append(wrong, errors.New("an element is null; leave it out instead"))
				continue
			}
			err := check(e.AsString())
			if err != nil && v.Type().IsMapType() {
				err = fmt.Errorf("element %q: %w", k.AsString(), err)
			}
			if err != nil {
				wrong = append(wrong, err)
			}
		}
		return errors.Join(wrong...)
	}
}

// each takes joined errors apart.
func each(err error) []error {
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		return joined.Unwrap()
	}
	return []error{err}
}

// between allows whole numbers from lo to hi.
func between(lo, hi int64) func(cty.Value) error {
	return func(v cty.Value) error {
		n, accuracy := v.AsBigFloat().Int64()
		if accuracy != big.Exact || n < lo || n > hi {
			return fmt.Errorf("%s is not a whole number from %d to %d", v.AsBigFloat().Text('g', 12), lo, hi)
		}
		return nil
	}
}

// oneOf allows the given words.
func oneOf(words ...string) func(cty.Value) error {
	return onStrings(func(s string) error {
		if slices.Contains(words, s) {
			return nil
		}
		return fmt.Errorf("%q is not one of %s.%s", s, strings.Join(words, ", "), didYouMean(s, words, ""))
	})
}

// checkAddr allows a plain address of either family.
func checkAddr(s string) error {
	if strings.Contains(s, "/") {
		return fmt.Errorf("%q has a prefix length; write the plain address, as in \"10.1.0.2\"", s)
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return fmt.Errorf("%q is not an IP address, as in \"10.1.0.2\" or \"fd00::2\"", s)
	}
	if a.Zone() != "" {
		return fmt.Errorf("%q has a zone; write the address without \"%%%s\"", s, a.Zone())
	}
	if a.Is4In6() {
		return fmt.Errorf("%q is an IPv4 address in IPv6 clothes; write %q", s, a.Unmap())
	}
	return nil
}

// checkHostAddr allows an address that one interface can have, of the given family (4, 6
// or 0 for both).
func checkHostAddr(family int) func(string) error {
	return func(s string) error {
		if err := checkAddr(s); err != nil {
			return err
		}
		a := netip.MustParseAddr(s)
		switch {
		case family == 4 && !a.Is4():
			return fmt.Errorf("%q is an IPv6 address; an IPv4 address is needed, as in \"10.1.0.2\"", s)
		case family == 6 && a.Is4():
			return fmt.Errorf("%q is an IPv4 address; an IPv6 address is needed, as in \"fd00::2\"", s)
		case a.IsUnspecified():
			return fmt.Errorf("%q is the unspecified address, which no interface can have", s)
		case a.IsMulticast():
			return fmt.Errorf("%q is a multicast address, which no interface can have", s)
		case a.IsLoopback():
			return fmt.Errorf("%q is a loopback address, which no network can carry", s)
		}
		return nil
	}
}

// checkLinkLocal allows an address of the blocks that no router forwards, other than those
// that mean something of their own (RFC 3927, section 2.1; RFC 4291, section 2.6.1).
func checkLinkLocal(s string) error {
	if err := checkAddr(s); err != nil {
		return err
	}
	a := netip.MustParseAddr(s)
	third := a.As16()[14]
	switch {
	case !a.IsLinkLocalUnicast():
		return fmt.Errorf("%q is not link-local: such addresses are in 169.254.0.0/16 and fe80::/64. Others are the subnets' of the network (ipv4, ipv6)", s)
	case a.Is4() && (third == 0 || third == 255):
		return fmt.Errorf("%q is reserved; choose one from 169.254.1.0 to 169.254.254.255", s)
	case a.Is6() && !netip.MustParsePrefix("fe80::/64").Contains(a):
		return fmt.Errorf("%q is not in fe80::/64, the only link-local subnet that there is", s)
	case a == netip.MustParseAddr("fe80::"):
		return fmt.Errorf("%q is the subnet-router anycast address, which no interface can have", s)
	}
	return nil
}

// checkCIDR allows a network in CIDR notation, without host bits.
func checkCIDR(s string) error {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		if _, err := netip.ParseAddr(s); err == nil {
			return fmt.Errorf("%q has no prefix length; write the network in CIDR notation, as in \"10.1.0.0/24\"", s)
		}
		return fmt.Errorf("%q is not a network in CIDR notation, as in \"10.1.0.0/24\" or \"fd00:1::/64\"", s)
	}
	if p.Addr().Is4In6() {
		return fmt.Errorf("%q is an IPv4 network in IPv6 clothes; write it as IPv4", s)
	}
	if p != p.Masked() {
		return fmt.Errorf("%q has bits set after the prefix length; the network is %q", s, p.Masked())
	}
	return nil
}

// checkSubnet allows what endpoints can be in.
func checkSubnet(s string) error {
	if err := checkCIDR(s); err != nil {
		return err
	}
	p := netip.MustParsePrefix(s)
	switch a := p.Addr(); {
	case a.IsMulticast():
		return fmt.Errorf("%q is multicast, no interface can have such an address", s)
	case a.IsLoopback():
		return fmt.Errorf("%q is loopback, no network can carry it", s)
	case a.IsUnspecified() && p.Bits() < 8:
		return fmt.Errorf("%q is the whole address space; choose a subnet of it", s)
	}
	return nil
}

// checkDestination allows a route's destination: "default", a network or an address.
func checkDestination(s string) error {
	if _, err := parseDestination(s, false); err != nil {
		return err
	}
	return nil
}

// parseDestination reads what checkDestination allows; six says what "default" means.
func parseDestination(s string, six bool) (netip.Prefix, error) {
	if s == "default" {
		if six {
			return netip.PrefixFrom(netip.IPv6Unspecified(), 0), nil
		}
		return netip.PrefixFrom(netip.IPv4Unspecified(), 0), nil
	}
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	if err := checkCIDR(s); err != nil {
		return netip.Prefix{}, err
	}
	return netip.MustParsePrefix(s), nil
}

// checkLoopback allows an address, with or without a prefix length, for lo.
func checkLoopback(s string) error {
	_, err := parseLoopback(s)
	return err
}

// parseLoopback reads what checkLoopback allows: a plain address is a /32 or /128.
func parseLoopback(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" && !a.IsMulticast() && !a.IsUnspecified() {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil || p.Addr().IsMulticast() || p.Addr().IsUnspecified() {
		return p, fmt.Errorf("%q is not an address for an interface, as in \"10.255.0.1\" or \"10.255.0.1/32\"", s)
	}
	return p, nil
}

// checkMAC allows the address of one interface.
func checkMAC(s string) error {
	m, err := state.ParseMAC(s)
	switch {
	case err != nil:
		return fmt.Errorf("%q is not an Ethernet address, as in \"02:42:0a:01:00:02\"", s)
	case m.IsZero():
		return fmt.Errorf("%q is all zeros, which no interface can have", s)
	case m[0]&1 == 1:
		m[0] = m[0]&^1 | 2
		return fmt.Errorf("%q has the multicast bit set (the lowest of its first byte), which no interface can have; %q has not", s, m)
	}
	return nil
}

// checkInterface allows what the kernel allows as an interface's name (dev_valid_name in
// net/core/dev.c).
func checkInterface(s string) error {
	switch {
	case s == "":
		return errors.New("the name is empty; leave the attribute out to have one chosen")
	case len(s) > 15:
		return fmt.Errorf("%q has %d bytes; an interface's name has at most 15 (IFNAMSIZ), for example %q", s, len(s), s[:15])
	case s == "." || s == "..":
		return fmt.Errorf("%q cannot be the name of an interface", s)
	case s == "lo" || s == "all" || s == "default":
		return fmt.Errorf("%q is taken in every namespace (the loopback, or a directory of sysctls)", s)
	}
	if i := strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f || r == 0xa0 || r == '/' || r == ':' }); i >= 0 {
		return fmt.Errorf("%q holds %q; an interface's name has no blank, slash or colon", s, s[i:i+1])
	}
	return nil
}

// checkPrefixName allows what interface names can begin with, leaving room for a number.
func checkPrefixName(s string) error {
	if err := checkInterface(s); err != nil && s != "lo" {
		return err
	}
	if len(s) > 11 {
		return fmt.Errorf("%q has %d bytes; at most 11 leave room for the number in a name of 15 bytes", s, len(s))
	}
	return nil
}

// checkHostname allows a name as hosts files and DNS have them: labels of letters, digits
// and inner dashes or underscores.
func checkHostname(s string) error {
	if s == "" || len(s) > 253 {
		return fmt.Errorf("%q has %d bytes; a host's name has 1 to 253", s, len(s))
	}
	for label := range strings.SplitSeq(s, ".") {
		bad := strings.IndexFunc(label, func(r rune) bool { return r > 0x7f || r == '.' || !safeByte(byte(r)) })
		if bad >= 0 || label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return fmt.Errorf("%q is not a host's name: its parts are 1 to 63 letters, digits, \"_\" and inner \"-\"", s)
		}
	}
	return nil
}

// checkServiceName allows what Consul's DNS can answer for.
func checkServiceName(s string) error {
	plain := func(r rune) bool { return r < 0x80 && (safeByte(byte(r)) && r != '_' && r != '.' || r == '-') }
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' || strings.ContainsFunc(s, func(r rune) bool { return !plain(r) }) {
		return fmt.Errorf("%q cannot be asked for by DNS: it has to be 1 to 63 letters, digits and inner \"-\"", s)
	}
	return nil
}

// checkCheck allows the ways to find out whether a service is well.
func checkCheck(s string) error {
	u, err := url.ParseRequestURI(s)
	if s == state.CheckTCP || err == nil && u.Scheme == "" && strings.HasPrefix(s, "/") && !strings.HasPrefix(s, "//") && u.Fragment == "" {
		return nil
	}
	return fmt.Errorf("%q is neither \"tcp\" nor a path to ask for over HTTP, as in \"/health\"", s)
}

// checkInterval allows the times from one check of a service to the next.
func checkInterval(s string) error {
	d, err := time.ParseDuration(s)
	if err != nil || d < time.Second || d > time.Hour {
		return fmt.Errorf("%q is not a time from \"1s\" to \"1h\"", s)
	}
	return nil
}

// checkNetns allows what a network namespace of somebody else can be found by.
func checkNetns(s string) error {
	switch _, _, container := state.Container(s); {
	case container:
		return fmt.Errorf("%q is not a namespace's name or path; if it is a container, write container = %[1]q", s)
	case strings.HasPrefix(s, "/"):
		if path.Clean(s) != s || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return fmt.Errorf("%q is not a clean path; write it as in \"/proc/4242/ns/net\"", s)
		}
		return nil
	case strings.Contains(s, "/"):
		return fmt.Errorf("%q is neither a name that ip netns knows nor a path from the root, as in \"/proc/4242/ns/net\"", s)
	}
	return checkSafeName(s, maxNetns)
}

// checkContainer allows references to containers whose engine can be asked.
func checkContainer(s string) error {
	engine, name, ok := state.Container(s)
	switch _, err := strconv.ParseUint(s, 10, 32); {
	case !ok && err == nil:
		return fmt.Errorf("%q does not say who runs the container; if it is a process, write netns = \"/proc/%[1]s/ns/net\"", s)
	case !ok:
		return fmt.Errorf("%q does not say who runs the container; write it as in \"docker://%[1]s\"", s)
	case engine != "docker":
		return fmt.Errorf("%q is run by %q, which cnmctl cannot ask; it knows docker. Name the process of the container instead: netns = \"/proc/PID/ns/net\"", s, engine)
	}
	// The names that Docker allows (daemon/names), and IDs.
	bad := strings.IndexFunc(name, func(r rune) bool { return r > 0x7f || !safeByte(byte(r)) })
	if bad >= 0 || len(name) < 2 || name[0] == '.' || name[0] == '-' || name[0] == '_' {
		return fmt.Errorf("%q is not the name of a container, as in \"docker://web\": letters, digits, \"_\", \".\" and \"-\", at least two", s)
	}
	return nil
}

// checkWord allows text of one line without blanks.
func checkWord(s string) error {
	if s == "" || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '#' }) {
		return fmt.Errorf("%q is not one word", s)
	}
	return nil
}

// checkSysctl allows paths of settings that belong to a network namespace; below /proc/sys
// these are all in net.
func checkSysctl(s string) error {
	path := strings.ReplaceAll(s, ".", "/")
	parts := strings.Split(path, "/")
	if parts[0] != "net" || len(parts) < 3 || slices.Contains(parts, "") {
		return fmt.Errorf("%q is not a setting of a network namespace; those begin with \"net.\", as in \"net.ipv4.ip_forward\"", s)
	}
	return nil
}

// sysctlKeys checks the keys of a map of settings, and that the values are of one line.
func sysctlKeys(v cty.Value) error {
	for it := v.ElementIterator(); it.Next(); {
		k, e := it.Element()
		if err := checkSysctl(k.AsString()); err != nil {
			return err
		}
		if e.IsNull() || strings.ContainsAny(e.AsString(), "\n\x00") {
			return fmt.Errorf("the value of %q is not one line of text", k.AsString())
		}
	}
	return nil
}

// extraHosts checks a map of names to addresses.
func extraHosts(v cty.Value) error {
	for it := v.ElementIterator(); it.Next(); {
		k, e := it.Element()
		if err := checkHostname(k.AsString()); err != nil {
			return err
		}
		if e.IsNull() {
			return fmt.Errorf("the address of %q is null; leave the name out instead", k.AsString())
		}
		if err := checkAddr(e.AsString()); err != nil {
			return fmt.Errorf("the address of %q: %w", k.AsString(), err)
		}
	}
	return nil
}

// labelMap checks labels: no null values.
func labelMap(v cty.Value) error {
	for it := v.ElementIterator(); it.Next(); {
		if k, e := it.Element(); e.IsNull() {
			return fmt.Errorf("the value of %q is null; leave the label out instead", k.AsString())
		}
	}
	return nil
}

// checkPluginName refuses what cannot be a plugin's socket.
func checkPluginName(s string) error {
	if s == "" || strings.HasPrefix(s, ".") || strings.ContainsAny(s, "/\\\x00") {
		return fmt.Errorf("%q cannot be the name of a plugin: its socket is called <name>.sock", s)
	}
	return nil
}

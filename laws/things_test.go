package laws

import (
	"net/netip"
	"regexp"
	"strconv"
	"strings"

	"github.com/cnmctl/cnmctl/state"
)

// things are what a listing holds of the kinds of objects that plans speak of, each with
// its text, under the names that it has now. What the kernel makes by itself is left out:
// connected routes, link-local addresses, lo's own.
func things(listing string, now names) map[state.Key]string {
	all := map[state.Key]string{}
	for heading, line := range located(listing) {
		place, witness := whose(heading)
		place = now.place(place)
		if !strings.HasPrefix(witness, "nft ") && !ruleLine.MatchString(line) {
			line = now.line(place, line) // rules keep the names that they were made with
		}
		switch {
		case strings.HasPrefix(witness, "ip "):
			addThing(all, place, strings.HasPrefix(witness, "ip -6"), line)
		case strings.HasPrefix(witness, "nft "):
			addRules(all, place, line)
		case strings.HasPrefix(witness, "tc "):
			addQdisc(all, place, line)
		case witness == "/proc/sys/net":
			addSetting(all, place, line)
		default:
			addFile(all, line, now)
		}
	}
	return all
}

// whose splits a heading: "namespace law-s0: nft -s list ruleset".
func whose(heading string) (place state.Place, witness string) {
	title, witness, _ := strings.Cut(heading, ": ")
	if ns, ok := strings.CutPrefix(title, "namespace "); ok {
		return state.Netns(ns), witness
	}
	return state.Host, witness
}

var (
	linkLine     = regexp.MustCompile(`^(\S+): <`)
	addressLine  = regexp.MustCompile(`^(\S+) +inet6? (\S+) `)
	ruleLine     = regexp.MustCompile(`^(\d+):\t(.*)`)
	neighborLine = regexp.MustCompile(`^(\S+) dev (\S+) lladdr .* PERMANENT`)
	routeLine    = regexp.MustCompile(`^(?:unicast|blackhole|unreachable|prohibit) (\S+) .*\btable (\S+) proto (\S+)`)

	// sideEffect is what changes on a thing because another one does: a bridge's carrier
	// with its ports, a port's root with its bridge's address, a secondary address with
	// the primary one.
	sideEffect = regexp.MustCompile(`<[A-Z_,0-9]*>|state \w+|(bridge_id|designated_bridge|designated_root|promiscuity|allmulti|qdisc|link-netns) \S+|secondary `)
)

// addThing reads a line of ip(8).
func addThing(all map[state.Key]string, place state.Place, only6 bool, line string) {
	text := strings.Join(strings.Fields(sideEffect.ReplaceAllString(line, "")), " ")
	if m := linkLine.FindStringSubmatch(line); m != nil {
		ns, inside := place.Netns()
		switch {
		case m[1] != "lo":
			all[state.LinkKey(place, m[1])] = text
		case inside:
			all[state.NamespaceKey(ns)] = text // lo carries its marks
		}
		return
	}
	if m := ruleLine.FindStringSubmatch(line); m != nil {
		if !strings.HasSuffix(m[2], " proto kernel") {
			all[ruleKey(place, only6, m[1], m[2])] = text
		}
		return
	}
	if m := addressLine.FindStringSubmatch(line); m != nil {
		if p := prefix(m[2], false); !p.Addr().IsLoopback() && !kernels(p.Addr()) {
			all[state.AddressKey(place, m[1], p)] = text
		}
		return
	}
	if m := neighborLine.FindStringSubmatch(line); m != nil {
		all[state.Neighbor{Place: place, Link: m[2], IP: netip.MustParseAddr(m[1])}.Key()] = text
		return
	}
	if m := routeLine.FindStringSubmatch(line); m != nil && m[3] != "kernel" {
		r := state.Route{Place: place, Dst: prefix(m[1], strings.Contains(line, " pref ")), Table: table(m[2]), Metric: word(line, "metric")}
		all[state.NewRoute(r).Key()] = text
	}
}

// router is the link-local address that cnmctl gives to bridges, written are those of the
// configurations here.
var (
	router  = netip.MustParseAddr("fe80::1")
	written = netip.MustParsePrefix("fe80::7:0/112")
)

// kernels reports a link-local address that the kernel has made.
func kernels(ip netip.Addr) bool {
	return ip.Is6() && ip.IsLinkLocalUnicast() && ip != router && !written.Contains(ip)
}

// ruleKey reads "from 203.0.113.0/24 lookup 100 proto 166".
func ruleKey(place state.Place, ipv6 bool, priority, text string) state.Key {
	r := state.Rule{Place: place, IPv6: ipv6}
	n, _ := strconv.ParseUint(priority, 10, 32)
	r.Priority = uint32(n)
	words := strings.Fields(text)
	for i, w := range words[:len(words)-1] {
		switch next := words[i+1]; {
		case w == "from" && next != "all":
			r.From = prefix(next, ipv6)
		case w == "to":
			r.To = prefix(next, ipv6)
		case w == "iif":
			r.Iif = next
		case w == "oif":
			r.Oif = next
		case w == "fwmark":
			mark, _ := strconv.ParseUint(next, 0, 32)
			r.FwMark = uint32(mark)
		case w == "lookup":
			r.Table = table(next)
		}
	}
	return r.Key()
}

// prefix reads a destination: ip(8) says "default", and nothing for a length that is full.
func prefix(text string, ipv6 bool) netip.Prefix {
	if text == "default" {
		text = map[bool]string{false: "0.0.0.0/0", true: "::/0"}[ipv6]
	}
	if p, err := netip.ParsePrefix(text); err == nil {
		return p
	}
	addr := netip.MustParseAddr(text)
	return netip.PrefixFrom(addr, addr.BitLen())
}

func table(name string) uint32 {
	if name == "main" {
		return state.MainTable
	}
	n, _ := strconv.ParseUint(name, 10, 32)
	return uint32(n)
}

// word is the number that follows a word, 0 without it.
func word(line, name string) uint32 {
	_, rest, _ := strings.Cut(line, " "+name+" ")
	number, _, _ := strings.Cut(rest, " ")
	n, _ := strconv.ParseUint(number, 10, 32)
	return uint32(n)
}

// addRules reads a line of a ruleset: all of a table is one thing.
func addRules(all map[state.Key]string, place state.Place, line string) {
	if name, ok := strings.CutPrefix(line, "table inet "); ok {
		all[state.Key{Kind: "open", Place: place}] = strings.TrimSuffix(name, " {")
	}
	all[state.RulesetKey(place, all[state.Key{Kind: "open", Place: place}])] += line + "\n"
	if line == "}" {
		delete(all, state.Key{Kind: "open", Place: place})
	}
}

// addQdisc reads a line of tc(8): "qdisc tbf 636e: dev eth0 root rate 1Mbit burst 32Kb lat 250ms".
func addQdisc(all map[state.Key]string, place state.Place, line string) {
	if words := strings.Fields(line); len(words) > 5 && words[2] == "636e:" {
		all[state.QdiscKey(place, words[4])] = line
	}
}

// addSetting reads a line of /proc/sys. What cnmctl and the kernel set as part of a link
// belongs to the link.
func addSetting(all map[state.Key]string, place state.Place, line string) {
	path, value, _ := strings.Cut(strings.TrimPrefix(line, "/proc/sys/"), ":")
	if parts := strings.Split(path, "/"); len(parts) == 5 && (parts[4] == "disable_ipv6" || parts[4] == "mtu") {
		if link := state.LinkKey(place, parts[3]); all[link] != "" {
			all[link] += " " + parts[4] + "=" + value
		}
		return
	}
	all[state.SysctlKey(place, path)] = value
}

// addFile reads a line of apart.Files: mode, path, digest.
func addFile(all map[state.Key]string, line string, now names) {
	words := strings.Fields(line)
	if len(words) != 3 {
		return // a directory
	}
	if parts := strings.Split(words[1], "/"); len(parts) == 5 {
		all[state.Key{Kind: state.KindFile, Place: now.place(state.Netns(parts[3])), Name: parts[4]}] = words[2]
	}
}

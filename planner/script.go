package planner

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/cnmctl/cnmctl/state"
)

// Script writes the plan as a POSIX shell script of ip, bridge, nft and sysctl commands,
// one that a person can read, and that leaves the same kernel behind as apply, marks
// included. It stops at the first command that fails, and knows no way back.
func Script(w io.Writer, p *Plan) error {
	s := &script{Writer: bufio.NewWriterSize(w, 1<<16), plan: p, written: map[int]string{}, gone: map[state.Key]bool{}}
	s.line("#!/bin/sh")
	s.line("# What cnmctl would do for stack %s, as commands: run it as root.", shell(p.Stack))
	s.line("# The records and claims of cnmctl's store are not part of it: after a run the next")
	s.line("# plan finds all kernel objects by their marks, and only has to write those.")
	s.line("set -eu")
	for _, op := range p.Ops {
		s.gone[op.Key] = s.gone[op.Key] || op.Action == state.Delete
	}
	begin := 0
	for i, end := range p.Waves {
		s.wave(i+1, p.Ops[begin:end])
		begin = end
	}
	if s.emptied {
		s.line("\n# Gone with the last of the files in it")
		s.line("rmdir /etc/netns 2>/dev/null || :")
	}
	return s.Flush()
}

// script writes commands. Errors of writing come out of Flush.
type script struct {
	*bufio.Writer
	plan *Plan
	// written tells where a content was written first, so that a thousand files with one
	// content do not fill the script.
	written  map[int]string
	contents state.Contents
	// doomed: links on the host wait in a group to be deleted, with the namespaces that
	// their peers are in.
	doomed bool
	// gone are the keys that the plan deletes.
	gone map[state.Key]bool
	// emptied: the last file of a sandbox may have gone.
	emptied bool
}

func (s *script) line(format string, args ...any) { fmt.Fprintf(s, format+"\n", args...) }

// wave writes one wave's commands, if it has any outside the store.
func (s *script) wave(number int, ops []state.Op) {
	headed := false
	for _, op := range ops {
		if op.Key.Place == state.Store {
			continue
		}
		if made, unmade := calls(op.Object()); made != "" {
			s.line("\n# The %s is asked for %s: %s", op.Key.Place, op.Object().Owner().Address,
				map[state.Action]string{state.Create: made, state.Delete: unmade}[op.Action])
			continue
		}
		if !headed {
			s.line("\n# Step %d", number)
			headed = true
		}
		s.op(op)
	}
	if s.doomed {
		s.line("ip link del group %#x 2>/dev/null || :", state.DoomedGroup(s.plan.Stack))
		s.doomed = false
	}
}

func (s *script) op(op state.Op) {
	switch o := op.Object().(type) {
	case state.Namespace:
		s.namespace(op, o)
	case state.Link:
		s.link(op, o)
	case state.IPAddress:
		s.address(op, o)
	case state.Route:
		s.route(op, o)
	case state.Rule:
		s.rule(op, o)
	case state.Neighbor:
		s.neighbor(op, o)
	case state.FDB:
		s.forwarding(op, o)
	case state.Qdisc:
		s.qdisc(op, o)
	case state.Redirect:
		s.redirect(op, o)
	case state.Sysctl:
		s.sysctl(op, o)
	case state.Ruleset:
		s.ruleset(op, o)
	case state.IPsecState:
		s.ipsecState(op, o)
	case state.IPsecPolicy:
		s.ipsecPolicy(op, o)
	case state.File:
		s.file(op, o)
	}
}

// foreign reports that the place is a namespace of somebody else.
func (s *script) foreign(p state.Place) bool {
	name, inNetns := p.Netns()
	return inNetns && slices.ContainsFunc(s.plan.Spaces, func(space Space) bool { return space.Name == name })
}

// ip is the command ip, for a place.
func ip(p state.Place) string { return in("ip", p) }

// in is ip, bridge or tc, for a place: all take -n.
func in(command string, p state.Place) string {
	switch ns, ok := p.Netns(); {
	case ok && state.Named(ns):
		return command + " -n " + shell(ns)
	case ok:
		return "nsenter --net=" + netnsFile(ns) + " " + command
	}
	return command
}

// netnsFile is a namespace as an argument of `ip link add … netns` and of nsenter: a name, or
// the file by which a process's or a container's is found.
func netnsFile(ns string) string {
	engine, name, ok := state.Container(ns)
	if !ok {
		return shell(ns)
	}
	return fmt.Sprintf(`/proc/"$(%s inspect -f '{{.State.Pid}}' %s)"/ns/net`, shell(engine), shell(name))
}

// inside puts a command into a place.
func inside(p state.Place, command string) string {
	switch ns, ok := p.Netns(); {
	case ok && state.Named(ns):
		return "ip netns exec " + shell(ns) + " " + command
	case ok:
		return "nsenter --net=" + netnsFile(ns) + " " + command
	}
	return command
}

func (s *script) namespace(op state.Op, n state.Namespace) {
	name := shell(n.Name)
	if renames(op) {
		s.moveNamespace(shell(op.Before.Key().Name), name)
		return
	}
	switch op.Action {
	case state.Create:
		s.line("ip netns add %s", name)
		s.line("ip netns exec %s sysctl -qw net.ipv4.ip_forward=0", name)
		s.line("ip -n %s link set dev lo up%s", name, marks(n.Mark))
	case state.Update:
		s.line("ip -n %s link set dev lo up%s", name, marks(n.Mark))
	case state.Delete:
		s.doom(op)
		s.abroad(op)
		s.line("ip netns del %s", name)
	}
}

// moveNamespace mounts the namespace on its new name before it loses the old one.
func (s *script) moveNamespace(from, to string) {
	s.line("touch /run/netns/%s; chmod 0 /run/netns/%s", to, to)
	s.line("mount --bind /run/netns/%s /run/netns/%s", from, to)
	s.line("if [ -d /etc/netns/%s ]; then mv -T /etc/netns/%s /etc/netns/%s; fi", from, from, to)
	s.line("umount /run/netns/%s; rm /run/netns/%s", from, from)
}

// doom puts the links on the host that go with a namespace into a group that goes at the
// end of the step. The kernel would take them down in the background, some time after the
// last process has left the namespace.
func (s *script) doom(op state.Op) {
	for _, o := range op.Along {
		if l, ok := o.(state.Link); ok && l.Place == state.Host {
			s.line("ip link set dev %s group %#x", shell(l.Name), state.DoomedGroup(s.plan.Stack))
			s.doomed = true
		}
	}
}

// abroad deletes what would be gone some time after a namespace, and holds something up
// until then: links in namespaces that stay, tunnels, which have their VNI, and links on
// others, which have their MAC or addresses there.
func (s *script) abroad(op state.Op) {
	for _, o := range op.Along {
		l, ok := o.(state.Link)
		ns, named := l.Place.Netns()
		if ok && named && (l.Type == state.VXLAN || l.Stacked() || !s.gone[state.NamespaceKey(ns)]) {
			s.line("%s link del dev %s", ip(l.Place), shell(l.Name))
		}
	}
}

// marks are the arguments of `ip link set` that say whose a link is; for nobody, those
// that take the marks away.
func marks(o state.Owner) string {
	if o == (state.Owner{}) {
		return " alias '' group 0"
	}
	return fmt.Sprintf(" alias %s group %#x", shell(o.Mark()), state.LinkGroup(o.Stack))
}

func (s *script) address(op state.Op, a state.IPAddress) {
	command := ip(a.Place) + " address "
	where := a.Prefix.String() + " dev " + shell(a.Link)
	if op.Action == state.Delete {
		// The kernel may have taken it along with another address of its subnet.
		s.line("%sdel %s 2>/dev/null || :", command, where)
		return
	}
	if a.Prefix.Addr().Is6() {
		where += " nodad"
	}
	if a.LinkScope {
		where += " scope link"
	}
	if a.Loan && a.Mark != (state.Owner{}) {
		// On a link that is not ours the protocol is the mark. iproute2 knows it since 6.3.
		proto := " proto " + strconv.Itoa(int(state.Protocol(a.Mark.Stack)))
		s.line("%sreplace %s%s 2>/dev/null || %[1]sreplace %[2]s", command, where, proto)
		return
	}
	s.line("%sreplace %s", command, where)
}

func (s *script) route(op state.Op, r state.Route) {
	command := ip(r.Place)
	if r.Dst.Addr().Is6() {
		command += " -6"
	}
	if op.Action == state.Delete {
		// The kernel may have taken it along with an address.
		s.line("%s route del %s 2>/dev/null || :", command, routeKeyText(r))
		return
	}
	proto := "static"
	if r.Mark != (state.Owner{}) && (r.Loan || r.Place == state.Host || s.foreign(r.Place)) {
		proto = strconv.Itoa(int(state.Protocol(r.Mark.Stack)))
	}
	s.line("%s route replace %s proto %s", command, routeText(r), proto)
}

// routeKeyText is what the kernel knows a route by.
func routeKeyText(r state.Route) string {
	return routeText(state.Route{Type: r.Type, Dst: r.Dst, Table: r.Table, Metric: r.Metric})
}

func (s *script) rule(op state.Op, r state.Rule) {
	command, action := ip(r.Place), "add"
	if r.IPv6 {
		command += " -6"
	}
	if op.Action == state.Delete {
		action = "del"
	}
	pref, rest, _ := strings.Cut(ruleText(r), ": ")
	s.line("%s rule %s pref %s %s protocol %d", command, action, pref, rest, state.Protocol(r.Mark.Stack))
}

func (s *script) neighbor(op state.Op, n state.Neighbor) {
	if op.Action == state.Delete {
		// The kernel takes a link's neighbors along with its last address of the family.
		s.line("%s neighbor del %s dev %s 2>/dev/null || :", ip(n.Place), n.IP, shell(n.Link))
		return
	}
	s.line("%s neighbor replace %s lladdr %s dev %s nud permanent", ip(n.Place), n.IP, n.MAC, shell(n.Link))
}

// forwarding makes or deletes a device's entry and its bridge's.
func (s *script) forwarding(op state.Op, f state.FDB) {
	tables := ""
	if f.VTEP.IsValid() {
		tables += " self"
	}
	if f.Bridged {
		tables += " master"
	}
	if op.Action == state.Delete {
		s.line("%s fdb del %s dev %s%s", in("bridge", f.Place), f.MAC, shell(f.Link), tables)
		return
	}
	s.line("%s fdb replace %s dev %s dst %s%s static", in("bridge", f.Place), f.MAC, shell(f.Link), f.VTEP, tables)
}

// sysctl sets a setting, or sets it back to what a new namespace has.
func (s *script) sysctl(op state.Op, c state.Sysctl) {
	set := inside(c.Place, "sysctl -qw ")
	if op.Action != state.Delete {
		s.line("%s%s", set, shell(c.Path+"="+c.Value))
		return
	}
	fresh := c.Path
	if c.Link != "" {
		fresh = strings.Replace(fresh, "/"+c.Link+"/", "/default/", 1)
	}
	s.line(`%s%s"$(unshare -n sh -c 'sysctl -qw net.ipv4.ip_forward=0; sysctl -n "$1"' - %s)"`, set, shell(c.Path+"="), shell(fresh))
}

func (s *script) ruleset(op state.Op, r state.Ruleset) {
	if op.Action == state.Delete {
		s.line("%s", inside(r.Place, "nft delete table inet "+r.Table))
	} else {
		s.heredoc(inside(r.Place, "nft -f -"), r.Script())
	}
	s.forget(op)
}

// file writes a file that `ip netns exec` lays over /etc.
func (s *script) file(op state.Op, f state.File) {
	ns, _ := f.Place.Netns()
	dir := shell("/etc/netns/" + ns)
	path := shell("/etc/netns/" + ns + "/" + f.Name)
	if op.Action == state.Delete {
		s.line("rm -f %s", path)
		s.line("rmdir %s 2>/dev/null || :", dir)
		s.emptied = true
		return
	}
	s.line("mkdir -p %s", dir)
	content := s.contents.Number(f.Content)
	first, again := s.written[content]
	switch {
	case again:
		s.line("rm -f %s; cp %s %s", path, first, path)
	case strings.HasSuffix(f.Content, "\n"):
		s.line("rm -f %s", path) // other names of the same file keep their content
		s.heredoc("cat > "+path, f.Content)
	default:
		s.line("rm -f %s; printf %%s %s > %s", path, shell(f.Content), path)
	}
	s.written[content] = path
}

// heredoc gives a command a text to read, up to a line that is not in the text.
func (s *script) heredoc(command, text string) {
	end := "EOF"
	for strings.Contains("\n"+text, "\n"+end+"\n") {
		end += "F"
	}
	s.line("%s <<'%s'\n%s%s", command, end, text, end)
}

// shell is a word for the shell, quoted when it has to be.
func shell(word string) string {
	plain := func(r rune) bool {
		return r < 0x80 && (r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || strings.ContainsRune("_-+=./:,@%", r))
	}
	if word != "" && strings.IndexFunc(word, func(r rune) bool { return !plain(r) }) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

package kernel

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/cnmctl/cnmctl/state"
	"golang.org/x/sys/unix"
)

// outcome is what an answer of the kernel means for an op.
type outcome int

const (
	fine   outcome = iota // done, or there was nothing to do
	taken                 // the name is taken: by whom has to be seen
	failed                // none of these
)

// absent are the errnos by which the kernel says that what should be deleted is not there:
// the address, route or rule itself (EADDRNOTAVAIL, ESRCH, ENOENT), or the link or
// namespace that it was in (ENODEV, ENXIO, and ENETDOWN for routes of a dead one).
var absent = []unix.Errno{
	unix.EADDRNOTAVAIL, unix.ESRCH, unix.ENOENT, unix.ENODEV, unix.ENXIO,
}

// verdict reads the answer to an op. This is the one place that does.
func verdict(op state.Op, err error) outcome {
	switch {
	case err == nil:
		return fine
	case op.Action == state.Delete && isAny(err, absent...):
		return fine
	case op.Action != state.Delete && isAny(err, unix.EEXIST):
		return taken
	}
	return failed
}

func isAny(err error, errnos ...unix.Errno) bool {
	for _, e := range errnos {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// conflict is nil when the live object is the wanted one.
func conflict(want, live state.Object, cause error) error {
	if live == nil {
		return cause
	}
	if f, ok := live.(state.Foreign); ok {
		return fmt.Errorf("the name is taken by %s: rename one of the two, or remove it", f.What)
	}
	if owner := live.Owner(); owner.Stack != want.Owner().Stack {
		return fmt.Errorf("the name is taken by stack %s (%s)", owner.Stack, owner.Address)
	}
	d := state.Compare(want, live)
	if d.Same() {
		return nil
	}
	return fmt.Errorf("it appeared meanwhile, with %s %s instead of %s; plan again", d.Fields[0].Name, d.Fields[0].Old, d.Fields[0].New)
}

var gerunds = map[state.Action]string{
	state.Create: "creating",
	state.Update: "changing",
	state.Delete: "deleting",
}

// explain puts the object before the cause, and a remedy behind it where one is known.
func explain(op state.Op, err error) error {
	what := gerunds[op.Action] + " " + describe(op.Object())
	if hint := hint(op, err); hint != "" {
		return fmt.Errorf("%s: %w: %s", what, err, hint)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// describe names an object in a sentence.
func describe(o state.Object) string {
	where := " in " + o.Key().Place.String()
	if o.Key().Place == state.Host {
		where = " on the host"
	}
	switch o := o.(type) {
	case state.Namespace:
		return "namespace " + o.Name
	case state.IPAddress:
		return fmt.Sprintf("address %s on %s%s", o.Prefix, o.Link, where)
	case state.Route:
		text := "route to " + o.Dst.String()
		if o.Via.IsValid() {
			text += " via " + o.Via.String()
		}
		if o.Dev != "" {
			text += " dev " + o.Dev
		}
		return text + where
	case state.Neighbor:
		return fmt.Sprintf("neighbor %s (%s) on %s%s", o.IP, o.MAC, o.Link, where)
	case state.FDB:
		return fmt.Sprintf("forwarding entry %s to %s on %s%s", o.MAC, o.VTEP, o.Link, where)
	case state.Qdisc:
		return fmt.Sprintf("qdisc %s of %s%s", o.Kinds(), o.Link, where)
	case state.Redirect:
		return fmt.Sprintf("redirection of what %s gets to %s%s", o.Link, cmp.Or(o.To, "nothing"), where)
	case state.Rule:
		return fmt.Sprintf("rule %d to table %d%s", o.Priority, o.Table, where)
	case state.Ruleset:
		return "nftables table " + o.Table + where
	case state.IPsecState:
		return fmt.Sprintf("IPsec state %s%s", o.Key().Name, where)
	case state.IPsecPolicy:
		return fmt.Sprintf("IPsec policy %s%s", o.Key().Name, where)
	case state.File:
		return "file " + o.Name + " of" + where[len(" in"):]
	}
	return string(o.Key().Kind) + " " + o.Key().Name + where
}

// portTaken is why a tunnel does not come up when its socket cannot be opened.
const portTaken = "another program of this host has the UDP port of a tunnel: stop it ('ss -ulnp' finds it), or give the network another port"

// hint is what to do about a failure, "" when that is not known.
func hint(op state.Op, err error) string {
	kind := op.Key.Kind
	if l, ok := op.After.(state.Link); ok && l.Stacked() {
		if hint := hintStacked(l, err); hint != "" {
			return hint
		}
	}
	switch {
	case isAny(err, unix.EPERM, unix.EACCES):
		return "run cnmctl as root (it needs CAP_NET_ADMIN and CAP_SYS_ADMIN)"
	case kind == state.KindRoute && isAny(err, unix.ENETUNREACH, unix.EHOSTUNREACH):
		return "no address of the link covers the next hop; give it one, or set on_link"
	case kind == state.KindRoute && isAny(err, unix.ENETDOWN):
		return "the link is down"
	case kind == state.KindLink && isAny(err, unix.EEXIST):
		if l, ok := op.After.(state.Link); ok && l.Type == state.VXLAN {
			return fmt.Sprintf("another VXLAN device that sends from here has VNI %d and port %d ('ip -d link show type vxlan', in every namespace, finds it): "+
				"remove it, or give the network other VNIs or another port", l.Tunnel.VNI, l.Tunnel.Port)
		}
		return ""
	case kind == state.KindLink && isAny(err, unix.EADDRINUSE):
		return portTaken
	case kind == state.KindLink && isAny(err, unix.EOPNOTSUPP):
		return "the kernel may lack this type of link"
	case kind == state.KindLink && isAny(err, unix.ERANGE):
		return "the name may have 15 bytes, and the mark with the block's address 255"
	case isAny(err, unix.EMFILE, unix.ENFILE):
		return "raise the limit of open files (ulimit -n)"
	case isAny(err, unix.ENOSPC, unix.EUSERS) && kind == state.KindNamespace:
		return "raise user.max_net_namespaces or fs.mount-max"
	case kind == state.KindLink && isAny(err, unix.ENOSPC, unix.EXFULL):
		return "a bridge holds at most 1023 ports"
	}
	return ""
}

package spec

import (
	"fmt"

	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/hcl/v2"
)

// settleIn says which namespace the sandbox is: one of its own, that of another sandbox, or
// somebody else's.
func (i *instance) settleIn(rd *reading, v *values, rec *state.Sandbox) {
	var given []string
	for _, name := range []string{"netns", "container", "shares"} {
		if i.body.attrs[name] != nil && (v.text(name) != "" || rd.refs[name] != nil) {
			given = append(given, name)
		}
	}
	if len(given) > 1 {
		rd.reject(i.body.attrs[given[1]], "Sandbox in two namespaces", "%s has both %s and %s, and a sandbox is in one namespace. Keep one of them.", i.addr, given[0], given[1])
		return
	}
	switch other := rd.refs["shares"]; {
	case other != nil && other.sandbox != nil:
		i.share(rd, other, rec)
	case v.text("netns")+v.text("container") != "":
		rec.Netns, rec.Foreign = v.text("netns")+v.text("container"), true
		if rec.Hostname != "" && !state.Named(rec.Netns) {
			i.refuseFile(rd, i.body.attrs["hostname"].expr.Range().Ptr(), "hostname", rec.Netns)
		}
	default:
		rec.Netns = sanitise(rd.stackName + "-" + rec.Name)
		if len(rec.Netns) > maxNetns {
			rd.fail(fault(i.header.Ptr(), "Name too long", "The namespace of %s would be called %q, which has %d bytes; at most %d are allowed. Set a shorter name.", i.addr, rec.Netns, len(rec.Netns), maxNetns))
		}
	}
}

// share puts a sandbox into the namespace of another one, which is where that is.
func (i *instance) share(rd *reading, with *instance, rec *state.Sandbox) {
	other, arg := &with.sandbox.Sandbox, i.body.attrs["shares"]
	switch {
	case other.Shares != "":
		rd.reject(arg, "Sharing what is shared", "%s is in the namespace of %s itself. Share that: shares = %s.", with.addr, other.Shares, other.Shares)
	case rec.Host != "" && rec.Host != other.Host:
		rd.reject(i.body.attrs["host"], "Sandbox on two hosts", "%s is on host %q, and %s, whose namespace it shares, on %s. Delete host: the sandbox is where that one is.",
			i.addr, rec.Host, with.addr, hostText(other.Host))
	}
	if rec.Hostname != "" {
		rd.reject(i.body.attrs["hostname"], "Setting of a shared sandbox", "The files of %s are those of %s, whose namespace it shares. Move hostname there.", i.addr, with.addr)
	}
	if len(rec.VRFs) > 0 {
		rd.reject(i.body.attrs["vrfs"], "Setting of a shared sandbox", "The namespace of %s is that of %s, which has the VRFs in it. Move vrfs there.", i.addr, with.addr)
	}
	rec.Shares, rec.Netns, rec.Foreign, rec.Host = with.addr, other.Netns, other.Foreign, other.Host
}

func hostText(host string) string {
	if host == "" {
		return "the only host"
	}
	return fmt.Sprintf("%q", host)
}

// checkLent refuses settings that are not the sandbox's to make, because its namespace is
// another's.
func (i *instance) checkLent(rd *reading, s *state.Sandbox) {
	at := func(attr string) *hcl.Range { return i.declaration().At(attr) }
	if s.Foreign {
		for attr, given := range map[string]bool{"loopback": len(s.Loopback) > 0, "sysctls": len(s.Sysctls) > 0} {
			if given {
				rd.fail(fault(at(attr), "Setting of somebody else's namespace", "%s is %s, a namespace of somebody else, and cnmctl touches nothing in it but its own interfaces. Remove %s; settings of an interface are its endpoint's to make.", i.addr, s.Netns, attr))
			}
		}
	}
	dns := len(s.DNS.Servers)+len(s.DNS.Search)+len(s.DNS.Options) > 0
	for attr, given := range map[string]bool{"extra_hosts": len(s.ExtraHosts) > 0, "dns": dns} {
		switch {
		case !given:
		case s.Shares != "":
			rd.fail(fault(at(attr), "Setting of a shared sandbox", "The files of %s are those of %s, whose namespace it shares. Move %s there.", i.addr, s.Shares, attr))
		case s.Foreign && !state.Named(s.Netns):
			i.refuseFile(rd, at(attr), attr, s.Netns)
		}
	}
}

// refuseFile refuses what would be in a file of a namespace that has no files.
func (i *instance) refuseFile(rd *reading, at *hcl.Range, attr, netns string) {
	rd.fail(fault(at, "Setting of somebody else's namespace", "%s is %s, a namespace of somebody else without a name that files could be laid over /etc by. Remove %s.", i.addr, netns, attr))
}

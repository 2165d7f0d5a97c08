package drivers

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cnmctl/cnmctl/state"
)

// ifname stands for the interface's name in an endpoint's sysctls.
const ifname = "IFNAME"

// sysctlPath is a key as sysctl(8) reads it, as a path: whichever of dot and slash comes
// first separates, and the other one is part of a name, written for the separator.
func sysctlPath(key string) string {
	i := strings.IndexAny(key, "./")
	if i < 0 || key[i] == '/' {
		return key
	}
	swap := strings.NewReplacer(".", "/", "/", ".")
	return swap.Replace(key)
}

// checkSysctl refuses what is not a network namespace's own: the rest belongs to the
// whole machine, whatever namespace writes it.
func checkSysctl(key string) error {
	path := sysctlPath(key)
	parts := strings.Split(path, "/")
	switch {
	case parts[0] != "net":
		return fmt.Errorf("%q is not below net; what is elsewhere belongs to the whole machine, not to a sandbox", key)
	case len(parts) < 3 || slices.Contains(parts, "") || slices.Contains(parts, ".") || slices.Contains(parts, ".."):
		return fmt.Errorf("%q is not the name of a sysctl, as in \"net.ipv4.ip_forward\"", key)
	case parts[len(parts)-1] == "disable_ipv6" && len(parts) == 5 && parts[3] != "all" && parts[3] != "default":
		return fmt.Errorf("%q is set by cnmctl: an interface has IPv6 when its endpoint has an IPv6 address", key)
	}
	return nil
}

// checkInterfaceSysctl refuses what is not of the endpoint's interface.
func checkInterfaceSysctl(key string) error {
	if err := checkSysctl(key); err != nil {
		return err
	}
	parts := strings.Split(sysctlPath(key), "/")
	if !slices.Contains(parts, ifname) {
		return fmt.Errorf("%q does not name the interface; write %s in its place, as in \"net.ipv4.conf.%s.rp_filter\"", key, ifname, ifname)
	}
	if len(parts) != 5 || parts[3] != ifname || parts[2] != "conf" && parts[2] != "neigh" {
		return fmt.Errorf("%q is not an interface's sysctl; those are net.ipv4.conf.%[2]s.*, net.ipv6.conf.%[2]s.*, net.ipv4.neigh.%[2]s.* and net.ipv6.neigh.%[2]s.*", key, ifname)
	}
	return nil
}

// InterfaceSysctls are the endpoint's, on its interface.
func InterfaceSysctls(e Attached) []state.Object {
	var objects []state.Object
	for _, key := range slices.Sorted(maps.Keys(e.Sysctls)) {
		parts := strings.Split(sysctlPath(key), "/")
		for i, p := range parts {
			if p == ifname {
				parts[i] = e.Interface
			}
		}
		objects = append(objects, state.Sysctl{
			Place: e.In.Place(), Path: strings.Join(parts, "/"), Value: e.Sysctls[key], Link: e.Interface, Mark: e.Mark,
		})
	}
	return objects
}

// sandboxSysctls are the sandbox's. One that names an interface of the sandbox belongs to
// it and comes after it.
func (s *sandbox) sysctls() []state.Object {
	var objects []state.Object
	for _, key := range slices.Sorted(maps.Keys(s.Sysctls)) {
		o := state.Sysctl{Place: s.Place(), Path: sysctlPath(key), Value: s.Sysctls[key], Mark: s.Mark}
		if parts := strings.Split(o.Path, "/"); len(parts) == 5 && s.hasLink(parts[3]) {
			o.Link = parts[3]
		}
		objects = append(objects, o)
	}
	return objects
}

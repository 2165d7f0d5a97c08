package consul

import (
	"slices"
	"strings"

	"github.com/cnmctl/cnmctl/state"
)

// scope lists what of a stack concerns a host, as keys and directories below the root.
//
// In a stack without host records everything concerns everybody: it is small, or its hosts
// have nothing to do with each other.
type scope []string

// whole is all there is to read of a stack.
var whole = scope{hostDir, policyDir, networkDir, sandboxDir, endpointDir, ipamDir, keyringKey}

// scopeOf is a host's scope. Attached are the keys below attached/ that are its own, global
// says whether a network spans hosts, as far as its record is known.
func scopeOf(host string, attached []string, global func(network string) (is, known bool)) scope {
	s := scope{hostDir, policyDir, ipamDir} // what plugins gave is little, and so are policies
	for _, h := range []string{hostComponent(host), anyHost} {
		s = append(s, sandboxDir+h+"/", attachedDir+h+"/")
	}
	for _, key := range attached {
		_, of, _ := strings.Cut(strings.TrimPrefix(key, attachedDir), "/") // <network>/<endpoint>
		network := networkIn(key)
		s = append(s, networkDir+network)
		switch is, known := global(network); {
		case !known:
		case is:
			s = append(s, endpointDir+network+"/")
		default:
			s = append(s, endpointDir+of)
		}
	}
	slices.Sort(s)
	return slices.Compact(s)
}

// networkIn is the network in a key attached/<host>/<network>/<endpoint>.
func networkIn(key string) string {
	parts := strings.SplitN(key, "/", 4)
	return append(parts, "", "")[2]
}

// touched is what of the scope has changed with a key or directory: all of the directory
// or only a key in it, whichever is less.
func (s scope) touched(changed string) (parts []string) {
	for _, item := range s {
		switch {
		case covers(item, changed):
			parts = append(parts, changed)
		case covers(changed, item):
			parts = append(parts, item)
		}
	}
	return parts
}

// covers reports that a key is another one, or below it.
func covers(dir, key string) bool {
	return dir == key || strings.HasSuffix(dir, "/") && strings.HasPrefix(key, dir)
}

// Concerned tells of each host whether a change of the keys concerns it.
func (s *Store) Concerned(w state.World, global func(driver string) bool, keys []string) func(host string) bool {
	spans, encrypted, attached, several := map[string]bool{}, map[string]bool{}, map[string][]string{}, false
	for _, o := range w {
		switch o := o.(type) {
		case state.HostRecord:
			several = true
		case state.Network:
			spans[name("network", o.Mark.Address)] = global(o.Driver)
			encrypted[name("network", o.Mark.Address)] = o.Encrypted()
		case state.Endpoint:
			if key := strings.TrimPrefix(s.keys.attached(o), s.keys.root); key != "" {
				attached[o.Host] = append(attached[o.Host], key)
			}
		}
	}
	return func(host string) bool {
		sc := whole
		if several {
			keys := slices.Concat(attached[host], attached[""])
			sc = scopeOf(host, keys, func(network string) (bool, bool) { return spans[network], true })
			if slices.ContainsFunc(keys, func(key string) bool { return encrypted[networkIn(key)] }) {
				sc = append(sc, keyringKey)
			}
		}
		return slices.ContainsFunc(keys, func(k string) bool { return len(sc.touched(k)) > 0 })
	}
}

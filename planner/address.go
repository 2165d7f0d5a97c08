package planner

import (
	"strings"

	"github.com/cnmctl/cnmctl/state"
)

// addressParts are the steps of an address, cut at the dots outside of keys:
// module, a["x"], sandbox, db[0].
func addressParts(a state.Address) []string {
	var parts []string
	begin, quoted := 0, false
	for i := 0; i < len(a); i++ {
		switch c := a[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case c == '.' && !quoted:
			parts = append(parts, string(a[begin:i]))
			begin = i + 1
		}
	}
	return append(parts, string(a[begin:]))
}

// blockOf is the address without the key of its last step, and the key: endpoint.web and
// ["w0"] of endpoint.web["w0"].
func blockOf(a state.Address) (block state.Address, key string) {
	last := addressParts(a)
	name := last[len(last)-1]
	i := strings.IndexByte(name, '[')
	if i < 0 {
		return a, ""
	}
	cut := len(a) - len(name) + i
	return a[:cut], string(a[cut:])
}

// labelsOf are the block's type and name: sandbox and db of module.a["x"].sandbox.db[0].
func labelsOf(a state.Address) (kind, name string) {
	block, _ := blockOf(a)
	parts := addressParts(block)
	if len(parts) < 2 {
		return "", string(block)
	}
	return parts[len(parts)-2], parts[len(parts)-1]
}

// modulesOf are the addresses of the modules that the block is in, the outermost first:
// module.a["x"] of module.a["x"].sandbox.db[0].
func modulesOf(a state.Address) []state.Address {
	parts := addressParts(a)
	var modules []state.Address
	for i := 0; i+3 < len(parts) && parts[i] == "module"; i += 2 {
		modules = append(modules, state.Address(strings.Join(parts[:i+2], ".")))
	}
	return modules
}

// covers reports that the address a, as a user writes it, means the block instance b: it
// is b, b's block without its key, or a module around it with or without its key.
func covers(a, b state.Address) bool {
	if a == b {
		return true
	}
	if block, _ := blockOf(b); block == a {
		return true
	}
	for _, m := range modulesOf(b) {
		if block, _ := blockOf(m); m == a || block == a {
			return true
		}
	}
	return false
}

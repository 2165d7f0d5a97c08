package planner

import (
	"cmp"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/hcl/v2"
)

// maxLinkName is what IFNAMSIZ of linux/if.h leaves for a link's name.
const maxLinkName = 15

// hostNames are the names of links in the host's namespace: bridges, the host's ends of
// veth pairs, and what others have made.
type hostNames struct {
	by      map[string]state.Address
	foreign map[string]bool
}

func newHostNames(f Facts) *hostNames {
	return &hostNames{by: map[string]state.Address{}, foreign: f.Links}
}

// take gives the name to a block, if it is a name.
func (h *hostNames) take(name string, by state.Address) {
	if name != "" {
		h.by[name] = by
	}
}

func (h *hostNames) free(name string) bool {
	_, taken := h.by[name]
	return !taken && !h.foreign[name]
}

// generate makes a name of the prefix and a hash of the block, up to digits hexadecimal
// digits, which is the same on every run; after a collision it tries others.
func (h *hostNames) generate(prefix string, digits int, stack string, block state.Address) string {
	for attempt := 0; ; attempt++ {
		sum := hash(stack, block, attempt)
		if name := prefix + hex.EncodeToString(sum[:])[:digits]; h.free(name) {
			return name
		}
	}
}

// allocateDevices names the networks' own interfaces on the host: as written (in the
// record or the driver's option "name"), as held, or a hash behind "br-" or what dummies of
// the driver begin with, like libnetwork's.
func (a *Allocator) allocateDevices(stack string, networks []*spec.Network, held Held) hcl.Diagnostics {
	var diags hcl.Diagnostics
	names := newHostNames(held.Facts)
	owner := map[state.Address]*spec.Network{}
	var unnamed []*spec.Network
	for _, n := range networks {
		if !a.traits[n.Driver].Device && !a.onDummy(n) {
			continue
		}
		if n.Device == "" {
			n.Device = option(n.Options, "name")
		}
		owner[n.Mark.Address] = n
		if n.Device == "" {
			unnamed = append(unnamed, n)
			continue
		}
		if by, taken := names.by[n.Device]; taken {
			diags = append(diags, failure(n.At(n.Driver+".name"), "Interface name already in use", fmt.Sprintf(
				"%s and %s (%s) both name their interface on the host %q. Give one of them another name, or leave it out to have one made.",
				n.Mark.Address, by, line(owner[by].At(n.Driver+".name")), n.Device)))
		}
		names.take(n.Device, n.Mark.Address)
	}
	unnamed = keepNames(unnamed, names, func(n *spec.Network) (state.Address, *string, []string) {
		devices := held.Networks[n.Mark.Address].Devices
		if prefix := a.traits[n.Driver].Dummy; prefix != "" { // else it was another driver's
			devices = slices.DeleteFunc(slices.Clone(devices), func(name string) bool { return !strings.HasPrefix(name, prefix) })
		}
		return n.Mark.Address, &n.Device, devices
	})
	for _, n := range unnamed {
		n.Device = names.generate(cmp.Or(a.traits[n.Driver].Dummy, "br-"), 12, stack, n.Mark.Address)
		names.take(n.Device, n.Mark.Address)
	}
	return diags
}

// onDummy reports that the network sits on an interface of its own that leads nowhere.
func (a *Allocator) onDummy(n *spec.Network) bool {
	return a.traits[n.Driver].Dummy != "" && option(n.Options, "parent") == ""
}

// allocateHostInterfaces names the host's ends of attached endpoints.
func (w *wiring) allocateHostInterfaces() hcl.Diagnostics {
	var diags hcl.Diagnostics
	var unnamed []*spec.Endpoint
	for _, e := range w.endpoints {
		if e.Sandbox == "" || !w.of(e).HostLinks {
			continue
		}
		if e.HostInterface == "" {
			unnamed = append(unnamed, e)
			continue
		}
		if by, taken := w.onHost.by[e.HostInterface]; taken {
			diags = append(diags, failure(e.At("host_interface"), "Interface name already in use", fmt.Sprintf(
				"%s and %s both have an interface called %q on the host. Give one of them another name.", e.Mark.Address, by, e.HostInterface)))
		}
		w.onHost.take(e.HostInterface, e.Mark.Address)
	}
	unnamed = keepNames(unnamed, w.onHost, func(e *spec.Endpoint) (state.Address, *string, []string) {
		return e.Mark.Address, &e.HostInterface, w.held.Endpoints[e.Mark.Address].HostInterfaces
	})
	for _, e := range unnamed {
		e.HostInterface = w.onHost.generate("veth", maxLinkName-len("veth"), w.stack, e.Mark.Address)
		w.onHost.take(e.HostInterface, e.Mark.Address)
	}
	return diags
}

// keepNames gives blocks the first of the names that they hold and that is free, and
// returns those that got none.
func keepNames[B any](blocks []B, names *hostNames, of func(B) (state.Address, *string, []string)) []B {
	var left []B
	for _, b := range blocks {
		address, name, held := of(b)
		for _, h := range held {
			if *name == "" && names.free(h) {
				*name = h
				names.take(h, address)
			}
		}
		if *name == "" {
			left = append(left, b)
		}
	}
	return left
}

// option is a driver's option that is a string; "" when it is absent or null.
func option(options state.Options, name string) string {
	var text string
	if json.Unmarshal(options[name], &text) != nil {
		return ""
	}
	return text
}

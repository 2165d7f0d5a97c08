package planner

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/cnmctl/cnmctl/spec"
	"github.com/hashicorp/hcl/v2"
)

// allocateInterfaces names the interfaces inside of sandboxes: as written, as held, or the
// prefix of the network and the lowest free number.
func (w *wiring) allocateInterfaces() hcl.Diagnostics {
	var diags hcl.Diagnostics
	for _, s := range w.sandboxes {
		b := &box{wiring: w, Sandbox: s, names: map[string]*spec.Endpoint{}}
		diags = append(diags, b.takeWritten()...)
		b.takeHeld()
		diags = append(diags, b.takeLowest()...)
	}
	return diags
}

// box is a sandbox while its interfaces get their names.
type box struct {
	*wiring
	*spec.Sandbox
	names map[string]*spec.Endpoint
	// unnamed are the endpoints that the configuration gives no name.
	unnamed []*spec.Endpoint
}

// onTheHost: the sandbox's interfaces are among the host's own.
func (b *box) onTheHost() bool { return b.Netns == "" }

func (b *box) free(name string) bool {
	if _, vrf := b.VRFs[name]; vrf || b.names[name] != nil || b.Foreign && b.held.Foreign[b.Place()].Links[name] {
		return false
	}
	return !b.onTheHost() || b.onHost.free(name)
}

func (b *box) take(e *spec.Endpoint, name string) {
	e.Interface = name
	b.names[name] = e
	if b.onTheHost() {
		b.onHost.take(name, e.Mark.Address)
	}
}

func (b *box) takeWritten() hcl.Diagnostics {
	var diags hcl.Diagnostics
	for _, e := range b.inside[b.Mark.Address] {
		if !b.of(e).Links {
			continue
		}
		if e.Interface == "" && slices.Contains(e.Assigned, "interface") {
			continue
		}
		if e.Interface == "" {
			b.unnamed = append(b.unnamed, e)
			continue
		}
		if other := b.names[e.Interface]; other != nil {
			diags = append(diags, failure(e.At("interface"), "Interface name already in use", fmt.Sprintf(
				"%s and %s (%s) both name their interface in %s %q. Give one of them another name, or leave interface out.",
				e.Mark.Address, other.Mark.Address, line(other.At("interface")), b.Mark.Address, e.Interface)))
		}
		if _, vrf := b.VRFs[e.Interface]; vrf {
			diags = append(diags, failure(e.At("interface"), "Interface name already in use", fmt.Sprintf(
				"%s names its interface %q, which is what a VRF of %s (%s) is called. Give one of them another name.",
				e.Mark.Address, e.Interface, b.Mark.Address, line(b.At("vrfs")))))
		}
		b.take(e, e.Interface)
	}
	return diags
}

func (b *box) takeHeld() {
	for _, e := range b.unnamed {
		for _, name := range b.heldInterfaces(e) {
			if e.Interface == "" && b.free(name) && numbered(name, b.prefix(e)) {
				b.take(e, name)
			}
		}
	}
}

func (b *box) takeLowest() hcl.Diagnostics {
	var diags hcl.Diagnostics
	next := map[string]int{}
	for _, e := range b.unnamed {
		if e.Interface != "" {
			continue
		}
		prefix := b.prefix(e)
		name := prefix + strconv.Itoa(next[prefix])
		for ; !b.free(name); name = prefix + strconv.Itoa(next[prefix]) {
			next[prefix]++
		}
		b.take(e, name)
		if len(name) > maxLinkName {
			diags = append(diags, failure(b.network[e.Network].At("interface_prefix"), "Interface name too long", fmt.Sprintf(
				"The interface of %s in %s would be called %q, which has %d bytes; the kernel allows %d. Shorten the prefix or name the interface.",
				e.Mark.Address, b.Mark.Address, name, len(name), maxLinkName)))
		}
	}
	return diags
}

// heldInterfaces are the names that the endpoint has had in the sandbox that it is in.
func (w *wiring) heldInterfaces(e *spec.Endpoint) []string {
	held := w.held.Endpoints[e.Mark.Address]
	if held.Sandbox != "" && w.spaceOf(held.Sandbox) != w.spaceOf(e.Sandbox) {
		return nil
	}
	return held.Interfaces
}

// prefix begins the name of the endpoint's interface.
func (w *wiring) prefix(e *spec.Endpoint) string {
	if n := w.network[e.Network]; n != nil && n.Prefix != "" {
		return n.Prefix
	}
	return "eth"
}

// numbered reports that name is the prefix and a number: a name that was made by today's
// prefix, or might have been. Another prefix means that the user wants other names.
func numbered(name, prefix string) bool {
	number, ok := strings.CutPrefix(name, prefix)
	n, err := strconv.ParseUint(number, 10, 31)
	return ok && err == nil && strconv.FormatUint(n, 10) == number
}

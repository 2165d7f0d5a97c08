package spec

import (
	"errors"
	"fmt"

	"github.com/cnmctl/cnmctl/state"
	"github.com/zclconf/go-cty/cty"
)

// checkVRFs allows names of interfaces, each with a routing table of its own.
func checkVRFs(v cty.Value) error {
	first := map[string]string{}
	for it := v.ElementIterator(); it.Next(); {
		k, table := it.Element()
		name := k.AsString()
		if table.IsNull() {
			return errors.New("an element is null; leave it out instead")
		}
		if err := checkInterface(name); err != nil {
			return fmt.Errorf("VRF %q: %w", name, err)
		}
		if err := CheckVRFTable(table); err != nil {
			return fmt.Errorf("VRF %q: %w", name, err)
		}
		number := table.AsBigFloat().Text('f', 0)
		if other, taken := first[number]; taken {
			return fmt.Errorf("%q and %q both have the routing table %s, so they would not be apart; give each its own", other, name, number)
		}
		first[number] = name
	}
	return nil
}

// CheckVRFTable allows the number of a routing table that is nobody's.
func CheckVRFTable(v cty.Value) error {
	if err := between(1, 1<<32-1)(v); err != nil {
		return err
	}
	if n, _ := v.AsBigFloat().Uint64(); !state.VRFTables(uint32(n)) {
		return fmt.Errorf("%d is a table of the kernel's own (253 default, 254 main, 255 local); choose another number", n)
	}
	return nil
}

// checkVRF refuses a VRF that the endpoint's sandbox does not have.
func (i *instance) checkVRF(rd *reading, name string) {
	arg := i.body.attrs["vrf"]
	if i.in == nil {
		if !rd.failed { // else the sandbox was refused
			rd.reject(arg, "VRF without a sandbox", "%s is in no sandbox, and a VRF is a sandbox's. Add the sandbox, or delete vrf.", i.addr)
		}
		return
	}
	if i.in.sandbox == nil {
		return // it was refused
	}
	in := i.in.space(rd)
	if _, there := in.sandbox.VRFs[name]; !there {
		rd.reject(arg, "Unknown VRF", "%s has no VRF %q.%s", in.addr, name,
			didYouMean(name, sortedNames(in.sandbox.VRFs), fmt.Sprintf("Add it to vrfs of %s, as in vrfs = { %s = 10 }, or choose one that it has:", in.addr, name)))
	}
}

// space is the sandbox whose namespace this one is in: itself, or the one that it shares.
func (i *instance) space(rd *reading) *instance {
	if with := rd.sandboxes[i.sandbox.Shares]; with != nil && with.sandbox != nil {
		return with
	}
	return i
}

// checkVRFs refuses routes in VRFs that the sandbox does not have.
func (i *instance) checkVRFs(rd *reading, s *state.Sandbox) {
	if i.sandbox == nil {
		return
	}
	in := i.space(rd)
	for n, r := range s.Routes {
		if _, there := in.sandbox.VRFs[r.VRF]; r.VRF != "" && !there {
			rd.fail(fault(i.declaration().At(fmt.Sprintf("route[%d].vrf", n)), "Unknown VRF", "%s has no VRF %q.%s", in.addr, r.VRF,
				didYouMean(r.VRF, sortedNames(in.sandbox.VRFs), "There is")))
		}
	}
}

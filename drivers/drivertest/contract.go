package drivertest

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/cnmctl/cnmctl/drivers"
	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/zclconf/go-cty/cty"
)

// Contract checks what every driver promises: a documented schema, and for each of the
// samples a world that is whole, deterministic and marked. all are the drivers that the
// samples need, d among them.
func Contract(t *testing.T, d drivers.Driver, all []drivers.Driver, samples map[string]*Records) {
	t.Run("schema", func(t *testing.T) { checkSchema(t, d) })
	if first := d.Traits(); first != d.Traits() {
		t.Error("the traits are not always the same")
	}
	for name, r := range samples {
		t.Run(name, func(t *testing.T) { checkSample(t, r, all) })
	}
}

func checkSchema(t *testing.T, d drivers.Driver) {
	s := d.Schema()
	if s.Name == "" || s.Doc == "" {
		t.Errorf("schema %q has no name or no documentation", s.Name)
	}
	for _, body := range []spec.Schema{s.Network, s.Endpoint} {
		if body.Name != s.Name || body.Doc == "" {
			t.Errorf("a block is called %q, the driver %q; documentation %q", body.Name, s.Name, body.Doc)
		}
		for _, a := range body.Attrs {
			checkAttr(t, a)
		}
	}
}

func checkAttr(t *testing.T, a spec.AttrSchema) {
	if a.Name == "" || a.Name != strings.ToLower(a.Name) || a.Doc == "" || !strings.HasSuffix(a.Doc, ".") {
		t.Errorf("option %q: name or documentation %q", a.Name, a.Doc)
	}
	if a.Default == cty.NilVal {
		return
	}
	if !a.Default.Type().Equals(a.Type) {
		t.Errorf("option %s is a %s and its default is a %s", a.Name, a.Type.FriendlyName(), a.Default.Type().FriendlyName())
	}
	if a.Check != nil {
		if err := a.Check(a.Default); err != nil {
			t.Errorf("option %s refuses its own default: %s", a.Name, err)
		}
	}
}

func checkSample(t *testing.T, r *Records, all []drivers.Driver) {
	w, err := r.World(all)
	if err != nil {
		t.Fatal(err)
	}
	checkWhole(t, w)
	checkObjects(t, w)
	checkPairs(t, w)
	checkIPv6(t, w)
	for range 5 {
		again, err := shuffled(r).World(all)
		if err != nil {
			t.Fatal(err)
		}
		sameWorld(t, "in another order", w, again)
	}
	stored, err := reread(r)
	if err != nil {
		t.Fatal(err)
	}
	again, err := stored.World(all)
	if err != nil {
		t.Fatal(err)
	}
	sameWorld(t, "read back from a store", w, again)
}

func sameWorld(t *testing.T, how string, want, got state.World) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmp.Exporter(func(reflect.Type) bool { return true }), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("records %s make another world (-want +got)\n%s", how, diff)
	}
}

// checkWhole: what is needed is there, in the world itself.
func checkWhole(t *testing.T, w state.World) {
	for _, k := range w.Keys() {
		for _, need := range w[k].Needs() {
			if w[need] == nil {
				t.Errorf("%s needs %s, which nobody makes", k, need)
			}
		}
		for _, in := range w[k].Inside() {
			if w[in] == nil {
				t.Errorf("%s is inside of %s, which nobody makes", k, in)
			}
		}
	}
}

// checkObjects: every object is marked, says its attributes the same way each time, each
// once, and survives a saved plan.
func checkObjects(t *testing.T, w state.World) {
	for _, k := range w.Keys() {
		o := w[k]
		if o.Key() != k {
			t.Errorf("%s is in the world as %s", o.Key(), k)
		}
		shared := k.Kind == state.KindRuleset || k.Kind == state.KindIPsecState || k.Kind == state.KindIPsecPolicy || k.Kind == state.KindKeyring || k.Kind == state.KindSysctl && o.(state.Sysctl).Keep
		if o.Owner().Stack != Stack || (o.Owner().Address == "") != shared {
			t.Errorf("%s is owned by %+v", k, o.Owner())
		}
		if diff := cmp.Diff(o.Attrs(), o.Attrs()); diff != "" {
			t.Errorf("%s does not always say the same:\n%s", k, diff)
		}
		seen := map[string]bool{}
		for _, a := range o.Attrs() {
			if seen[a.Name] {
				t.Errorf("%s has two attributes %s", k, a.Name)
			}
			seen[a.Name] = true
		}
		text, err := state.EncodeObject(o)
		if err != nil {
			t.Errorf("%s: %s", k, err)
			continue
		}
		back, err := state.DecodeObject(text)
		if err != nil {
			t.Errorf("%s: %s", k, err)
			continue
		}
		if d := state.Compare(o, back); !d.Same() || back.Key() != k {
			t.Errorf("%s is another after a saved plan: %+v", k, d.Fields)
		}
	}
}

// checkPairs: a veth pair is two links that name each other, of which one is born with
// the other; names are the kernel's to accept; what is filtered waits for its ruleset.
func checkPairs(t *testing.T, w state.World) {
	for _, k := range w.Keys() {
		l, ok := w[k].(state.Link)
		if !ok {
			continue
		}
		if err := drivers.CheckInterfaceName(l.Name); err != nil {
			t.Errorf("%s: %s", k, err)
		}
		if l.MAC.IsZero() != l.BorrowsMAC() {
			t.Errorf("%s has the MAC %q: without one of its own udev would give it one, and a borrowed one is not to be set", k, l.MAC)
		}
		if l.Master != "" && l.Place == state.Host && l.Guard == (state.Key{}) {
			t.Errorf("%s is a port that comes up before its ruleset", k)
		}
		if l.Type != state.Veth {
			continue
		}
		peer, ok := w[state.LinkKey(l.Peer.Place, l.Peer.Name)].(state.Link)
		if !ok || peer.Peer != (state.End{Place: l.Place, Name: l.Name}) || peer.Second == l.Second || peer.MTU != l.MTU || peer.MAC == l.MAC {
			t.Errorf("%s and its peer do not fit: %+v, %+v", k, l, peer)
		}
	}
}

// checkIPv6: IPv6 is on where there is an IPv6 address, or a link with one is in the VRF, and
// nowhere else but on cables that live on what the kernel gives them.
func checkIPv6(t *testing.T, w state.World) {
	has := map[state.Key]bool{}
	for _, o := range w {
		if a, ok := o.(state.IPAddress); ok && a.Prefix.Addr().Is6() {
			on := state.LinkKey(a.Place, a.Link)
			has[on] = true
			if l, ok := w[on].(state.Link); ok && l.VRF != "" {
				has[state.LinkKey(l.Place, l.VRF)] = true
			}
		}
	}
	for _, k := range w.Keys() {
		l, ok := w[k].(state.Link)
		if !ok || l.NoIPv6 != has[k] {
			continue
		}
		e, _ := w[state.RecordKey(state.KindEndpoint, l.Mark.Address)].(state.Endpoint)
		n, _ := w[state.RecordKey(state.KindNetwork, e.Network)].(state.Network)
		if l.NoIPv6 || !n.IPv6 || len(n.Subnets) > 0 {
			t.Errorf("%s has IPv6 addresses: %t; IPv6 is off: %t", k, has[k], l.NoIPv6)
		}
	}
}

func shuffled(r *Records) *Records {
	s := &Records{drivers.Records{
		Hosts: slices.Clone(r.Hosts), Networks: slices.Clone(r.Networks), Sandboxes: slices.Clone(r.Sandboxes), Endpoints: slices.Clone(r.Endpoints),
	}}
	rand.Shuffle(len(s.Hosts), func(i, j int) { s.Hosts[i], s.Hosts[j] = s.Hosts[j], s.Hosts[i] })
	rand.Shuffle(len(s.Networks), func(i, j int) { s.Networks[i], s.Networks[j] = s.Networks[j], s.Networks[i] })
	rand.Shuffle(len(s.Sandboxes), func(i, j int) { s.Sandboxes[i], s.Sandboxes[j] = s.Sandboxes[j], s.Sandboxes[i] })
	rand.Shuffle(len(s.Endpoints), func(i, j int) { s.Endpoints[i], s.Endpoints[j] = s.Endpoints[j], s.Endpoints[i] })
	return s
}

// reread is the records after a store has written and read them.
func reread(r *Records) (*Records, error) {
	back := &Records{}
	for _, h := range r.Hosts {
		o, err := again(h)
		if err != nil {
			return nil, err
		}
		back.Hosts = append(back.Hosts, o)
	}
	for _, n := range r.Networks {
		o, err := again(n)
		if err != nil {
			return nil, err
		}
		back.Networks = append(back.Networks, o)
	}
	for _, s := range r.Sandboxes {
		o, err := again(s)
		if err != nil {
			return nil, err
		}
		back.Sandboxes = append(back.Sandboxes, o)
	}
	for _, e := range r.Endpoints {
		o, err := again(e)
		if err != nil {
			return nil, err
		}
		back.Endpoints = append(back.Endpoints, o)
	}
	return back, nil
}

func again[T state.Object](o T) (T, error) {
	var none T
	text, err := state.EncodeObject(o)
	if err != nil {
		return none, err
	}
	back, err := state.DecodeObject(text)
	if err != nil {
		return none, err
	}
	same, ok := back.(T)
	if !ok {
		return none, fmt.Errorf("a %T was read back as a %T", o, back)
	}
	return same, nil
}

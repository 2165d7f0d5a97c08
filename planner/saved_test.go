package planner

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"testing"

	"github.com/cnmctl/cnmctl/state"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func encoded(t testing.TB, p *Plan) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Encode(&b, Saved{Plan: p, Version: "0.1.0", Inputs: "abc", Store: map[string]string{"type": "local"}}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// changedShop is a plan with all actions in it.
func changedShop(t testing.TB) *Plan {
	want := newWorld().network("front", 1, func(n *state.Network) { n.Device = "br-x" }).network("back", 2).
		sandbox(`web["w0"]`, "10.1.0.2 w0\n").sandbox("db", strings.Repeat("10.2.0.4 db\n", 100)).
		endpoint(`web["w0"]`, "front", `web["w0"]`, 7).endpoint("db", "back", "db", 4)
	o := opts()
	o.Replace = []state.Address{"sandbox.db"}
	return mustDiff(t, shop().World, want.World, o)
}

func TestSavedPlan(t *testing.T) {
	p := changedShop(t)
	s, err := Decode(bytes.NewReader(encoded(t, p)), "0.1.0")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(p, s.Plan, comparers); diff != "" {
		t.Errorf("reading back what was saved:\n%s", diff)
	}
	if s.Stack != testStack || s.Inputs != "abc" || s.Store["type"] != "local" {
		t.Errorf("read %+v", s)
	}
}

func TestSavedPlansOfAllWorlds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		live, want := drawPair(t)
		p := diffIn(t, live, want)
		var b bytes.Buffer
		if err := Encode(&b, Saved{Plan: p}); err != nil {
			t.Fatal(err)
		}
		s, err := Decode(&b, "")
		if err != nil {
			t.Fatal(err)
		}
		var before, after bytes.Buffer
		Render(&before, p, RenderOptions{})
		Render(&after, s.Plan, RenderOptions{})
		if before.String() != after.String() {
			t.Fatalf("a saved plan says\n%s\ninstead of\n%s", after.String(), before.String())
		}
		if err := CheckStale(s.Plan, live); err != nil {
			t.Fatalf("a fresh plan is stale: %v", err)
		}
		again := newSim(live, want)
		if err := again.run(s.Ops); err != nil {
			t.Fatal(err)
		}
	})
}

// TestSharedContents: a thousand files with one content take the room of one.
func TestSharedContents(t *testing.T) {
	hosts := strings.Repeat("10.1.0.2 somebody.front somebody\n", 2000)
	w := newWorld()
	for i := range 1000 {
		w.sandbox(fmt.Sprint("s", i), hosts)
	}
	b := encoded(t, mustDiff(t, state.World{}, w.World, opts()))
	if len(b) > 300<<10 {
		t.Errorf("the saved plan has %d KB", len(b)>>10)
	}
}

func TestRefusedPlans(t *testing.T) {
	good := encoded(t, changedShop(t))
	unzipped := func() string {
		zip, err := gzip.NewReader(bytes.NewReader(good))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(zip)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}()
	with := func(from, to string) []byte {
		if !strings.Contains(unzipped, from) {
			t.Fatalf("the plan has no %q", from)
		}
		var b bytes.Buffer
		zip := gzip.NewWriter(&b)
		io.WriteString(zip, strings.Replace(unzipped, from, to, 1))
		zip.Close()
		return b.Bytes()
	}
	for name, test := range map[string]struct {
		file []byte
		want string
	}{
		"not a plan":        {[]byte("network \"front\" {}"), "not a plan saved"},
		"empty":             {nil, "not a plan saved"},
		"cut off":           {good[:len(good)/2], "cut off"},
		"cut at the end":    {good[:len(good)-4], "cut off"},
		"other version":     {with(`"cnmctl_version":"0.1.0"`, `"cnmctl_version":"0.2.0"`), "made by cnmctl 0.2.0"},
		"other format":      {with(`"format_version":"1"`, `"format_version":"2"`), "format 2"},
		"unknown kind":      {with(`"kind":"link"`, `"kind":"lync"`), "unknown kind"},
		"unknown action":    {with(`"action":"create"`, `"action":"crate"`), "unknown action"},
		"waves too long":    {with(`"waves":[`, `"waves":[9999,`), "waves"},
		"missing text":      {with(`"text":1`, `"text":77`), "no text 77"},
		"something follows": {with("", "") /* replaced below */, ""},
	} {
		if name == "something follows" {
			var b bytes.Buffer
			zip := gzip.NewWriter(&b)
			io.WriteString(zip, unzipped+unzipped)
			zip.Close()
			test.file, test.want = b.Bytes(), "something follows"
		}
		_, err := Decode(bytes.NewReader(test.file), "0.1.0")
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, not %q", name, err, test.want)
		}
	}
}

func TestStale(t *testing.T) {
	p := changedShop(t)
	if err := CheckStale(p, shop().World); err != nil {
		t.Errorf("a fresh plan: %v", err)
	}
	for name, test := range map[string]struct {
		change func(w state.World)
		want   string
	}{
		"nothing of the plan's": {func(w state.World) { delete(w, state.LinkKey(state.Host, "br-back")) }, ""},
		"deleted": {func(w state.World) { delete(w, state.LinkKey(state.Host, "br-front")) },
			"link br-front in the host is gone"},
		"changed": {func(w state.World) {
			l := w[state.LinkKey(state.Host, "br-front")].(state.Link)
			l.MTU = 1400
			w.Add(l)
		}, "link br-front in the host has changed since: mtu was not set and is 1400"},
		"made": {func(w state.World) {
			w.Add(state.Foreign{K: state.LinkKey(state.Host, "br-x"), What: "a bridge that cnmctl did not make"})
		}, "link br-x in the host is there now (a bridge that cnmctl did not make)"},
		"taken along": {func(w state.World) {
			delete(w, state.AddressKey(state.Netns("shop-db"), "eth2", prefix("10.2.0.4/24")))
		}, "address eth2 10.2.0.4/24 in namespace shop-db is gone"},
		"two": {func(w state.World) {
			delete(w, state.LinkKey(state.Host, "br-front"))
			delete(w, state.LinkKey(state.Host, "ve-db"))
		}, "and 1 other object has changed"},
	} {
		w := shop().World
		test.change(w)
		err := CheckStale(p, w)
		if test.want == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		var stale *StaleError
		if !errors.As(err, &stale) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, not %q", name, err, test.want)
		}
	}
}

// TestStaleAlone: a plan for one more endpoint finds nothing changed that it touches in a store
// that has lost its data. What its records speak of is not there.
func TestStaleAlone(t *testing.T) {
	want := shop().endpoint("more", "back", "db", 5)
	p := mustDiff(t, shop().World, want.World, opts())
	if err := CheckStale(p, shop().World); err != nil {
		t.Errorf("a fresh plan: %v", err)
	}
	w := shop().World
	maps.DeleteFunc(w, func(k state.Key, _ state.Object) bool { return k.Place == state.Store })
	err := CheckStale(p, w)
	if err == nil || !strings.Contains(err.Error(), "endpoint.more in the store needs network network.back in the store, which is gone") {
		t.Errorf("without records: %v", err)
	}
}

// FuzzDecode: whatever is in a file, reading it neither panics nor takes all memory, and
// what is read can be shown, run against and saved again.
func FuzzDecode(f *testing.F) {
	f.Add(encoded(f, changedShop(f)))
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, file []byte) {
		if !bytes.HasPrefix(file, []byte{0x1f, 0x8b}) { // let it get past the packing
			var b bytes.Buffer
			zip := gzip.NewWriter(&b)
			zip.Write(file)
			zip.Close()
			file = b.Bytes()
		}
		s, err := Decode(bytes.NewReader(file), "0.1.0")
		if err != nil {
			return
		}
		if err := Render(io.Discard, s.Plan, RenderOptions{Color: true}); err != nil {
			t.Error(err)
		}
		_ = CheckStale(s.Plan, shop().World)
		if err := Encode(io.Discard, s); err != nil {
			t.Error(err)
		}
	})
}

package state

import (
	"encoding/json"
	"os"
	"reflect"
	"regexp"
	"slices"
	"testing"
)

// every is a zero object of each kind that this package declares.
func every(t *testing.T) map[Kind]Object {
	t.Helper()
	all := map[Kind]Object{}
	for _, file := range []string{"key.go", "asked.go"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\sKind\w+ +Kind = "(.+)"`).FindAllStringSubmatch(string(text), -1) {
			o, err := Envelope{Kind: Kind(m[1]), Object: json.RawMessage("{}")}.Open()
			if err != nil {
				t.Fatal(err)
			}
			all[Kind(m[1])] = o
		}
	}
	if len(all) < 20 {
		t.Fatalf("only %d kinds were found", len(all))
	}
	return all
}

type elsewhere struct{}

func (elsewhere) Place(Place) Place         { return "ns/new" }
func (elsewhere) Link(Place, string) string { return "new" }

// TestRenamed finds kinds with a place that keeps its old name: all that is in a namespace
// goes along when it is renamed. Plugins know namespaces by path, and those are not renamed.
func TestRenamed(t *testing.T) {
	for kind, o := range every(t) {
		v := reflect.New(reflect.TypeOf(o)).Elem()
		places(v, func(p reflect.Value) { p.SetString("ns/old") })
		old := v.Interface().(Object)
		found := 0
		places(v, func(reflect.Value) { found++ })
		if found == 0 || slices.Contains([]Kind{KindPluginEndpoint, KindWayOut}, kind) {
			continue
		}
		placed, ok := old.(Placed)
		if !ok {
			t.Errorf("%s has a place, and no method Renamed", kind)
			continue
		}
		after := reflect.New(reflect.TypeOf(o)).Elem()
		after.Set(reflect.ValueOf(placed.Renamed(elsewhere{})))
		places(after, func(p reflect.Value) {
			if p.String() != "ns/new" {
				t.Errorf("%s still speaks of %s after it was renamed: %+v", kind, p, after)
			}
		})
	}
}

// places calls f for all fields that are places, but those in keys, which only order things.
func places(v reflect.Value, f func(reflect.Value)) {
	switch v.Type() {
	case reflect.TypeFor[Place]():
		f(v)
		return
	case reflect.TypeFor[Key]():
		return
	}
	if v.Kind() == reflect.Struct {
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				places(v.Field(i), f)
			}
		}
	}
}

// TestWithOwner finds kinds that bear a mark, and cannot bear another.
func TestWithOwner(t *testing.T) {
	not := []Kind{
		KindRuleset, KindIPsecState, KindIPsecPolicy, KindKeyring, // the stack's as a whole
		KindPool, KindLease, KindAllocation, KindPluginNetwork, KindPluginEndpoint, KindWayOut, KindNode, // known to plugins by it
		KindOutput, // no block
	}
	for kind, o := range every(t) {
		_, marked := reflect.TypeOf(o).FieldByName("Mark")
		owned, ok := o.(Owned)
		switch {
		case marked && !ok && !slices.Contains(not, kind):
			t.Errorf("%s bears a mark, and has no method WithOwner", kind)
		case ok && owned.WithOwner(Owner{Stack: "a", Address: "b"}).Owner() != Owner{Stack: "a", Address: "b"}:
			t.Errorf("%s does not take the owner that it is given", kind)
		}
	}
}

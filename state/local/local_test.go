package local

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cnmctl/cnmctl/state"
	"github.com/cnmctl/cnmctl/state/statetest"
)

func TestContract(t *testing.T) {
	statetest.Run(t, func(t *testing.T) func() (state.RecordStore, error) {
		dir := t.TempDir()
		return func() (state.RecordStore, error) {
			return Open(Options{Stack: statetest.Stack, Path: filepath.Join(dir, "lib", "x.json"), LockDir: filepath.Join(dir, "run")})
		}
	})
}

// testStore is a store of stack shop in directories of its own, which are still to be made.
func testStore(t testing.TB) *Store { return storeIn(t, t.TempDir()) }

func storeIn(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(Options{Stack: "shop", Path: filepath.Join(dir, "lib", "shop.json"), LockDir: filepath.Join(dir, "run")})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func owner(a state.Address) state.Owner { return state.Owner{Stack: "shop", Address: a} }

func claim(holder state.Address, ip string) state.Claim {
	return state.Claim{Network: "network.front", IP: netip.MustParseAddr(ip), Mark: owner(holder)}
}

func wave(action state.Action, objects ...state.Object) []state.Op {
	ops := make([]state.Op, len(objects))
	for i, o := range objects {
		ops[i] = state.Op{Action: action, Key: o.Key(), After: o}
		if action == state.Delete {
			ops[i].Before, ops[i].After = o, nil
		}
	}
	return ops
}

func apply(t testing.TB, s *Store, ops []state.Op) {
	t.Helper()
	if err := s.Apply(context.Background(), ops, func(int, error) {}); err != nil {
		t.Fatal(err)
	}
}

func TestDefaultPaths(t *testing.T) {
	s, err := Open(Options{Stack: "shop"})
	if err != nil || s.Path() != "/var/lib/cnmctl/shop.json" || s.lock != "/run/cnmctl/shop.lock" {
		t.Errorf("%+v, %v", s, err)
	}
	for _, bad := range []string{"", ".", "..", "a/b", "a\x00"} {
		if _, err := Open(Options{Stack: bad}); err == nil {
			t.Errorf("stack %q was opened", bad)
		}
	}
}

func TestTheFileReadsWell(t *testing.T) {
	s := testStore(t)
	apply(t, s, wave(state.Create, claim("endpoint.b", "10.1.0.3"), claim("endpoint.a", "10.1.0.2"),
		state.Endpoint{Mark: owner("endpoint.a"), Name: "a", Network: "network.front", IPv4: netip.MustParsePrefix("10.1.0.2/24")}))
	got, err := os.ReadFile(s.Path())
	if err != nil {
		t.Fatal(err)
	}
	want := `{
  "version": 1,
  "stack": "shop",
  "made_directory": true,
  "objects": [
    {"kind":"claim","object":{"Network":"network.front","IP":"10.1.0.2","Mark":{"Stack":"shop","Address":"endpoint.a"}}},
    {"kind":"claim","object":{"Network":"network.front","IP":"10.1.0.3","Mark":{"Stack":"shop","Address":"endpoint.b"}}},
    {"kind":"endpoint","object":{`
	if !strings.HasPrefix(string(got), want) || !strings.HasSuffix(string(got), "}}\n  ]\n}\n") {
		t.Errorf("the file is\n%s\nand should begin\n%s", got, want)
	}
}

func TestModes(t *testing.T) {
	s := testStore(t)
	apply(t, s, wave(state.Create, claim("endpoint.a", "10.1.0.2")))
	unlock, err := s.Lock(context.Background(), state.LockInfo{})
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	for path, want := range map[string]os.FileMode{s.path: 0o600, filepath.Dir(s.path): 0o700 | os.ModeDir, s.lock: 0o600, filepath.Dir(s.lock): 0o700 | os.ModeDir} {
		if fi, err := os.Stat(path); err != nil || fi.Mode() != want {
			t.Errorf("%s: %v, %v; want mode %v", path, fi.Mode(), err, want)
		}
	}
}

func TestNothingIsLeft(t *testing.T) {
	dir := t.TempDir()
	s := storeIn(t, dir)
	unlock, err := s.Lock(context.Background(), state.LockInfo{})
	if err != nil {
		t.Fatal(err)
	}
	other, err := Open(Options{Stack: "other", Path: filepath.Join(dir, "lib", "other.json"), LockDir: filepath.Join(dir, "run")})
	if err != nil {
		t.Fatal(err)
	}
	held := claim("endpoint.a", "10.1.0.2")
	theirs := held
	theirs.Mark.Stack = "other"
	apply(t, s, wave(state.Create, held))
	apply(t, other, wave(state.Create, theirs))
	apply(t, s, wave(state.Delete, held)) // the other's file keeps the directory
	apply(t, s, wave(state.Create, held))
	apply(t, other, wave(state.Delete, theirs))
	apply(t, s, wave(state.Delete, held))
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "run")); !os.IsNotExist(err) {
		t.Errorf("run is left: %v", err)
	}
	// The directory was made for the first file, which knew; the second file did not.
	if left, err := os.ReadDir(filepath.Join(dir, "lib")); len(left) > 0 {
		t.Errorf("left in lib: %v, %v", left, err)
	}
}

func TestTheDirectoryGoesOnlyIfItWasMade(t *testing.T) {
	for _, there := range []bool{true, false} {
		testDirectory(t, there, false, there)
	}
	// The default directory is ours although another stack, which is gone, had it made.
	testDirectory(t, true, true, false)
}

func testDirectory(t *testing.T, there, ownDir, stays bool) {
	t.Helper()
	dir := t.TempDir()
	if there {
		if err := os.Mkdir(filepath.Join(dir, "lib"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	apply(t, storeIn(t, dir), wave(state.Create, claim("endpoint.a", "10.1.0.2")))
	again := storeIn(t, dir)
	again.ownDir = ownDir
	apply(t, again, wave(state.Delete, claim("endpoint.a", "10.1.0.2")))
	if _, err := os.Stat(filepath.Join(dir, "lib")); (err == nil) != stays {
		t.Errorf("there before: %t, ours by name: %t; afterwards: %v", there, ownDir, err)
	}
}

func TestBadFilesAreExplained(t *testing.T) {
	const deletable = "safe to delete"
	object := `{"kind":"claim","object":{"Network":"network.front","IP":"10.1.0.2","Mark":{"Stack":"shop","Address":"endpoint.a"}}}`
	file := func(objects string) string { return `{"version":1,"stack":"shop","objects":[` + objects + `]}` }
	for text, want := range map[string][]string{
		"":                                       {"it is empty", deletable},
		"{\n\"version\": 1,\n!":                  {"line 3", deletable},
		`[]`:                                     {"line 1", deletable},
		"{}":                                     {"no format version", deletable},
		`{"version":"1"}`:                        {"line 1", deletable},
		`{"version":99}`:                         {"format version 99", "newer"},
		`{"version":1,"stack":"x"}`:              {`stack "x", not of "shop"`, "a file of its own"},
		file(`7`):                                {"line 1", deletable},
		file(`{"kind":"claim"}`):                 {"object 1", deletable},
		file(`{"kind":"spaceship","object":{}}`): {"object 1", "spaceship", deletable},
		file(object + "," + object):              {"object 2", "twice", deletable},
		file(strings.Replace(object, "shop", "other", 1)):      {"object 1", `"other"`, deletable},
		file(strings.Replace(object, "endpoint.a", "", 1)):     {"object 1", "no owner", deletable},
		file(`{"kind":"namespace","object":{"Name":"x"}}`):     {"object 1", "does not belong", deletable},
		strings.TrimSuffix(file(object), "}"):                  {"line 1", deletable},
		strings.Replace(file(object), "10.1.0.2", "10.1.0", 1): {"object 1", "10.1.0", deletable},
	} {
		s := testStore(t)
		if err := os.Mkdir(filepath.Dir(s.path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(s.path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := s.Snapshot(context.Background())
		again := s.Apply(context.Background(), wave(state.Create, claim("endpoint.a", "10.1.0.2")), func(int, error) {})
		if err == nil || again == nil {
			t.Errorf("%q was read: %v, %v", text, err, again)
			continue
		}
		for _, w := range append(want, s.path) {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("the error for %q does not say %q: %v", text, w, err)
			}
		}
		if strings.Contains(err.Error(), deletable) != (want[len(want)-1] == deletable) {
			t.Errorf("the wrong remedy for %q: %v", text, err)
		}
		if got, _ := os.ReadFile(s.path); string(got) != text {
			t.Errorf("%q was changed to %q", text, got)
		}
	}
}

func TestAFailedWriteIsForgotten(t *testing.T) {
	s := testStore(t)
	network := func(mtu int) state.Network { return state.Network{Mark: owner("network.a"), MTU: mtu} }
	apply(t, s, wave(state.Create, network(1)))
	broken := state.Network{Mark: owner("network.b"), Options: state.Options{"x": []byte("{")}}
	told := func(i int, err error) { t.Errorf("told of operation %d: %v", i, err) }
	if err := s.Apply(t.Context(), wave(state.Create, network(2), broken), told); err == nil {
		t.Fatal("broken JSON was written")
	}
	apply(t, s, wave(state.Create, claim("endpoint.a", "10.1.0.2")))
	w, err := storeIn(t, filepath.Dir(filepath.Dir(s.path))).Snapshot(t.Context())
	if err != nil || len(w) != 2 || w[network(0).Key()].(state.Network).MTU != 1 {
		t.Errorf("after a write that failed: %v, %v", w, err)
	}
}

func TestChangesByOthersAreSeen(t *testing.T) {
	one := testStore(t)
	two := storeIn(t, filepath.Dir(filepath.Dir(one.path)))
	for n := range byte(4) {
		store := []*Store{one, two}[n%2]
		apply(t, store, wave(state.Create, state.Claim{Network: "network.front", IP: netip.AddrFrom4([4]byte{10, 0, 0, n}), Mark: owner("endpoint.a")}))
		for _, s := range []*Store{one, two} {
			if w, err := s.Snapshot(t.Context()); err != nil || len(w) != int(n)+1 {
				t.Fatalf("%d claims of %d, %v", len(w), n+1, err)
			}
		}
	}
	w, err := one.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	clear(w) // the caller's to change
	if w, err = one.Snapshot(t.Context()); len(w) != 4 || err != nil {
		t.Errorf("%d claims, %v", len(w), err)
	}
}

func TestUnusablePaths(t *testing.T) {
	dir := t.TempDir()
	blocked := filepath.Join(dir, "file")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Open(Options{Stack: "shop", Path: filepath.Join(blocked, "shop.json"), LockDir: blocked})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Apply(context.Background(), wave(state.Create, claim("endpoint.a", "10.1.0.2")), func(int, error) { t.Error("told") }); err == nil || !strings.Contains(err.Error(), blocked) {
		t.Errorf("applying below a file: %v", err)
	}
	if _, err := s.Lock(context.Background(), state.LockInfo{}); err == nil || !strings.Contains(err.Error(), blocked) {
		t.Errorf("locking below a file: %v", err)
	}
	if s, err = Open(Options{Stack: "shop", Path: dir, LockDir: dir}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Snapshot(context.Background()); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("reading a directory: %v", err)
	}
}

func TestStaleFilesAreSweptByWhoHoldsTheLock(t *testing.T) {
	s := testStore(t)
	apply(t, s, wave(state.Create, claim("endpoint.a", "10.1.0.2")))
	keep := map[string]bool{"shop.json": true, ".shop.json": true, ".shop.json5.json12": true, ".shop.json1x": true}
	dir := filepath.Dir(s.path)
	for _, name := range []string{".shop.json123", ".shop.json", ".shop.json5.json12", ".shop.json1x"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	unlock, err := s.Lock(context.Background(), state.LockInfo{})
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !keep[e.Name()] {
			t.Errorf("%s is still there", e.Name())
		}
		delete(keep, e.Name())
	}
	if len(keep) > 0 {
		t.Errorf("%v are gone", keep)
	}
}

func TestAHalfWrittenHolderIsAnybody(t *testing.T) {
	s := testStore(t)
	unlock, err := s.Lock(context.Background(), state.LockInfo{Operation: "apply"})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.lock, []byte(`{"Oper`), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = s.Lock(context.Background(), state.LockInfo{})
	var locked *state.LockedError
	if !errors.As(err, &locked) || locked.Holder != (state.LockInfo{}) {
		t.Errorf("locking: %v", err)
	}
	if err := os.Remove(s.lock); err != nil {
		t.Fatal(err)
	}
	if err := unlock(); err != nil {
		t.Errorf("unlocking after the file was removed: %v", err)
	}
}

// FuzzDecode: what is read is written again as it was read; nothing panics.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"version":1,"stack":"shop","objects":[{"kind":"claim","object":{"Network":"n","IP":"10.1.0.2","Mark":{"Stack":"shop","Address":"e"}}}]}`))
	f.Add([]byte(`{"version":1,"stack":"shop","made_directory":true,"objects":[{"kind":"network","object":{"Mark":{"Stack":"shop","Address":"n"},"Options":{"a":[ 1 ]}}}]}`))
	f.Add([]byte(`{"version":1,"stack":"shop","objects":[{"kind":"sandbox","object":{"Mark":{"Stack":"shop","Address":"s"},"Routes":[{"To":"10.0.0.0/8"}]}}, null]}`))
	f.Add([]byte(`{"version":2}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := decode(text, "shop")
		if err != nil {
			return
		}
		once, err := encode(c)
		if err != nil {
			t.Fatalf("encoding what was decoded: %v", err)
		}
		again, err := decode(once, "shop")
		if err != nil {
			t.Fatalf("decoding what was encoded: %v\n%s", err, once)
		}
		twice, err := encode(again)
		if err != nil || string(once) != string(twice) {
			t.Fatalf("encoding is not stable: %v\n%s\n%s", err, once, twice)
		}
	})
}

// BenchmarkApply is one wave on a store of a thousand sandboxes.
func BenchmarkApply(b *testing.B) {
	s := testStore(b)
	var objects []state.Object
	for i := range 1000 {
		ip := netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)})
		e := state.Address(fmt.Sprintf("endpoint.web[%d]", i))
		objects = append(objects, state.Claim{Network: "network.front", IP: ip, Mark: owner(e)},
			state.Endpoint{Mark: owner(e), Network: "network.front", IPv4: netip.PrefixFrom(ip, 16)},
			state.Sandbox{Mark: owner(state.Address(fmt.Sprintf("sandbox.web[%d]", i))), Name: "x"})
	}
	apply(b, s, wave(state.Create, objects...))
	for b.Loop() {
		apply(b, s, wave(state.Create, claim("endpoint.x", "10.1.255.1")))
	}
}

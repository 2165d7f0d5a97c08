package local

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cnmctl/cnmctl/state"
)

// The test binary runs itself as other processes; this says what they do.
const roleVar = "CNMCTL_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(roleVar) {
	case "write":
		writeForever(os.Args[1])
	case "hold":
		holdForever(os.Args[1])
	case "count":
		countUp(os.Args[1], os.Args[2])
	default:
		os.Exit(m.Run())
	}
}

func child(t *testing.T, role string, args ...string) (*exec.Cmd, *bufio.Reader) {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), roleVar+"="+role)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewReader(out)
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func openIn(dir string) *Store {
	s, err := Open(Options{Stack: "shop", Path: filepath.Join(dir, "lib", "shop.json"), LockDir: filepath.Join(dir, "run")})
	must(err)
	return s
}

// crashWave is wave n: a hundred records that all say n.
func crashWave(n int) []state.Op {
	objects := make([]state.Object, 100)
	for i := range objects {
		objects[i] = state.Network{Mark: owner(state.Address("network.n" + strconv.Itoa(i))), MTU: n}
	}
	return wave(state.Create, objects...)
}

func writeForever(dir string) {
	s := openIn(dir)
	_, err := s.Lock(context.Background(), state.LockInfo{Operation: "apply"})
	must(err)
	for n := 1; ; n++ {
		must(s.Apply(context.Background(), crashWave(n), func(int, error) {}))
		fmt.Println(n)
	}
}

// TestKilledWriters kills writers at random moments. What is there afterwards is the last
// wave that the writer told of or the one that it was at, whole; the lock is free, and the
// next who takes it finds nothing else left.
func TestKilledWriters(t *testing.T) {
	for range 25 {
		dir := t.TempDir()
		cmd, out := child(t, "write", dir)
		if _, err := out.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		time.Sleep(rand.N(20 * time.Millisecond))
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		rest, err := io.ReadAll(out)
		if err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		lines := strings.Fields("1\n" + string(rest))
		told, err := strconv.Atoi(lines[len(lines)-1])
		if err != nil {
			t.Fatal(err)
		}
		checkAfterKill(t, storeIn(t, dir), told)
	}
}

func checkAfterKill(t *testing.T, s *Store, told int) {
	t.Helper()
	w, err := s.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	found := map[int]int{}
	for _, o := range w {
		found[o.(state.Network).MTU]++
	}
	if len(found) != 1 || (found[told] != 100 && found[told+1] != 100) {
		t.Errorf("the writer told of wave %d, there are %v", told, found)
	}
	unlock, err := s.Lock(t.Context(), state.LockInfo{})
	if err != nil {
		t.Fatalf("taking the lock of a killed process: %v", err)
	}
	defer unlock()
	if left, err := os.ReadDir(filepath.Dir(s.path)); len(left) != 1 || err != nil {
		t.Errorf("left in the directory: %v, %v", left, err)
	}
}

// TestKilledBeforeTheRename has what a writer leaves that dies just before the rename: a
// whole new file under the temporary name. The old content stands.
func TestKilledBeforeTheRename(t *testing.T) {
	s := testStore(t)
	apply(t, s, crashWave(1))
	next := newContent("shop")
	for _, op := range crashWave(2) {
		next.objects.Add(op.After)
	}
	text, err := encode(next)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(filepath.Dir(s.path), ".shop.json42"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	checkAfterKill(t, s, 1)
}

func holdForever(dir string) {
	_, err := openIn(dir).Lock(context.Background(), state.LockInfo{Operation: "apply", Who: "child@here"})
	must(err)
	fmt.Println("held")
	select {}
}

func TestALockDiesWithItsProcess(t *testing.T) {
	dir := t.TempDir()
	cmd, out := child(t, "hold", dir)
	if line, err := out.ReadString('\n'); line != "held\n" {
		t.Fatal(line, err)
	}
	s := storeIn(t, dir)
	_, err := s.Lock(t.Context(), state.LockInfo{})
	var locked *state.LockedError
	if !errors.As(err, &locked) || locked.Holder.PID != cmd.Process.Pid || !strings.Contains(err.Error(), "child@here") {
		t.Errorf("locking what another process holds: %v (%+v)", err, locked)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	unlock, err := s.Lock(t.Context(), state.LockInfo{})
	if err != nil {
		t.Fatal(err)
	}
	if err := unlock(); err != nil {
		t.Error(err)
	}
}

// countUp adds twenty claims, each under the lock, as many a time as it takes.
func countUp(dir, name string) {
	s := openIn(dir)
	for n := 0; n < 20; {
		unlock, err := s.Lock(context.Background(), state.LockInfo{Operation: name})
		var locked *state.LockedError
		if errors.As(err, &locked) {
			time.Sleep(rand.N(2 * time.Millisecond))
			continue
		}
		must(err)
		w, err := s.Snapshot(context.Background())
		must(err)
		// The next address that is free: two processes at once would take the same one.
		c := state.Claim{Network: "network.front", IP: netip.AddrFrom4([4]byte{10, 0, 0, byte(len(w))}), Mark: owner(state.Address("endpoint." + name))}
		must(s.Apply(context.Background(), wave(state.Create, c), func(int, error) {}))
		must(unlock())
		n++
	}
}

func TestProcessesTakeTurns(t *testing.T) {
	dir := t.TempDir()
	var cmds []*exec.Cmd
	for _, name := range []string{"a", "b", "c"} {
		cmd, _ := child(t, "count", dir, name)
		cmds = append(cmds, cmd)
	}
	for _, cmd := range cmds {
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
	w, err := storeIn(t, dir).Snapshot(t.Context())
	if err != nil || len(w) != 60 {
		t.Errorf("%d claims of 60, %v", len(w), err)
	}
}

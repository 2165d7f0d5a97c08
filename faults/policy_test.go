package faults

import (
	"fmt"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/cnmctl/cnmctl/e2e/apart"
	"golang.org/x/sys/unix"
)

// guarded is a network on which policies come, change in elements of their sets only, change
// in their rules, too, and go.
const guarded = `
network "lab" {
  subnet { cidr = "10.214.0.0/24" }
}
sandbox "box" { for_each = toset(["app", "db", "stray"]) }
endpoint "box" {
  for_each = sandbox.box
  network  = network.lab
  sandbox  = each.value
  ipv4     = { app = "10.214.0.2", db = "10.214.0.3", stray = "10.214.0.4" }[each.key]
}
`

var guards = []string{
	``,
	`policy "db" {
  allow {
    from     = [endpoint.box["app"]]
    to       = [endpoint.box["db"]]
    protocol = "udp"
    ports    = [7000]
  }
}`,
	`policy "db" {
  allow {
    from     = [endpoint.box["app"]]
    to       = [endpoint.box["db"]]
    protocol = "udp"
    ports    = [7000, 7002]
  }
}`,
	`policy "db" {
  allow {
    from     = [endpoint.box["app"]]
    to       = [endpoint.box["db"]]
    protocol = "udp"
    ports    = [7000, 7002]
  }
  deny {
    from = [endpoint.box["stray"]]
    to   = [endpoint.box["db"], "192.0.2.0/24"]
  }
}`,
}

// TestPolicies: whichever operation fails, the policies are as before; wherever a run dies,
// the next one ends it; and what both the old ones and the new ones forbid does not get
// through for a moment.
func TestPolicies(t *testing.T) {
	t.Parallel()
	apart.Test(t, func(t *testing.T) {
		dirs := make([]string, len(guards))
		for i, policies := range guards {
			dirs[i] = folder(t, guarded+policies)
		}
		must(t, 0, "-chdir="+dirs[0], "apply", "-auto-approve")
		goThrough(t, []stage{
			change("come", dirs[0], dirs[1]), change("elements", dirs[1], dirs[2]),
			change("rules", dirs[2], dirs[3]), change("go", dirs[3], dirs[0]),
		}, func(t *testing.T, s stage) {
			shut := s.name == "elements" || s.name == "rules"
			quiet := stray(t, shut)
			for _, late := range []bool{false, true} {
				t.Run(fmt.Sprintf("error, late %t", late), func(t *testing.T) { failing(late)(t, s) })
				t.Run(fmt.Sprintf("death, late %t", late), func(t *testing.T) { dying(late)(t, s) })
			}
			quiet()
		})
	})
}

// change is the stage between two configurations.
func change(name, from, to string) stage {
	return stage{
		name: name,
		run:  []string{"-chdir=" + to, "apply", "-auto-approve"},
		plan: []string{"-chdir=" + to, "plan", "-detailed-exitcode"},
		back: []string{"-chdir=" + from, "apply", "-auto-approve"},
	}
}

// stray has the sandbox that nothing allows to reach the other try to, all the time, and one
// that is allowed to. The result wants none of the first, if it is shut out, and some of the
// second to have been heard.
func stray(t *testing.T, shut bool) (quiet func()) {
	t.Helper()
	var server net.PacketConn
	clients := map[string]net.Conn{}
	inSandbox(t, "db", func() (err error) {
		server, err = net.ListenPacket("udp4", "10.214.0.3:7000")
		return err
	})
	for _, name := range []string{"app", "stray"} {
		inSandbox(t, name, func() (err error) {
			clients[name], err = net.Dial("udp4", "10.214.0.3:7000")
			return err
		})
	}
	heard := map[string]int{}
	var all sync.WaitGroup
	all.Go(func() {
		for in := make([]byte, 16); ; {
			n, _, err := server.ReadFrom(in)
			if err != nil {
				return
			}
			heard[string(in[:n])]++
		}
	})
	stop := make(chan struct{})
	for name, c := range clients {
		all.Go(func() {
			for tick := time.Tick(time.Millisecond); ; <-tick {
				_, _ = c.Write([]byte(name)) // EPERM, ECONNREFUSED: it did not get there
				select {
				case <-stop:
					c.Close()
					return
				default:
				}
			}
		})
	}
	return func() {
		t.Helper()
		close(stop)
		time.Sleep(10 * time.Millisecond) // what is under way gets there
		server.Close()
		all.Wait()
		if heard["app"] == 0 || shut && heard["stray"] > 0 {
			t.Errorf("heard: %v", heard)
		}
	}
}

// inSandbox runs fn on a thread in a sandbox. A socket stays where it was made.
func inSandbox(t *testing.T, name string, fn func() error) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		fd, err := unix.Open("/run/netns/"+stack+"-box-"+name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			err = unix.Setns(fd, unix.CLONE_NEWNET)
			unix.Close(fd)
		}
		if err == nil {
			err = fn()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatalf("in sandbox %s: %v", name, err)
	}
}

package e2e

import (
	"fmt"
	"net"
	"runtime"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// The machine itself, where a verb wants a namespace.
const machineItself = "host"

// in calls fn on a thread that is in the namespace: sockets stay where they were made. That
// of a host is called HOST/NAMESPACE.
func in(ts *testscript.TestScript, ns string, fn func() error) error {
	if ns == machineItself {
		return fn()
	}
	path := "/run/netns/" + ns
	if host, name, ok := strings.Cut(ns, "/"); ok {
		path = fmt.Sprintf("/proc/%d/root/run/netns/%s", remembered(ts).hosts[host].PID(), name)
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		ts.Fatalf("there is no namespace %s: %v", ns, err)
	}
	defer unix.Close(fd)
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		err := unix.Setns(fd, unix.CLONE_NEWNET)
		if err == nil {
			err = fn()
		}
		done <- err
	}()
	return <-done
}

// serve answers each line, or datagram, with the server's name and whom it hears.
func serve(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 4, "serve NS PROTO ADDR:PORT NAME")
	var stop interface{ Close() error }
	ts.Check(in(ts, args[0], func() error {
		if args[1] == "udp" {
			conn, err := net.ListenPacket("udp", args[2])
			if err == nil {
				stop = conn
				go answerPackets(conn, args[3])
			}
			return err
		}
		l, err := listenStream(args[1], args[2])
		if err == nil {
			stop = l
			go answerConnections(l, args[3])
		}
		return err
	}))
	ts.Defer(func() { _ = stop.Close() })
}

func listenStream(proto, address string) (net.Listener, error) {
	if proto == "sctp" {
		return listenSCTP(address)
	}
	return net.Listen(proto, address)
}

func answerPackets(conn net.PacketConn, name string) {
	b := make([]byte, 2048)
	for {
		_, from, err := conn.ReadFrom(b)
		if err != nil {
			return
		}
		_, _ = conn.WriteTo([]byte(answer(name, from)), from)
	}
}

func answerConnections(l net.Listener, name string) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			b := make([]byte, 2048)
			for {
				if _, err := conn.Read(b); err != nil {
					return
				}
				if _, err := conn.Write([]byte(answer(name, conn.RemoteAddr()))); err != nil {
					return
				}
			}
		}()
	}
}

func answer(name string, from net.Addr) string {
	host, _, _ := net.SplitHostPort(from.String())
	return name + " hears " + host + "\n"
}

// converse says something and waits for an answer.
func converse(conn net.Conn, patience time.Duration) (string, error) {
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	if _, err := conn.Write([]byte("hello\n")); err != nil {
		return "", err
	}
	b := make([]byte, 2048)
	n, err := conn.Read(b)
	return string(b[:n]), err
}

func dial(ts *testscript.TestScript, ns, proto, to string, patience time.Duration) (conn net.Conn, err error) {
	err = in(ts, ns, func() (err error) {
		if proto == "sctp" {
			conn, err = dialSCTP(to, patience)
		} else {
			conn, err = net.DialTimeout(proto, to, patience)
		}
		return err
	})
	return conn, err
}

func ask(ts *testscript.TestScript, ns, proto, to string, patience time.Duration) (string, error) {
	conn, err := dial(ts, ns, proto, to, patience)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	return converse(conn, patience)
}

func gets(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 4, "gets NS PROTO ADDR:PORT TEXT")
	deadline := time.Now().Add(time.Minute)
	for {
		heard, err := ask(ts, args[0], args[1], args[2], 2*time.Second)
		if err == nil && strings.Contains(heard, args[3]) {
			return
		}
		if err == nil || time.Now().After(deadline) {
			ts.Fatalf("from %s, %s %s: heard %q (%v), want %q", args[0], args[1], args[2], heard, err, args[3])
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func unanswered(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) >= 3, "unanswered NS PROTO ADDR:PORT...")
	for _, to := range args[2:] {
		if heard, err := ask(ts, args[0], args[1], to, 500*time.Millisecond); err == nil {
			ts.Fatalf("from %s, %s %s is answered: %q", args[0], args[1], to, heard)
		}
	}
}

func connect(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 4, "connect NS PROTO ADDR:PORT NAME")
	conn, err := dial(ts, args[0], args[1], args[2], time.Minute)
	ts.Check(err)
	ts.Defer(func() { _ = conn.Close() })
	remembered(ts).talks[args[3]] = conn
	if _, err := converse(conn, time.Minute); err != nil {
		ts.Fatalf("%s: %v", args[3], err)
	}
}

func goesOn(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 1 && remembered(ts).talks[args[0]] != nil, "goes-on NAME, after connect")
	if _, err := converse(remembered(ts).talks[args[0]], time.Minute); err != nil {
		ts.Fatalf("%s does not go on: %v", args[0], err)
	}
}

func isCut(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 1 && remembered(ts).talks[args[0]] != nil, "is-cut NAME, after connect")
	if heard, err := converse(remembered(ts).talks[args[0]], 700*time.Millisecond); err == nil {
		ts.Fatalf("%s goes on: %q", args[0], heard)
	}
}

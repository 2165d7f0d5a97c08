package registry_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// transfer sends bytes over TCP between two namespaces, both ways at once.
func (c *cluster) transfer(from, to, address string, size int64) {
	c.t.Helper()
	deadline := time.Now().Add(5 * time.Minute)
	var l net.Listener
	inNamespace(c.t, to, func() (err error) {
		l, err = net.Listen("tcp", net.JoinHostPort(address, "7000"))
		return err
	})
	defer l.Close()
	served := make(chan error, 1)
	go func() {
		conn, err := l.Accept()
		if err == nil {
			err = exchange(conn, size, deadline)
		}
		served <- err
	}()
	start := time.Now()
	var conn net.Conn
	inNamespace(c.t, from, func() (err error) {
		conn, err = net.DialTimeout("tcp", l.Addr().String(), time.Minute)
		return err
	})
	for _, err := range []error{exchange(conn, size, deadline), <-served} {
		if err != nil {
			c.t.Errorf("sending %d bytes to %s: %v", size, address, err)
		}
	}
	c.t.Logf("%s: %.2f Gbit/s", address, float64(2*8*size)/time.Since(start).Seconds()/1e9)
}

// exchange sends size bytes, and expects as many.
func exchange(conn net.Conn, size int64, deadline time.Time) error {
	defer conn.Close()
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	sent := make(chan error, 1)
	go func() {
		_, err := io.CopyN(conn, zeros{}, size)
		sent <- err
	}()
	if n, err := io.CopyN(io.Discard, conn, size); err != nil {
		return fmt.Errorf("after %d bytes: %w", n, err)
	}
	return <-sent
}

// zeros is an endless source.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

// sniff is what tcpdump sees on a link of the test's machine, up-a or another one to a host,
// while do runs. It is through when it has seen a frame that the host sends after all others.
func (c *cluster) sniff(link, filter string, do func()) []string {
	c.t.Helper()
	dir := c.t.TempDir()
	c.Sh(fmt.Sprintf(`cd %s; tcpdump -i %s -nn -l -e --immediate-mode '(%s) or ether proto %d' >seen 2>said & echo $! >pid
until grep -q 'listening on' said; do sleep 0.02; done`, dir, link, filter, lastFrame))
	do()
	host := strings.TrimPrefix(link, "up-")
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		inNamespace(c.t, c.path(host, ""), sendLast)
		seen := c.Sh("cat " + dir + "/seen")
		if before, _, ok := strings.Cut(seen, fmt.Sprintf("ethertype Unknown (0x%x)", lastFrame)); ok {
			c.Sh("cd " + dir + "; kill -INT $(cat pid); while kill -0 $(cat pid) 2>/dev/null; do sleep 0.02; done")
			return strings.Split(strings.TrimSpace(before[:strings.LastIndexByte(before, '\n')+1]), "\n")
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("tcpdump does not see what is sent to it on %s:\n%s", link, seen)
		}
	}
}

// lastFrame is the type of a frame that means nothing (IEEE 802, local experimental).
const lastFrame = 0x88b5

// sendLast sends such a frame from eth0.
func sendLast() error {
	eth0, err := net.InterfaceByName("eth0")
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	to := &unix.SockaddrLinklayer{Protocol: lastFrame>>8 | lastFrame&0xff<<8, Ifindex: eth0.Index, Halen: 6, Addr: [8]byte{2, 0, 0, 0, 0, 1}}
	return unix.Sendto(fd, make([]byte, 46), 0, to)
}

// count is how many lines hold all the words.
func count(lines []string, words ...string) int {
	n := 0
	for _, line := range lines {
		all := true
		for _, w := range words {
			all = all && strings.Contains(line, w)
		}
		if all {
			n++
		}
	}
	return n
}

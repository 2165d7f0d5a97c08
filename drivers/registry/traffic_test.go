package registry_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// transfer sends bytes over TCP between two namespaces, both ways at once.
func (c *cluster) transfer(from, to, address string, size int64) {
	c.t.Helper()
	deadline := time.Now().Add(time.Minute)
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

// sniff is what tcpdump sees on a link of the test's machine while do runs.
func (c *cluster) sniff(link, filter string, do func()) []string {
	c.t.Helper()
	dir := c.t.TempDir()
	c.Sh(fmt.Sprintf(`cd %s; tcpdump -i %s -nn -l -e --immediate-mode '%s' >seen 2>said & echo $! >pid
until grep -q 'listening on' said; do sleep 0.02; done`, dir, link, filter))
	do()
	// What was sent is on its way to tcpdump.
	c.Sh("cd " + dir + "; sleep 0.2; kill -INT $(cat pid); while kill -0 $(cat pid) 2>/dev/null; do sleep 0.02; done")
	return strings.Split(strings.TrimSpace(c.Sh("cat "+dir+"/seen")), "\n")
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

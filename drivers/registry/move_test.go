package registry_test

import (
	"bufio"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// patience is how long an endpoint may be silent while it moves and one host after the
// other follows, beyond the time that all of that takes. It is some ten milliseconds, on a
// machine that has nothing else to do.
const patience = 10 * time.Second

// TestMoveIsQuick: an endpoint that moves is hardly missed on any host, whether its MAC is
// the same or not. The hosts have talked to it before.
func TestMoveIsQuick(t *testing.T) {
	c := newCluster(t)
	at := func(host, mac string) string {
		return threeHosts + demo + boxes("demo") + fmt.Sprintf(`
sandbox "m" {
  host = %q
}
endpoint "m" {
  network = network.demo
  sandbox = sandbox.m
  ipv4    = "192.168.0.100"
  mac     = %q
}
`, host, mac)
	}
	c.become(c.topology(at("a", "02:00:00:00:00:01")))
	for _, step := range []struct{ host, mac string }{{"b", "02:00:00:00:00:01"}, {"c", "02:00:00:00:00:02"}, {"a", "02:00:00:00:00:02"}} {
		dir := t.TempDir()
		for i, host := range hostNames {
			c.Sh(fmt.Sprintf("%sping -D -n -i 0.005 192.168.0.100 >%s/%s 2>/dev/null & echo $! >>%s/pids", c.in(host, fmt.Sprint("w", i)), dir, host, dir))
		}
		start := time.Now()
		c.answers(dir, 20)
		topology := c.topology(at(step.host, step.mac))
		for _, host := range append([]string{step.host}, hostNames...) { // the new one first
			c.converge(host, topology)
		}
		c.answers(dir, 20)
		took := time.Since(start)
		c.Sh("kill -INT $(cat " + dir + "/pids)")
		for _, host := range hostNames {
			silence := longestSilence(t, dir+"/"+host)
			t.Logf("to %s, %s: host %s misses it for %s of %s", step.host, step.mac, host, silence.Round(time.Millisecond), took.Round(time.Millisecond))
			if silence > patience && silence > took/2 {
				t.Errorf("moved to %s with MAC %s, it does not answer host %s for %s of %s", step.host, step.mac, host, silence, took)
			}
		}
	}
	c.clear()
}

// answers waits until every host's file of pings in the directory has so many more answers.
func (c *cluster) answers(dir string, more int) {
	c.t.Helper()
	for _, host := range hostNames {
		had := -1
		for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
			text, err := os.ReadFile(dir + "/" + host)
			now := strings.Count(string(text), " bytes from ")
			if err == nil && had < 0 {
				had = now
			}
			if err == nil && now >= had+more {
				break
			}
			if time.Now().After(end) {
				c.t.Fatalf("it does not answer host %s: %v", host, err)
			}
		}
	}
}

// longestSilence is that between two answers in what ping -D wrote.
func longestSilence(t *testing.T, file string) time.Duration {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	answer := regexp.MustCompile(`^\[(\d+\.\d+)\] \d+ bytes from`)
	var last, longest float64
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if m := answer.FindStringSubmatch(lines.Text()); m != nil {
			at, err := strconv.ParseFloat(m[1], 64)
			if err != nil {
				t.Fatal(err)
			}
			if last > 0 {
				longest = max(longest, at-last)
			}
			last = at
		}
	}
	return time.Duration(longest * float64(time.Second))
}

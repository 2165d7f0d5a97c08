package registry_test

import (
	"bufio"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"testing"
	"time"
)

// patience is how long an endpoint may be silent while it moves and one host after the
// other follows. It is some ten milliseconds, on a machine that has nothing else to do.
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
		time.Sleep(200 * time.Millisecond)
		topology := c.topology(at(step.host, step.mac))
		for _, host := range append([]string{step.host}, hostNames...) { // the new one first
			c.converge(host, topology)
		}
		time.Sleep(200 * time.Millisecond)
		c.Sh("kill -INT $(cat " + dir + "/pids); sleep 0.1")
		for _, host := range hostNames {
			silence := longestSilence(t, dir+"/"+host)
			t.Logf("to %s, %s: host %s misses it for %s", step.host, step.mac, host, silence.Round(time.Millisecond))
			if silence > patience {
				t.Errorf("moved to %s with MAC %s, it does not answer host %s for %s", step.host, step.mac, host, silence)
			}
		}
	}
	c.clear()
}

// longestSilence is that between two answers in what ping -D wrote, or until its end.
func longestSilence(t *testing.T, file string) time.Duration {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	answer := regexp.MustCompile(`^\[(\d+\.\d+)\] \d+ bytes from`)
	var last, longest float64
	heard := func(at float64) {
		if last > 0 {
			longest = max(longest, at-last)
		}
		last = at
	}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if m := answer.FindStringSubmatch(lines.Text()); m != nil {
			at, err := strconv.ParseFloat(m[1], 64)
			if err != nil {
				t.Fatal(err)
			}
			heard(at)
		}
	}
	if last == 0 {
		t.Fatalf("%s: it never answered", file)
	}
	heard(float64(time.Now().UnixMicro())/1e6 - 0.2) // ping has been gone for as long
	return time.Duration(longest * float64(time.Second))
}

package main

import (
	"bufio"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"strconv"
	"time"
)

// small is a network with a sandbox on each host, w0 and so on.
const small = `
network "demo" {
  driver   = "overlay"
  internal = true
  subnet { cidr = "192.168.0.0/16" }
}

sandbox "w" {
  for_each = toset(["0", "1", "2"])
  name     = "w${each.key}"
  host     = "h${each.key}"
}

endpoint "w" {
  for_each = sandbox.w
  name     = "w${each.key}"
  network  = network.demo
  sandbox  = each.value
}
`

// guest is one more endpoint, in a sandbox of its own. Its answers can be told from those
// of the same endpoint in another place by their time to live.
func guest(name string, host int, ip, mac string, ttl int) string {
	return fmt.Sprintf(`
sandbox %[1]q {
  host    = "h%[2]d"
  sysctls = { "net.ipv4.ip_default_ttl" = "%[5]d" }
}

endpoint %[1]q {
  network = network.demo
  sandbox = sandbox.%[1]s
  ipv4    = %[3]q
  mac     = %[4]q
}
`, name, host, ip, mac, ttl)
}

func measureQuick(binary, logs string, rounds int) (err error) {
	l, err := newLab(binary, logs, 3)
	if err != nil {
		return err
	}
	defer func() { err = firstOf(err, l.close()) }()
	if _, _, err := l.apply(0, l.config(small), "-wait"); err != nil {
		return err
	}
	if err := l.measureNew(rounds); err != nil {
		return err
	}
	return l.measureMoves(logs, rounds)
}

func firstOf(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// measureNew has new endpoints appear on host 0 and pings them from host 1, which begins
// when apply has returned.
func (l *lab) measureNew(rounds int) error {
	var took, applied []time.Duration
	more := ""
	for i := range rounds {
		ip := fmt.Sprintf("192.168.9.%d", i+1)
		more += guest(fmt.Sprintf("n%d", i), 0, ip, fmt.Sprintf("02:00:00:00:09:%02x", i+1), 64)
		begun, ended, err := l.apply(0, l.config(small+more))
		if err != nil {
			return err
		}
		applied = append(applied, ended.Sub(begun))
		p, err := l.ping(1, ip)
		if err != nil {
			return err
		}
		at, err := p.first()
		p.end()
		if err != nil {
			return err
		}
		took = append(took, at.Sub(ended))
	}
	report("apply of a new endpoint", applied)
	report("from its return to the first ping from another host, with agents", took)
	return nil
}

// measureMoves moves an endpoint from host to host and listens to it from all three.
func (l *lab) measureMoves(logs string, rounds int) error {
	const ip = "192.168.8.1"
	kinds := []string{"the same MAC", "a new MAC"}
	old, third := map[string][]time.Duration{}, map[string][]time.Duration{}
	mac := 1
	config := func(host, ttl int) string {
		return l.config(small + guest("m", host, ip, fmt.Sprintf("02:00:00:00:08:%02x", mac), ttl))
	}
	const firstTTL = 65
	if _, _, err := l.apply(0, config(0, firstTTL), "-wait"); err != nil {
		return err
	}
	at := 0
	for i := range rounds {
		kind := kinds[i%2]
		mac += i % 2
		to := (at + 1) % 3
		pings := make([]*pinger, 3)
		for h := range pings {
			var err error
			if pings[h], err = l.ping(h, ip); err != nil {
				return err
			}
			if _, err := pings[h].first(); err != nil {
				return err
			}
		}
		ttl := firstTTL + 1 + i%100
		_, applied, err := l.apply(to, config(to, ttl))
		if err != nil {
			return err
		}
		var back [3]time.Time
		for h := range pings {
			var err error
			if back[h], err = pings[h].back(ttl); err != nil {
				return fmt.Errorf("the endpoint that moved to h%d, from h%d: %w", to, h, err)
			}
		}
		if logs != "" {
			const clock = "15:04:05.000"
			fmt.Printf("%s: apply on h%d ended %s; answers again on h%d %s, h%d %s, h%d %s\n", kind, to, applied.Format(clock),
				to, back[to].Format(clock), at, back[at].Format(clock), 3-at-to, back[3-at-to].Format(clock))
		}
		old[kind] = append(old[kind], back[at].Sub(back[to]))
		third[kind] = append(third[kind], back[3-at-to].Sub(back[to]))
		at = to
	}
	for _, kind := range kinds {
		report("moved with "+kind+": old host after the new one", old[kind])
		report("moved with "+kind+": third host after the new one", third[kind])
	}
	return nil
}

// pinger is a ping that runs, and when it was answered.
type pinger struct {
	cmd     *exec.Cmd
	answers *bufio.Scanner
}

func (l *lab) ping(host int, ip string) (*pinger, error) {
	cmd := l.run(host, "ip", "netns", "exec", fmt.Sprintf("lab-w%d", host), "ping", "-n", "-D", "-i", "0.002", ip)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = io.Discard
	return &pinger{cmd: cmd, answers: bufio.NewScanner(out)}, cmd.Start()
}

var answer = regexp.MustCompile(`^\[(\d+\.\d+)\] \d+ bytes from .* ttl=(\d+)`)

// next is when the next answer came, and its time to live.
func (p *pinger) next() (at time.Time, ttl int, err error) {
	for p.answers.Scan() {
		m := answer.FindStringSubmatch(p.answers.Text())
		if m == nil {
			continue
		}
		seconds, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			return at, 0, err
		}
		ttl, err := strconv.Atoi(m[2])
		return time.UnixMicro(int64(seconds * 1e6)), ttl, err
	}
	return at, 0, io.ErrUnexpectedEOF
}

// first is the first answer's time. It is waited for; then the ping goes on.
func (p *pinger) first() (time.Time, error) {
	return p.until(func(int) bool { return true })
}

// back is when the first answer with the time to live came, and ends the ping.
func (p *pinger) back(ttl int) (time.Time, error) {
	defer p.end()
	return p.until(func(now int) bool { return now == ttl })
}

func (p *pinger) until(is func(ttl int) bool) (time.Time, error) {
	late := time.AfterFunc(deadline, func() { _ = p.cmd.Process.Kill() })
	defer late.Stop()
	for {
		at, ttl, err := p.next()
		if err != nil || is(ttl) {
			return at, err
		}
	}
}

func (p *pinger) end() {
	_ = p.cmd.Process.Kill() // it runs until then
	_ = p.cmd.Wait()         // how it ended does not matter
}

// measureBig has a thousand endpoints appear on ten hosts at once.
func measureBig(binary, logs string, hosts, endpoints int) (err error) {
	if endpoints == 0 {
		return nil
	}
	l, err := newLab(binary, logs, hosts)
	if err != nil {
		return err
	}
	defer func() { err = firstOf(err, l.close()) }()
	begun, ended, err := l.apply(0, l.config(fmt.Sprintf(`
network "big" {
  driver   = "overlay"
  internal = true
  subnet { cidr = "10.0.0.0/12" }
}

sandbox "box" {
  for_each = { for i in range(%d) : tostring(i) => i }
  host     = "h${each.value %% %d}"
}

endpoint "box" {
  for_each = sandbox.box
  network  = network.big
  sandbox  = each.value
}
`, endpoints, hosts)), "-wait")
	if err != nil {
		return err
	}
	report(fmt.Sprintf("%d endpoints on %d hosts, from apply to all converged", endpoints, hosts), []time.Duration{ended.Sub(begun)})
	return nil
}

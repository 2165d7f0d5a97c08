package registry_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cnmctl/cnmctl/drivers"
	"github.com/cnmctl/cnmctl/drivers/drivertest"
	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
	"github.com/cnmctl/cnmctl/state/kernel/kerneltest"
	"golang.org/x/sys/unix"
)

// secretNetwork has an endpoint on host a and one on host b.
func secretNetwork(vteps string) string {
	text := `
network "demo" {
  driver   = "overlay"
  internal = true
  subnet { cidr = "192.168.0.0/24" }
  overlay { encrypted = true }
}
`
	for i, host := range []string{"a", "b"} {
		text += fmt.Sprintf("host %q {\n  vtep = \"%s%d\"\n}\nsandbox \"w%[4]d\" {\n  host = %[1]q\n}\n"+
			"endpoint \"w%[4]d\" {\n  network = network.demo\n  sandbox = sandbox.w%[4]d\n}\n", host, vteps, 10+i, i)
	}
	return text
}

// TestEncrypted: what hosts send each other is encrypted, and nothing of the network is sent
// or taken in clear, whatever is missing.
func TestEncrypted(t *testing.T) {
	for name, vteps := range map[string]string{"IPv4": "10.99.0.", "IPv6": "2001:db8::"} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t)
			kerneltest.Elsewhere(t, c.hosts["a"].k.Probe(context.Background(), []state.Feature{state.FeatureESP, state.FeatureESP6}))
			topology := c.topology(secretNetwork(vteps))
			c.become(topology)
			c.checkWire(map[string]string{"IPv4": "1416", "IPv6": "1396"}[name])
			if name == "IPv4" {
				c.checkClosed(topology)
				c.checkRotation(topology)
				c.checkComesAndGoes(topology)
			} else {
				c.checkFragments(topology)
			}
			c.clear()
		})
	}
}

// either is a filter for all that the network's packets could be.
const either = "esp or udp port 4789 or ip[6:2] & 0x3fff != 0 or ip6 proto 50 or ip6 proto 44 or ip6 proto 17"

// checkWire looks that packets of the greatest size pass in one piece, and only encrypted.
func (c *cluster) checkWire(mtu string) {
	c.t.Helper()
	n, _ := strconv.Atoi(mtu)
	if got := c.Sh(c.in("a", "w0") + "ip link show eth0"); !strings.Contains(got, "mtu "+mtu) {
		c.t.Errorf("the MTU is not %s: %s", mtu, got)
	}
	lines := c.sniff("up-a", either, func() {
		c.Sh(c.in("a", "w0") + fmt.Sprintf("ping -n -c 3 -i 0.2 -M do -s %d 192.168.0.3", n-28))
	})
	if count(lines, "ESP") != 6 || len(lines) != 6 {
		c.t.Errorf("on the wire:\n%s", strings.Join(lines, "\n"))
	}
	c.transfer(c.path("a", "w0"), c.path("b", "w1"), "192.168.0.3", 1<<18)
}

// checkClosed takes each part of the encryption away on host a: then nothing is sent. And
// what is sent in clear by a host without rules is not taken.
func (c *cluster) checkClosed(topology *spec.Topology) {
	c.t.Helper()
	for _, command := range []string{"ip xfrm policy flush", "ip xfrm state flush"} {
		c.Sh(c.in("a", "") + command)
		lines := c.sniff("up-a", either, func() { c.pings("!a w0 192.168.0.3") })
		if strings.Join(lines, "") != "" {
			c.t.Errorf("after %s:\n%s", command, strings.Join(lines, "\n"))
		}
		c.converge("a", topology)
		c.pings("a w0 192.168.0.3")
	}
	c.Sh(c.in("b", "") + "nft delete table inet cnm_shop")
	lines := c.sniff("up-b", either, func() { c.pings("!b w1 192.168.0.2") })
	if count(lines, "VXLAN", "vni 256") == 0 {
		c.t.Errorf("host b was to send in clear:\n%s", strings.Join(lines, "\n"))
	}
	c.converge("b", topology)
	c.pings("b w1 192.168.0.2", "a w0 192.168.0.3")
}

// checkRotation goes through a rotation, host by host, and loses no ping.
func (c *cluster) checkRotation(topology *spec.Topology) {
	c.t.Helper()
	stop := []func(){c.keepPinging("a", "w0", "192.168.0.3"), c.keepPinging("b", "w1", "192.168.0.2")}
	ring := state.NewKeyring(drivertest.Stack)
	records := drivers.RecordsOf(topology)
	for range 3 {
		ring, _ = ring.Rotated()
		records.Answers = state.World{state.KeyringKey(): ring}
		for _, host := range hostNames {
			c.convergeTo(host, records)
			time.Sleep(100 * time.Millisecond) // some pings between two hosts' steps
		}
	}
	for _, end := range stop {
		end()
	}
	states := c.Sh(c.in("a", "") + "ip xfrm state")
	if strings.Count(states, "proto esp spi") != 2 || !strings.Contains(states, fmt.Sprintf("%#08x", state.SPI(drivertest.Stack,
		netip.MustParseAddr("10.99.0.10"), netip.MustParseAddr("10.99.0.11"), 2))) {
		c.t.Errorf("after the rotation:\n%s", states)
	}
}

// checkComesAndGoes has the network go while another one comes whose rules are waited for, and
// come again, with packets on the way all the time: none of them is ever sent in clear.
func (c *cluster) checkComesAndGoes(topology *spec.Topology) {
	c.t.Helper()
	other := strings.NewReplacer("demo", "more", "192.168.0.", "192.168.1.", "{ encrypted = true }", "{\n    encrypted = true\n    vnis = [300]\n  }")
	changed := c.topology(other.Replace(secretNetwork("10.99.0.")))
	c.become(topology)
	c.pings("a w0 192.168.0.3")
	lines := c.sniff("up-a", "udp port 4789", func() {
		flood := exec.Command("sh", "-c", "while :; do "+c.in("a", "w0")+"ping -q -n -f -w 1 192.168.0.3 >/dev/null 2>&1; done")
		flood.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		if err := flood.Start(); err != nil {
			c.t.Fatal(err)
		}
		for _, t := range []*spec.Topology{changed, topology, changed} {
			c.converge("a", t)
		}
		_ = syscall.Kill(-flood.Process.Pid, syscall.SIGKILL)
		_ = flood.Wait() // it was killed
	})
	if lines[0] != "" {
		c.t.Errorf("%d packets in clear, such as\n%s", len(lines), lines[0])
	}
}

// sequence is what an answer to a ping says of which it answers.
var sequence = regexp.MustCompile(`icmp_seq=(\d+) .*ttl=`)

// keepPinging pings until the function that it returns is called, which looks that none of
// the pings was lost, but for those that are still under way.
func (c *cluster) keepPinging(host, space, address string) func() {
	args := strings.Fields(c.in(host, space) + "ping -n -i 0.05 " + address)
	cmd := exec.Command(args[0], args[1:]...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	var seen atomic.Int32
	lost := make(chan string, 1)
	go func() {
		defer close(lost)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			m := sequence.FindStringSubmatch(lines.Text())
			if m != nil && m[1] != fmt.Sprint(seen.Add(1)) {
				lost <- lines.Text()
				return
			}
		}
	}()
	more := func(n int32) {
		c.t.Helper()
		for end, had := time.Now().Add(time.Minute), seen.Load(); seen.Load() < had+n; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				c.t.Errorf("pings from %s are no longer answered, after %d", host, had)
				return
			}
		}
	}
	more(1) // before anything changes
	return func() {
		more(4)
		_ = cmd.Process.Kill()
		if after, gap := <-lost; gap {
			c.t.Errorf("a ping from %s was lost before %q", host, after)
		}
		_ = cmd.Wait() // it was killed
	}
}

// checkFragments sends a frame in clear, in two fragments of which the first one ends before
// the VNI. IPv6 puts fragments together behind the rules, unless they ask for it before.
func (c *cluster) checkFragments(topology *spec.Topology) {
	c.t.Helper()
	received := func() string {
		return c.Sh(c.in("a", "demo.overlay") + "ip -s link show vxlan0 | grep -A 1 RX: | tail -n 1")
	}
	c.Sh(c.in("b", "") + "nft delete table inet cnm_shop")
	before := received()
	inNamespace(c.t, c.path("b", ""), func() error { return sendFragments("2001:db8::11", "2001:db8::10", 256) })
	time.Sleep(time.Second)
	if after := received(); after != before {
		c.t.Errorf("fragments in clear were taken: %s, before %s", after, before)
	}
	// Without rules they are: so it is they that keep them out.
	c.Sh(c.in("a", "") + "nft delete table inet cnm_shop")
	for begun := time.Now(); received() == before; time.Sleep(100 * time.Millisecond) {
		inNamespace(c.t, c.path("b", ""), func() error { return sendFragments("2001:db8::11", "2001:db8::10", 256) })
		if time.Since(begun) > time.Minute {
			c.t.Error("fragments do not arrive without rules either")
			break
		}
	}
	c.become(topology)
}

// sendFragments sends a frame in VXLAN in two fragments of IPv6.
func sendFragments(from, to string, vni uint32) error {
	src, dst := netip.MustParseAddr(from).As16(), netip.MustParseAddr(to).As16()
	frame := append([]byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0}, make([]byte, 46)...)
	vxlan := append(binary.BigEndian.AppendUint32([]byte{8, 0, 0, 0}, vni<<8), frame...)
	udp := binary.BigEndian.AppendUint16([]byte{0xc0, 0, 0x12, 0xb5}, uint16(8+len(vxlan)))
	udp = append(append(udp, 0, 0), vxlan...)
	binary.BigEndian.PutUint16(udp[6:], checksum(src[:], dst[:], udp))
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_RAW, unix.IPPROTO_RAW)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for _, part := range []struct {
		offset uint16
		data   []byte
		more   uint16
	}{{0, udp[:8], 1}, {8, udp[8:], 0}} {
		packet := binary.BigEndian.AppendUint16([]byte{0x60, 0, 0, 0}, uint16(8+len(part.data)))
		packet = append(append(append(packet, unix.IPPROTO_FRAGMENT, 64), src[:]...), dst[:]...)
		packet = binary.BigEndian.AppendUint16(append(packet, unix.IPPROTO_UDP, 0), part.offset|part.more)
		packet = append(append(packet, 1, 2, 3, 4), part.data...)
		if err := unix.Sendto(fd, packet, 0, &unix.SockaddrInet6{Addr: dst}); err != nil {
			return err
		}
	}
	return nil
}

// checksum is that of UDP over IPv6 (RFC 8200, section 8.1).
func checksum(src, dst, udp []byte) uint16 {
	sum := uint32(unix.IPPROTO_UDP + len(udp))
	for _, part := range [][]byte{src, dst, udp} {
		for i := 0; i+1 < len(part); i += 2 {
			sum += uint32(binary.BigEndian.Uint16(part[i:]))
		}
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

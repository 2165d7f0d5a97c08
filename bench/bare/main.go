// Command bare does what cnmctl does for the benchmark's workload, with the smallest
// number of messages that we know of and nothing else: no configuration, no plan, no
// marks, no look at what is there, no verification. It is the yardstick.
//
//	bare create N
//	bare destroy N
//
// It works on the namespaces it is started in, so start it in throwaway ones.
package main

import (
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"strconv"
)

const (
	bridge   = "bare0"
	group    = 77
	netnsDir = "/run/netns"
	filesDir = "/etc/netns"
	// bridgeIndex is the interface index that the bridge asks for, so that nobody has to
	// look for it.
	bridgeIndex = 1000000
)

var (
	gateway4 = netip.MustParsePrefix("10.64.0.1/16")
	gateway6 = netip.MustParsePrefix("fd64::1/64")
)

// sandbox is what there is to know of the i-th of them.
type sandbox struct {
	name, port string
	mac        [6]byte
	ip4, ip6   netip.Prefix
	fd         int // the namespace while it is made
}

func sandboxes(n int) []sandbox {
	list := make([]sandbox, n)
	for i := range list {
		k := i + 2
		four := gateway4.Addr().As4()
		four[2], four[3] = byte(k>>8), byte(k)
		six := gateway6.Addr().As16()
		six[14], six[15] = byte(k>>8), byte(k)
		list[i] = sandbox{
			name: "bare-" + strconv.Itoa(i), port: "bare-p" + strconv.Itoa(i),
			mac: [6]byte{0x02, 0x42, four[0], four[1], four[2], four[3]},
			ip4: netip.PrefixFrom(netip.AddrFrom4(four), gateway4.Bits()),
			ip6: netip.PrefixFrom(netip.AddrFrom16(six), gateway6.Bits()),
		}
	}
	return list
}

func main() {
	// setns and unshare are per thread: all of this is one thread's work.
	runtime.LockOSThread()
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bare:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 2 {
		if n, err := strconv.Atoi(args[1]); err == nil && n > 0 {
			switch args[0] {
			case "create":
				return create(sandboxes(n))
			case "destroy":
				return destroy(sandboxes(n))
			}
		}
	}
	return fmt.Errorf("usage: bare create|destroy N")
}

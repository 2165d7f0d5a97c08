package kernel

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
)

// nameservers reads the host's resolv.conf, which lies beside the directory of files; what
// cannot be read holds none.
func (k *Kernel) nameservers() []netip.Addr {
	text, err := os.ReadFile(filepath.Join(filepath.Dir(k.etcDir), "resolv.conf"))
	if err != nil {
		return nil
	}
	return parseNameservers(string(text))
}

// parseNameservers finds the servers of a resolv.conf(5).
func parseNameservers(text string) (servers []netip.Addr) {
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != "nameserver" {
			continue
		}
		if a, err := netip.ParseAddr(words[1]); err == nil {
			servers = append(servers, a)
		}
	}
	return servers
}

package kernel

import (
	"context"

	"github.com/cnmctl/cnmctl/state"
	"golang.org/x/sys/unix"
)

// rtextSkipStats leaves counters out of an answer (RTEXT_FILTER_SKIP_STATS of
// linux/rtnetlink.h).
const rtextSkipStats = 8

// settleCarriers makes the kernel act on the carrier that bridges got with their first
// port. A bridge sends nothing before that, and left alone the kernel comes to it after
// the ports, two hundred a second (net/core/link_watch.c): with a thousand of them the host
// was mute for six seconds. To be asked for one link, rather than for all, makes it act on
// that link at once.
func (c *conn) settleCarriers(ctx context.Context, bridges []string) error {
	for _, name := range bridges {
		b := &batch{}
		b.request(unix.RTM_GETLINK, 0, make([]byte, unix.SizeofIfInfomsg))
		b.text(unix.IFLA_IFNAME, name)
		b.u32(unix.IFLA_EXT_MASK, rtextSkipStats)
		b.end()
		if err := c.one(ctx, b); err != nil {
			return err
		}
	}
	return nil
}

// mastersOf lists the bridges that new links are ports of, once each, in order.
func mastersOf(made []*making) (bridges []string) {
	seen := map[string]bool{}
	for _, m := range made {
		if name := m.link.Master; name != "" && !seen[name] && m.link.Type == state.Veth {
			seen[name] = true
			bridges = append(bridges, name)
		}
	}
	return bridges
}

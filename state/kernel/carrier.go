package kernel

import (
	"context"
	"fmt"

	"github.com/cnmctl/cnmctl/state"
	"golang.org/x/sys/unix"
)

// settleCarriers makes the kernel act on the carriers that came with the new links. A
// link that was up before its carrier came sends nothing until then, and left alone the
// kernel gets to it in its own time: two hundred links a second, bridges behind their ports
// (net/core/link_watch.c). With a thousand ports the host was mute for six seconds. To be
// asked for one link, rather than for all, makes it act on that link at once.
func (r *run) settleCarriers(n *nursery) error {
	for _, p := range n.places {
		open, err := r.at(p)
		if err != nil {
			return err
		}
		for _, name := range n.waitingFor(p) {
			if err := open.conn.askFor(noCancel, name); err != nil && !isAny(err, unix.ENODEV) {
				return fmt.Errorf("waiting for the carrier of %s in %s: %w", name, p, err)
			}
		}
	}
	return nil
}

// waitingFor lists what may have been up before its carrier came: the bridges that new
// links are ports of, once each, and the ends that are no ports. Ports come up last.
func (n *nursery) waitingFor(p state.Place) (names []string) {
	seen := map[string]bool{}
	for _, m := range n.well(p) {
		name := m.link.Master
		if name == "" && (m.link.Type == state.Veth || m.link.Stacked()) {
			name = m.link.Name
		}
		if name != "" && !seen[name] && !n.idle[state.End{Place: p, Name: name}] {
			seen[name] = true
			names = append(names, name)
		}
	}
	return names
}

// askFor asks for one link and leaves the answer unread but for its end.
func (c *conn) askFor(ctx context.Context, name string) error {
	b := &batch{}
	b.request(unix.RTM_GETLINK, 0, linkRequest())
	b.text(unix.IFLA_IFNAME, name)
	b.end()
	return c.one(ctx, b)
}

package kernel

import (
	"context"
	"fmt"
	"net"

	"github.com/cnmctl/cnmctl/state"
	"golang.org/x/sys/unix"
)

// Dialer connects from sandboxes.
type Dialer struct{ finder }

// NewDialer connects from sandboxes as the kernel would find them.
func NewDialer(cfg Config) Dialer { return Dialer{newFinder(cfg)} }

// Dial connects from a place to an address with a port. The connection stays in the place,
// wherever it is used: a socket belongs to the namespace that it was made in.
func (d Dialer) Dial(ctx context.Context, from state.Place, network, address string) (conn net.Conn, err error) {
	dialer := &net.Dialer{}
	name, inside := from.Netns()
	if !inside {
		return dialer.DialContext(ctx, network, address)
	}
	v, err := d.find(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("looking for namespace %s: %w", name, err)
	}
	if v.fd < 0 {
		return nil, fmt.Errorf("entering %s: %s", name, v.barred)
	}
	defer unix.Close(v.fd)
	err = excursion(func() error {
		if err := enter(v.fd); err != nil {
			return fmt.Errorf("entering %s: %w", name, err)
		}
		// For an address, not a name, this thread makes the socket.
		conn, err = dialer.DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

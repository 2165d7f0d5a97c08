package veth

import (
	"errors"
	"net"
	"os"
	"path/filepath"

	"github.com/docker/go-plugins-helpers/ipam"
	"github.com/docker/go-plugins-helpers/network"
)

// Serve answers as the network plugin "veth", whose networks are of the scope, and as the IPAM
// plugin "count", each at a socket in the directory where docker looks for plugins.
func Serve(dir, scope string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	driver, err := listen(filepath.Join(dir, "veth.sock"))
	if err != nil {
		return err
	}
	addresses, err := listen(filepath.Join(dir, "count.sock"))
	if err != nil {
		return errors.Join(err, driver.Close())
	}
	ended := make(chan error, 2)
	go func() { ended <- network.NewHandler(New(scope)).Serve(driver) }()
	go func() { ended <- ipam.NewHandler(NewIPAM()).Serve(addresses) }()
	return <-ended
}

// listen makes the socket, in place of one that a plugin has left which was killed.
func listen(path string) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	return net.Listen("unix", path)
}

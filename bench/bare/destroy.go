package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

// destroy unmounts the namespaces, which die in the background with all that is in them,
// deletes the bridge last, and waits until the last port is gone.
func destroy(boxes []sandbox) error {
	for _, s := range boxes {
		path := filepath.Join(netnsDir, s.name)
		if err := unix.Unmount(path, unix.MNT_DETACH); err != nil {
			return err
		}
		if err := os.Remove(path); err != nil {
			return err
		}
		dir := filepath.Join(filesDir, s.name)
		if err := errors.Join(os.Remove(filepath.Join(dir, "hosts")), os.Remove(dir)); err != nil {
			return err
		}
	}
	n, err := nftables.New()
	if err != nil {
		return err
	}
	n.DelTable(table)
	if err := n.Flush(); err != nil {
		return err
	}
	c, err := dial()
	if err != nil {
		return err
	}
	defer c.close()
	c.add(unix.RTM_DELLINK, 0, ifinfo(bridgeIndex, 0, 0), func(*attrs) {})
	if err := c.flush(); err != nil {
		return err
	}
	return gone()
}

// gone waits until no port is left.
func gone() error {
	for {
		links, err := os.ReadDir("/sys/class/net")
		if err != nil {
			return err
		}
		left := false
		for _, l := range links {
			left = left || strings.HasPrefix(l.Name(), "bare-p")
		}
		if !left {
			return nil
		}
		time.Sleep(2 * time.Millisecond)
	}
}

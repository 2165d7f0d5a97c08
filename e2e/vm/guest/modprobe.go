package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"github.com/cnmctl/cnmctl/e2e/vm/wire"
	"golang.org/x/sys/unix"
)

// load inserts the modules that answer to the name, which the kernel asks for when it
// lacks something: "rtnl-link-vlan", "sch_netem". For a name that nobody answers to the
// kernel gets the same answer that it would get on any machine.
func load(name string) error {
	table, err := os.Open(wire.ModulesFile)
	if err != nil {
		return err
	}
	defer table.Close()
	found := false
	for lines := bufio.NewScanner(table); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if ok, _ := path.Match(words[0], wire.ModuleName(name)); !ok {
			continue
		}
		found = true
		for _, file := range words[1:] {
			if err := insert(file); err != nil {
				return fmt.Errorf("loading %s for %s: %w", file, name, err)
			}
		}
	}
	if !found {
		os.Exit(1)
	}
	return nil
}

func insert(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	err = unix.FinitModule(int(f.Fd()), "", 0)
	if errors.Is(err, unix.EEXIST) {
		return nil
	}
	return err
}

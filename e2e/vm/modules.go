package vm

import (
	"debug/elf"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cnmctl/cnmctl/e2e/vm/wire"
)

// wanted are the parts of a kernel's module tree that the machine gets: all of the
// network that needs no hardware, and what encryption and /etc on a tmpfs take.
var wanted = []string{
	"net/*", "crypto/*", "arch/x86/crypto/*", "fs/overlayfs/*", "drivers/net/*.ko", "drivers/net/ipvlan/*",
	"drivers/net/vxlan/*", "drivers/net/wireguard/*", "drivers/net/bonding/*",
}

// moduleDir is where the machine has its modules.
const moduleDir = "/lib/modules"

// module is what a module file says of itself (its .modinfo section).
type module struct {
	name    string
	file    string // relative to the tree
	depends []string
	aliases []string
}

// modules is a kernel's tree of modules.
type modules map[string]*module

// readModules reads all modules below dir.
func readModules(dir string) (modules, error) {
	found := modules{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".ko" {
			return err
		}
		m, err := readModule(path)
		if err != nil {
			return fmt.Errorf("reading %s: %w", path, err)
		}
		m.file, err = filepath.Rel(dir, path)
		found[m.name] = m
		return err
	})
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("reading %s: it holds no modules", dir)
	}
	return found, err
}

func readModule(path string) (*module, error) {
	f, err := elf.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	section := f.Section(".modinfo")
	if section == nil {
		return nil, fmt.Errorf("it has no section .modinfo")
	}
	info, err := section.Data()
	if err != nil {
		return nil, err
	}
	m := &module{name: wire.ModuleName(strings.TrimSuffix(filepath.Base(path), ".ko"))}
	for field := range strings.SplitSeq(string(info), "\x00") {
		key, value, _ := strings.Cut(field, "=")
		switch key {
		case "depends":
			m.depends = strings.FieldsFunc(wire.ModuleName(value), func(r rune) bool { return r == ',' })
		case "alias":
			m.aliases = append(m.aliases, wire.ModuleName(value))
		}
	}
	return m, nil
}

// order lists the module's files with what it depends on before it.
func (all modules) order(name string) []string {
	m := all[name]
	if m == nil {
		return nil // built in
	}
	var files []string
	for _, dep := range m.depends {
		for _, file := range all.order(dep) {
			if !slices.Contains(files, file) {
				files = append(files, file)
			}
		}
	}
	return append(files, m.file)
}

// choose is the table for wire.ModulesFile and the files that it names, of the wanted
// part of the tree.
func (all modules) choose() (table string, files []string) {
	var lines []string
	for _, m := range all {
		if !matches(wanted, m.file) {
			continue
		}
		order := all.order(m.name)
		files = append(files, order...)
		paths := moduleDir + "/" + strings.Join(order, " "+moduleDir+"/")
		for _, alias := range append(m.aliases, m.name) {
			lines = append(lines, alias+" "+paths+"\n")
		}
	}
	slices.Sort(lines)
	slices.Sort(files)
	return strings.Join(lines, ""), slices.Compact(files)
}

// matches reports whether the path, or a folder that it is in, fits a pattern.
func matches(patterns []string, path string) bool {
	for dir := path; dir != "."; dir = filepath.Dir(dir) {
		for _, p := range patterns {
			if ok, _ := filepath.Match(p, dir); ok {
				return true
			}
		}
	}
	return false
}

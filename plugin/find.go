// Package plugin speaks libnetwork's plugin protocol (v1.2 of docker's plugin API) as a
// client: it finds plugins, and calls them over a unix socket, TCP or TLS. It knows what
// the calls are and nothing of what they are for.
package plugin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// Finder looks plugins up by name, where docker looks for them.
type Finder struct {
	// Sockets is the directory of unix sockets: <name>.sock or <name>/<name>.sock.
	Sockets string
	// Specs are the directories of <name>.spec (an address) and <name>.json (an address and
	// how to secure it), also in a folder of the plugin's name.
	Specs []string
}

// Docker finds plugins where docker does.
var Docker = Finder{Sockets: "/run/docker/plugins", Specs: []string{"/etc/docker/plugins", "/usr/lib/docker/plugins"}}

// Address is where a plugin answers.
type Address struct {
	Name string
	URL  *url.URL
	TLS  *TLS
	// File is where the address is from: a socket, or a specification.
	File string
}

// TLS is how to speak to a plugin over TLS, by the names of docker's specification files.
type TLS struct {
	InsecureSkipVerify        bool
	CAFile, CertFile, KeyFile string
}

// NotFoundError reports that there is no plugin of a name.
type NotFoundError struct {
	Name  string
	Where []string
}

func (e *NotFoundError) Error() string {
	return fmt.Sprintf("finding plugin %q: there is no %s; start it, or check its name", e.Name, strings.Join(e.Where, ", "))
}

// CheckName refuses names that could not be a file's.
func CheckName(name string) error {
	switch {
	case name == "":
		return errors.New("a plugin needs a name")
	case strings.HasPrefix(name, ".") || strings.ContainsAny(name, "/\\\x00"):
		return fmt.Errorf("%q cannot be the name of a plugin: its socket is called <name>.sock", name)
	}
	return nil
}

// Find looks a plugin up: its socket, then <name>.spec, then <name>.json.
func (f Finder) Find(name string) (Address, error) {
	if err := CheckName(name); err != nil {
		return Address{}, err
	}
	missing := &NotFoundError{Name: name}
	for _, path := range places([]string{f.Sockets}, name, ".sock") {
		info, err := os.Stat(path)
		if err == nil && info.Mode()&fs.ModeSocket != 0 {
			return Address{Name: name, URL: &url.URL{Scheme: "unix", Path: path}, File: path}, nil
		}
		missing.Where = append(missing.Where, path)
	}
	for _, kind := range []struct {
		ext  string
		read func(name string, text []byte) (Address, error)
	}{{".spec", readSpec}, {".json", readJSON}} {
		for _, path := range places(f.Specs, name, kind.ext) {
			text, err := os.ReadFile(path)
			if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNotDirectory) {
				missing.Where = append(missing.Where, path)
				continue
			}
			if err != nil {
				return Address{}, fmt.Errorf("reading the specification of plugin %q: %w", name, err)
			}
			a, err := kind.read(name, text)
			if err != nil {
				return Address{}, fmt.Errorf("reading the specification of plugin %q in %s: %w", name, path, err)
			}
			a.File = path
			return a, nil
		}
	}
	return Address{}, missing
}

// places are the two files in each directory that may be a plugin's.
func places(dirs []string, name, ext string) []string {
	var paths []string
	for _, dir := range dirs {
		paths = append(paths, filepath.Join(dir, name+ext), filepath.Join(dir, name, name+ext))
	}
	return paths
}

// readSpec reads a file with an address in it.
func readSpec(name string, text []byte) (Address, error) {
	u, err := parseURL(strings.TrimSpace(string(text)))
	return Address{Name: name, URL: u}, err
}

// readJSON reads a file with an address and how to secure it.
func readJSON(name string, text []byte) (Address, error) {
	var said struct {
		Name, Addr string
		TLSConfig  *TLS
	}
	if err := json.Unmarshal(text, &said); err != nil {
		return Address{}, err
	}
	u, err := parseURL(said.Addr)
	if err != nil {
		return Address{}, err
	}
	if said.TLSConfig != nil && said.TLSConfig.CAFile == "" {
		said.TLSConfig.InsecureSkipVerify = true // as docker does: there is nothing to verify with
	}
	return Address{Name: name, URL: u, TLS: said.TLSConfig}, nil
}

func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, err
	}
	switch u.Scheme {
	case "unix":
		if u.Path == "" || u.Host != "" {
			return nil, fmt.Errorf("%q is no address: a socket is written unix:///run/x.sock", text)
		}
	case "tcp", "http", "https":
		if u.Host == "" || u.Port() == "" {
			return nil, fmt.Errorf("%q is no address: it needs a host and a port, as in tcp://127.0.0.1:8080", text)
		}
	default:
		return nil, fmt.Errorf("%q is no address: it begins with unix://, tcp://, http:// or https://", text)
	}
	return u, nil
}

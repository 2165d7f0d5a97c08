package remote

import (
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/cnmctl/cnmctl/drivers"
	"github.com/cnmctl/cnmctl/spec"
	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// The scopes of a plugin's networks, and how long a call may take, in seconds.
const (
	scopeLocal     = "local"
	scopeGlobal    = "global"
	defaultTimeout = 30
	longestTimeout = 3600
)

// options are the network's, by the names in the schema.
type options struct {
	Plugin  string            `json:"plugin"`
	Scope   string            `json:"scope"`
	Timeout int               `json:"timeout"`
	Options map[string]string `json:"options"`
}

// endpointOptions are the endpoint's.
type endpointOptions struct {
	Options map[string]string `json:"options"`
}

// Schema is what may be written in a remote block.
func (Driver) Schema() spec.DriverSchema {
	texts := cty.Map(cty.String)
	return spec.DriverSchema{
		Name: "remote",
		Doc: "A plugin carries the network: one that speaks libnetwork's protocol, as Docker's network plugins do. It is found where Docker finds it " +
			"(`/run/docker/plugins/<name>.sock`, or `<name>.spec` and `<name>.json` in `/etc/docker/plugins` and `/usr/lib/docker/plugins`).\n\n" +
			"The plugin makes the endpoint's interface; cnmctl moves it into the sandbox, names, addresses and routes it, and gives it back before the endpoint goes. " +
			"What only the plugin knows is planned as `(assigned at apply)`. See [plugins.md](plugins.md).",
		Network: spec.Schema{Name: "remote", Doc: "Which plugin carries the network, and what it is told.", Attrs: []spec.AttrSchema{
			{Name: "plugin", Type: cty.String, Required: true, Check: checkPlugin, Doc: "The plugin's name."},
			{Name: "scope", Type: cty.String, Default: cty.StringVal(scopeLocal), Check: checkScope,
				Doc: "How far the plugin's networks reach: `local` (one host) or `global` (the cluster). It has to be what the plugin says of itself."},
			{Name: "timeout", Type: cty.Number, Default: cty.NumberIntVal(defaultTimeout), Check: checkTimeout,
				Doc: "How many seconds a call may take."},
			{Name: "options", Type: texts, Doc: "Options of the plugin's own, which it gets as `com.docker.network.generic`."},
		}},
		Endpoint: spec.Schema{Name: "remote", Doc: "What the plugin is told of the endpoint.", Attrs: []spec.AttrSchema{
			{Name: "options", Type: texts, Doc: "Options of the plugin's own, which it gets when the endpoint is created."},
		}},
	}
}

func checkPlugin(v cty.Value) error {
	name := v.AsString()
	if name == "" || strings.HasPrefix(name, ".") || strings.ContainsAny(name, "/\\\x00") {
		return fmt.Errorf("%q cannot be the name of a plugin: its socket is called <name>.sock", name)
	}
	return nil
}

func checkScope(v cty.Value) error {
	if s := v.AsString(); s != scopeLocal && s != scopeGlobal {
		return fmt.Errorf("%q is not a scope; there are %q and %q", s, scopeLocal, scopeGlobal)
	}
	return nil
}

func checkTimeout(v cty.Value) error {
	n, accuracy := v.AsBigFloat().Int64()
	if accuracy != big.Exact || n < 1 || n > longestTimeout {
		return errors.New("it is not a whole number of seconds from 1 to 3600")
	}
	return nil
}

// Validate refuses what a plugin cannot be told.
func (Driver) Validate(n *spec.Network, _ []*spec.Endpoint) hcl.Diagnostics {
	o, err := decode(n.Options)
	if err != nil || o.Plugin == "" {
		return hcl.Diagnostics{drivers.Refuse(&n.Range, "Network without a plugin", fmt.Sprintf(
			"%s has the driver \"remote\", but no block remote { plugin = \"…\" } says which plugin carries it.", n.Mark.Address))}
	}
	return nil
}

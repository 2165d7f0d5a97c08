package spec

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/zclconf/go-cty/cty"
)

// The core blocks around those of networks: settings, values, modules, refactoring.

func cnmSchema() BlockSchema {
	return BlockSchema{Schema: Schema{
		Name: "cnm",
		Doc:  "Settings of the whole configuration. They may use variables, but nothing that is planned.",
		Attrs: []AttrSchema{
			attr("stack", cty.String, "The stack's name, which all that is made bears. Default: the folder's name.").checked(onStrings(func(s string) error { return checkSafeName(s, maxStack) })),
			attr("required_version", cty.String, "The versions of cnmctl that may run the configuration, as in `>= 0.1.0`.").static(),
		},
		Blocks: []BlockSchema{storeSchema(), poolSchema()},
	}}
}

func storeSchema() BlockSchema {
	return BlockSchema{Max: 1, Labels: []string{"type"}, Schema: Schema{
		Name: "store",
		Doc:  "Where claims and records are kept: `local` (a file on this host, the default) or `consul`.",
		Attrs: []AttrSchema{
			attr("path", cty.String, "`local`: the file. `consul`: the prefix of all keys."),
			attr("address", cty.String, "`consul`: the agent's address, as in `127.0.0.1:8500`. Default: `CONSUL_HTTP_ADDR`."),
			attr("scheme", cty.String, "`consul`: `http` or `https`.").checked(oneOf("http", "https")),
			attr("datacenter", cty.String, "`consul`: the datacenter."),
			attr("namespace", cty.String, "`consul`: the namespace, in Consul Enterprise."),
			attr("token", cty.String, "`consul`: the token. Better: `CONSUL_HTTP_TOKEN`."),
			attr("token_file", cty.String, "`consul`: a file that holds the token."),
			attr("ca_file", cty.String, "`consul`: the authority of the server's certificate."),
			attr("cert_file", cty.String, "`consul`: the client's certificate."),
			attr("key_file", cty.String, "`consul`: the client's key."),
		},
	}}
}

func poolSchema() BlockSchema {
	return BlockSchema{Schema: Schema{
		Name: "pool",
		Doc:  "Where automatic subnets come from; all `pool` blocks together replace the built-in ones.",
		Attrs: []AttrSchema{
			attr("base", cty.String, "The range that is cut into subnets, as in `10.64.0.0/12`.").required().checked(onStrings(checkSubnet)),
			attr("size", cty.Number, "The prefix length of each subnet, as in 24.").required().checked(between(1, 128)),
		},
	}}
}

func variableSchema() BlockSchema {
	return BlockSchema{Labels: []string{"name"}, Schema: Schema{
		Name: "variable",
		Doc:  "A value from outside: the environment, variable files, the command line or the calling module. `var.<name>` is the value.",
		Attrs: []AttrSchema{
			attr("type", cty.DynamicPseudoType, "The type: `string`, `number`, `bool`, `list(…)`, `set(…)`, `map(…)`, `object({ a = string, b = optional(number, 1) })`, `tuple([…])` or `any`.").static(),
			attr("default", cty.DynamicPseudoType, "The value when none is given. Without it, the variable must be set.").static(),
			attr("description", cty.String, "What the variable is for.").static(),
			attr("sensitive", cty.Bool, "Do not show the value.").or(cty.False).static(),
			attr("nullable", cty.Bool, "Whether the value may be null; if not, null means the default.").or(cty.True).static(),
		},
		Blocks: []BlockSchema{conditionSchema("validation", "What a value must satisfy.")},
	}}
}

func localsSchema() BlockSchema {
	return BlockSchema{Schema: Schema{
		Name: "locals",
		Doc:  "Named expressions. `local.<name>` is the value.",
	}}
}

func outputSchema() BlockSchema {
	return BlockSchema{Labels: []string{"name"}, Schema: Schema{
		Name: "output",
		Doc:  "A value for the user, or for the calling module, which sees it as `module.<module>.<name>`. An apply saves the outputs of the root in the stack's store, where `cnmctl output` reads them; one that is null is none.",
		Attrs: []AttrSchema{
			attr("value", cty.DynamicPseudoType, "The value.").required(),
			attr("description", cty.String, "What the value is.").static(),
			attr("sensitive", cty.Bool, "Do not show the value, but to who asks for it by name. It is saved as it is, so the store is to be kept as safe as the value.").or(cty.False).static(),
		},
		Blocks: []BlockSchema{conditionSchema("precondition", "What must hold.")},
	}}
}

func moduleSchema() BlockSchema {
	return BlockSchema{Labels: []string{"name"}, Schema: Schema{
		Name: "module",
		Doc:  "A folder of configuration used as a part of this one. All other arguments set the module's variables.",
		Attrs: append([]AttrSchema{
			attr("source", cty.String, "The folder, as in `./lab`, relative to the file's own.").required().static(),
		}, repeated()...),
	}}
}

func movedSchema() BlockSchema {
	return BlockSchema{Schema: Schema{
		Name: "moved",
		Doc:  "A block, an instance or a module has a new address. What there is of it takes the new one and is not made anew.",
		Attrs: []AttrSchema{
			attr("from", cty.DynamicPseudoType, "The old address.").required().static(),
			attr("to", cty.DynamicPseudoType, "The new address.").required().static(),
		},
	}}
}

func removedSchema() BlockSchema {
	return BlockSchema{Schema: Schema{
		Name: "removed",
		Doc:  "A block is gone from the configuration on purpose.",
		Attrs: []AttrSchema{
			attr("from", cty.DynamicPseudoType, "The address it had.").required().static(),
		},
		Blocks: []BlockSchema{{Max: 1, Schema: Schema{
			Name: "lifecycle",
			Doc:  "What happens to what there is of it.",
			Attrs: []AttrSchema{
				attr("destroy", cty.Bool, "Destroy it; `false` leaves it alone, without the stack's mark.").or(cty.True),
			},
		}}},
	}}
}

// checkPool refuses a pool that cannot be cut into subnets of the size.
func checkPool(base netip.Prefix, size int) error {
	if size < base.Bits() || size > base.Addr().BitLen()-1 {
		return fmt.Errorf("subnets of /%d cannot be cut from %s; the size is from %d to %d", size, base, base.Bits(), base.Addr().BitLen()-1)
	}
	return nil
}

// checkInterfaceOrLo allows an interface's name or lo.
func checkInterfaceOrLo(s string) error {
	if s == "lo" {
		return nil
	}
	return checkInterface(s)
}

// interfaceSysctls checks settings of one interface: they must say IFNAME.
func interfaceSysctls(v cty.Value) error {
	if err := sysctlKeys(v); err != nil {
		return err
	}
	for it := v.ElementIterator(); it.Next(); {
		if k, _ := it.Element(); !strings.Contains(k.AsString(), "IFNAME") {
			return fmt.Errorf("%q is not a setting of the interface; write IFNAME where the interface's name goes, as in \"net.ipv4.conf.IFNAME.rp_filter\", or put it into the sandbox's sysctls", k.AsString())
		}
	}
	return nil
}

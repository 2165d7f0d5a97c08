package spec

import "github.com/zclconf/go-cty/cty"

// The core blocks that describe networks. Their tables decode a configuration, explain
// mistakes in it and print the language reference: one truth.

var stringMap = cty.Map(cty.String)

func networkSchema(drivers []DriverSchema) BlockSchema {
	b := BlockSchema{Labels: []string{"name"}, Schema: Schema{
		Name: "network",
		Doc:  "A network: what joins endpoints, carried by a driver.",
		Attrs: append([]AttrSchema{
			attr("driver", cty.String, "The driver that carries the network.").or(cty.StringVal("bridge")),
			attr("internal", cty.Bool, "No way out of the network: endpoints reach each other only.").or(cty.False),
			attr("ipv4", cty.Bool, "Have an IPv4 subnet. One is chosen from the default pools unless a `subnet` block gives one.").or(cty.True),
			attr("ipv6", cty.Bool, "Have an IPv6 subnet. A unique local one (fd00::/8) is chosen unless a `subnet` block gives one.").or(cty.False),
			attr("mtu", cty.Number, "The largest packet in bytes, for all interfaces of the network. Default: the kernel's (1500).").checked(between(68, 65535)),
			attr("interface_prefix", cty.String, "What the names of interfaces in sandboxes begin with.").or(cty.StringVal("eth")).checked(onStrings(checkPrefixName)),
			nameAttr("The network's name, unique in the stack. Default: the block's label, with the key of `for_each` or the index of `count` and the module's path."),
			labelsAttr(),
		}, repeated()...),
		Blocks: []BlockSchema{subnetSchema(), ipamSchema(), lifecycleSchema()},
	}}
	for _, d := range drivers {
		b.Blocks = append(b.Blocks, BlockSchema{Schema: optionsSchema(d.Name, d.Network), Max: 1})
	}
	return b
}

func subnetSchema() BlockSchema {
	return BlockSchema{Schema: Schema{
		Name: "subnet",
		Doc:  "One address range of the network. Without any, subnets are chosen from the default pools.",
		Attrs: []AttrSchema{
			attr("cidr", cty.String, "The range, as in `10.1.0.0/24`.").required().checked(onStrings(checkSubnet)),
			attr("gateway", cty.String, "The network's own address in the range. Default: the first free one, if the driver has a gateway.").checked(onStrings(checkHostAddr(0))),
			attr("range", cty.String, "Where automatic addresses come from, a part of `cidr`. Default: all of it.").checked(onStrings(checkCIDR)),
			attr("reserved", stringMap, "Addresses that are never handed out, by a name that says why: `{ router = \"10.1.0.254\" }`.").checked(onStrings(checkHostAddr(0))),
		},
	}}
}

func ipamSchema() BlockSchema {
	return BlockSchema{Max: 1, Schema: Schema{
		Name: "ipam",
		Doc:  "Who gives out the network's subnets and addresses. Without it, cnmctl does.",
		Attrs: []AttrSchema{
			attr("driver", cty.String, "`default` (cnmctl), `null` (nobody: endpoints have the addresses that a `remote` network's plugin chooses, or none), or the name of an IPAM plugin, which is found where Docker finds it.").required().checked(onStrings(checkPluginName)),
			attr("address_space", cty.String, "The plugin's address space. Default: the one that it names for networks of a host, or of the cluster."),
			attr("options", stringMap, "Options of the plugin's own, which it gets with each request for a subnet."),
			attr("timeout", cty.Number, "How many seconds a call may take.").or(cty.NumberIntVal(30)).checked(between(1, 3600)),
		},
	}}
}

func sandboxSchema() BlockSchema {
	return BlockSchema{Labels: []string{"name"}, Schema: Schema{
		Name: "sandbox",
		Doc:  "A sandbox: a network namespace with its interfaces, routes and name resolution. `ip netns` sees it as `<stack>-<name>`, unless it is a namespace of somebody else.",
		Attrs: append([]AttrSchema{
			nameAttr("The sandbox's name, unique on its host. Default: the block's label, with the key of `for_each` or the index of `count` and the module's path."),
			attr("host", cty.String, "The host of a cluster that the sandbox lives on: the label of a `host` block.").checked(onStrings(checkHostname)),
			attr("netns", cty.String, "A network namespace of somebody else that the sandbox is: a name that `ip netns` knows, or a path as in `/proc/4242/ns/net`. "+
				"Endpoints are put into it and taken out again; nothing else in it is touched. Default: cnmctl makes one.").checked(onStrings(checkNetns)),
			attr("container", cty.String, "A running container that the sandbox is, as in `docker://web`. Its process is asked of Docker's engine at each run. "+
				"Otherwise as with `netns`.").checked(onStrings(checkContainer)),
			attr("shares", cty.DynamicPseudoType, "Another sandbox whose network namespace this one is too, as in `sandbox.web`. Endpoints of both are in it.").ref("sandbox"),
			attr("hostname", cty.String, "The sandbox's own name in its hosts and hostname files. Default: none; the names of its endpoints are known in it anyway.").checked(onStrings(checkHostname)),
			attr("vrfs", cty.Map(cty.Number), "VRFs, as in `{ red = 10, blue = 20 }`: routing domains that know nothing of each other, by the name of the device that stands for each, with the number of its routing table. Endpoints are put into them by their `vrf`, and each has a way out of its own.").checked(checkVRFs),
			attr("loopback", cty.List(cty.String), "Further addresses on `lo`, as routers have them.").checked(onStrings(checkLoopback)),
			attr("sysctls", stringMap, "Settings of the namespace: `{ \"net.ipv4.ip_forward\" = \"1\" }`.").checked(sysctlKeys),
			attr("extra_hosts", stringMap, "Further lines of the hosts file: name to address.").checked(extraHosts),
			labelsAttr(),
		}, repeated()...),
		Blocks: []BlockSchema{routeSchema(), ruleSchema(), neighborSchema(), dnsSchema(), lifecycleSchema()},
	}}
}

func routeSchema() BlockSchema {
	return BlockSchema{Schema: Schema{
		Name: "route",
		Doc:  "A static route of the sandbox.",
		Attrs: []AttrSchema{
			attr("to", cty.String, "The destination: a network, an address or `default` (for the family of `via`).").required().checked(onStrings(checkDestination)),
			attr("via", cty.String, "The next hop.").checked(onStrings(checkHostAddr(0))),
			attr("dev", cty.String, "The interface. Default: the one whose subnet holds the next hop.").checked(onStrings(checkInterfaceOrLo)),
			attr("src", cty.String, "The preferred source address.").checked(onStrings(checkHostAddr(0))),
			attr("metric", cty.Number, "The lowest metric wins among routes to one destination.").or(cty.Zero).checked(between(0, 1<<32-1)),
			attr("table", cty.Number, "The routing table. Default: that of the endpoint that the route leads by, which is main (254) outside of VRFs.").or(cty.Zero).checked(between(0, 1<<32-1)),
			attr("vrf", cty.String, "The VRF whose routing table the route is in, in place of `table`.").checked(onStrings(checkInterface)),
			attr("type", cty.String, "`unicast`, or what drops: `blackhole`, `unreachable`, `prohibit`.").or(cty.StringVal("unicast")).checked(oneOf("unicast", "blackhole", "unreachable", "prohibit")),
			attr("on_link", cty.Bool, "The next hop is on the interface's link although no address of it covers it.").or(cty.False),
		},
	}}
}

func ruleSchema() BlockSchema {
	return BlockSchema{Schema: Schema{
		Name: "rule",
		Doc:  "A policy routing rule of the sandbox: which packets look up which table.",
		Attrs: []AttrSchema{
			attr("priority", cty.Number, "The order of evaluation, lowest first; 1 to 32765 lies between the kernel's own rules.").required().checked(between(1, 1<<32-1)),
			attr("from", cty.String, "The source network.").checked(onStrings(checkDestination)),
			attr("to", cty.String, "The destination network.").checked(onStrings(checkDestination)),
			attr("family", cty.String, "`ipv4` or `ipv6`. Default: that of `from` or `to`, else `ipv4`.").checked(oneOf("ipv4", "ipv6")),
			attr("iif", cty.String, "The interface that the packet came in by.").checked(onStrings(checkInterfaceOrLo)),
			attr("oif", cty.String, "The interface that the sender is bound to.").checked(onStrings(checkInterfaceOrLo)),
			attr("fwmark", cty.Number, "The packet's mark.").or(cty.Zero).checked(between(0, 1<<32-1)),
			attr("table", cty.Number, "The routing table to look up.").required().checked(between(1, 1<<32-1)),
		},
	}}
}

func neighborSchema() BlockSchema {
	return BlockSchema{Schema: Schema{
		Name: "neighbor",
		Doc:  "A permanent neighbor entry of the sandbox.",
		Attrs: []AttrSchema{
			attr("dev", cty.String, "The interface.").required().checked(onStrings(checkInterface)),
			attr("ip", cty.String, "The neighbor's address.").required().checked(onStrings(checkHostAddr(0))),
			attr("mac", cty.String, "The neighbor's Ethernet address.").required().checked(onStrings(checkMAC)),
		},
	}}
}

func dnsSchema() BlockSchema {
	return BlockSchema{Max: 1, Schema: Schema{
		Name: "dns",
		Doc:  "What the sandbox's resolv.conf says. Without it, the host's is seen.",
		Attrs: []AttrSchema{
			attr("servers", cty.List(cty.String), "Addresses of name servers.").checked(onStrings(checkAddr)),
			attr("search", cty.List(cty.String), "Domains to search.").checked(onStrings(checkHostname)),
			attr("options", cty.List(cty.String), "Resolver options, as in `ndots:2`.").checked(onStrings(checkWord)),
		},
	}}
}

func endpointSchema(drivers []DriverSchema) BlockSchema {
	b := BlockSchema{Labels: []string{"name"}, Schema: Schema{
		Name: "endpoint",
		Doc:  "An endpoint: a sandbox's place in one network, or, without a sandbox, a name and an address held until somebody attaches them.",
		Attrs: append([]AttrSchema{
			attr("network", cty.DynamicPseudoType, "The network, as in `network.front`.").required().ref("network"),
			attr("sandbox", cty.DynamicPseudoType, "The sandbox, as in `sandbox.web`.").ref("sandbox"),
			attr("name", cty.String, "What others on the network call it, unique in the network. Default: the block's label, with the key of `for_each` or the index of `count` and the module's path.").checked(onStrings(checkHostname)),
			attr("ipv4", cty.String, "Its IPv4 address. Default: the lowest free one, if the network has IPv4.").checked(onStrings(checkHostAddr(4))),
			attr("ipv6", cty.String, "Its IPv6 address. Default: the lowest free one, if the network has IPv6.").checked(onStrings(checkHostAddr(6))),
			attr("link_local_ips", cty.List(cty.String), "Further addresses that are good for the network's link alone, as in `169.254.7.1` or `fe80::7`. They are as they are written: nobody is given one, and hosts files do not name them.").checked(onStrings(checkLinkLocal)),
			attr("mac", cty.String, "Its Ethernet address. Default: made from its IP address.").checked(onStrings(checkMAC)),
			attr("interface", cty.String, "The interface's name in the sandbox, at most 15 bytes. Default: the network's `interface_prefix` and the lowest free number.").checked(onStrings(checkInterface)),
			attr("vrf", cty.String, "The VRF of its sandbox that its interface is in: its routes are in the VRF's table, and it stands for the way out of that. The gateway bridge of overlay networks is outside of VRFs. Default: none, its routes are in the table main.").checked(onStrings(checkInterface)),
			attr("names", cty.Bool, "Whether it is found by names: its own, and its aliases. With `false` it is in no hosts file.").or(cty.True),
			attr("aliases", cty.List(cty.String), "Further names on the network.").checked(onStrings(checkHostname)).late(),
			attr("gateway_priority", cty.Number, "Which of a sandbox's endpoints is its way out: the highest, then one that is so for both families, then the first by name of the network.").or(cty.Zero).checked(between(-1<<31, 1<<31-1)).late(),
			attr("sysctls", stringMap, "Settings of the interface, with IFNAME for its name: `{ \"net.ipv4.conf.IFNAME.rp_filter\" = \"0\" }`.").checked(interfaceSysctls).late(),
			labelsAttr().late(),
		}, repeated()...),
		Blocks: []BlockSchema{portSchema(), serviceSchema(), lifecycleSchema(), bandwidthSchema(), impairmentSchema()},
	}}
	for _, d := range drivers {
		b.Blocks = append(b.Blocks, BlockSchema{Schema: optionsSchema(d.Name, d.Endpoint), Max: 1})
	}
	return b
}

func serviceSchema() BlockSchema {
	return BlockSchema{Max: 1, Schema: Schema{
		Name: "service",
		Doc:  "What the endpoint is registered as in the catalog of the store `consul`, whose DNS then answers for `NAME.service.consul` with the endpoint's address (the IPv4 one, if it has both). It is registered while it is attached to a sandbox.",
		Attrs: []AttrSchema{
			attr("name", cty.String, "The service's name. Several endpoints may have the same. Default: the endpoint's name.").checked(onStrings(checkServiceName)),
			attr("port", cty.Number, "The port where it listens.").or(cty.Zero).checked(between(0, 65535)),
			attr("tags", cty.List(cty.String), "Words to choose by: DNS answers for `TAG.NAME.service.consul` too.").checked(onStrings(checkServiceName)),
			attr("check", cty.String, "How the agent (`cnmctl agent`) of the sandbox's host finds out, from inside the sandbox, whether the service is well: `tcp` connects to its port, a path as in `/health` is asked for over HTTP (2xx is well, 429 a warning). Who is not well is in no answer of the DNS. Without an agent a check stays a warning. Default: it is always well.").checked(onStrings(checkCheck)),
			attr("check_interval", cty.String, "How often, from `1s` to `1h`.").or(cty.StringVal("10s")).checked(onStrings(checkInterval)),
		},
	}}
}

func hostSchema() BlockSchema {
	return BlockSchema{Labels: []string{"name"}, Schema: Schema{
		Name: "host",
		Doc:  "A host of a cluster. The label is the host's name.",
		Attrs: append([]AttrSchema{
			attr("vtep", cty.String, "The address where the host's overlay tunnels end.").checked(onStrings(checkHostAddr(0))),
			attr("mtu", cty.Number, "The largest packet, in bytes, of the network that the tunnels go through. The MTU of overlay networks follows from the smallest of all hosts. Default: that of the interface with the `vtep`, which each host finds when it plans, or its agent; 1500 until then.").checked(between(576, 65535)),
		}, repeated()...),
	}}
}

// optionsSchema is a driver's options as a block with the driver's name.
func optionsSchema(driver string, options Schema) Schema {
	options.Name = driver
	return options
}

func nameAttr(doc string) AttrSchema {
	return attr("name", cty.String, doc).checked(onStrings(func(s string) error { return checkSafeName(s, maxNetns) }))
}

func labelsAttr() AttrSchema {
	return attr("labels", stringMap, "Free text for people and other programs, by name.").checked(labelMap)
}

// repeated are the meta-arguments that make many of one block.
func repeated() []AttrSchema {
	return []AttrSchema{
		attr("for_each", cty.DynamicPseudoType, "One instance for each element of a map or a set of strings, or for each instance of another block. `each.key` and `each.value` are the element."),
		attr("count", cty.Number, "That many instances. `count.index` is the number of each."),
	}
}

func lifecycleSchema() BlockSchema {
	return BlockSchema{Max: 1, Schema: Schema{
		Name: "lifecycle",
		Doc:  "How the block may change.",
		Attrs: []AttrSchema{
			attr("prevent_destroy", cty.Bool, "A plan that would destroy it is an error, even after the block was deleted.").or(cty.False),
			attr("ignore_changes", cty.DynamicPseudoType, "Attributes whose live value stays, as in `[labels, mtu]`, or `all`.").static(),
		},
		Blocks: []BlockSchema{conditionSchema("precondition", "What must hold before anything is planned."),
			conditionSchema("postcondition", "What must hold of the block, which is `self`, when all is chosen.")},
	}}
}

func conditionSchema(name, doc string) BlockSchema {
	return BlockSchema{Schema: Schema{
		Name: name,
		Doc:  doc,
		Attrs: []AttrSchema{
			attr("condition", cty.Bool, "The expression that must be true.").required(),
			attr("error_message", cty.String, "What to say if it is not.").required(),
		},
	}}
}

package spec

import "github.com/zclconf/go-cty/cty"

// fillHost makes the record of a host. Its name is its label, with the key or index of a
// repeated block.
func (i *instance) fillHost(rd *reading, v *values) {
	name := dashed(i.scope.names, i.object.name, i.element.key)
	if err := checkHostname(name); err != nil {
		rd.fail(fault(i.header.Ptr(), "Invalid name", "%s", sentence(err)))
		return
	}
	i.host = &Host{Mark: i.owner(), Name: name, VTEP: v.addr("vtep"), MTU: int(v.number("mtu")), Decl: i.decl(rd, v)}
	if first := rd.hosts[name]; first != nil && first != i {
		rd.fail(fault(i.header.Ptr(), "Duplicate name", "A host called %q is declared at %s already (%s). Rename one of them.", name, place(first.header), first.addr))
		return
	}
	rd.hosts[name] = i
}

func (i *instance) hostValue() cty.Value {
	return cty.ObjectVal(map[string]cty.Value{
		"address": cty.StringVal(string(i.addr)),
		"mtu":     numberOrNull(i.host.MTU),
		"name":    cty.StringVal(i.host.Name),
		"vtep":    textOrNull(addrText(i.host.VTEP)),
	})
}

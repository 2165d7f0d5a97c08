package spec

import (
	"encoding/json"
	"math/big"
	"net/netip"
	"strconv"

	"github.com/cnmctl/cnmctl/state"
	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"
)

// The getters below read evaluated attributes, which are of their type and checked; an
// absent one is the zero value.

func (v *values) text(name string) string {
	if a, ok := v.attrs[name]; ok && !a.IsNull() {
		return a.AsString()
	}
	return ""
}

func (v *values) flag(name string) bool {
	a, ok := v.attrs[name]
	return ok && !a.IsNull() && a.True()
}

func (v *values) number(name string) int64 {
	a, ok := v.attrs[name]
	if !ok || a.IsNull() {
		return 0
	}
	n, _ := a.AsBigFloat().Int64()
	return n
}

func (v *values) texts(name string) []string {
	a, ok := v.attrs[name]
	if !ok || a.IsNull() || a.LengthInt() == 0 {
		return nil
	}
	out := make([]string, 0, a.LengthInt())
	for it := a.ElementIterator(); it.Next(); {
		_, e := it.Element()
		out = append(out, e.AsString())
	}
	return out
}

func (v *values) textMap(name string) map[string]string {
	a, ok := v.attrs[name]
	if !ok || a.IsNull() || a.LengthInt() == 0 {
		return nil
	}
	out := make(map[string]string, a.LengthInt())
	for it := a.ElementIterator(); it.Next(); {
		k, e := it.Element()
		out[k.AsString()] = e.AsString()
	}
	return out
}

// tables are VRFs' routing tables by name.
func (v *values) tables(name string) map[string]uint32 {
	a, ok := v.attrs[name]
	if !ok || a.IsNull() || a.LengthInt() == 0 {
		return nil
	}
	out := make(map[string]uint32, a.LengthInt())
	for it := a.ElementIterator(); it.Next(); {
		k, e := it.Element()
		n, _ := e.AsBigFloat().Uint64()
		out[k.AsString()] = uint32(n)
	}
	return out
}

func (v *values) addr(name string) netip.Addr {
	a, _ := netip.ParseAddr(v.text(name))
	return a
}

func (v *values) prefix(name string) netip.Prefix {
	p, _ := netip.ParsePrefix(v.text(name))
	return p
}

func (v *values) mac(name string) state.MAC {
	if text := v.text(name); text != "" {
		m, _ := state.ParseMAC(text)
		return m
	}
	return state.MAC{}
}

func (v *values) addrs(name string) []netip.Addr {
	var out []netip.Addr
	for _, text := range v.texts(name) {
		out = append(out, netip.MustParseAddr(text))
	}
	return out
}

func (v *values) addrMap(name string) map[string]netip.Addr {
	texts := v.textMap(name)
	if texts == nil {
		return nil
	}
	out := make(map[string]netip.Addr, len(texts))
	for k, text := range texts {
		out[k] = netip.MustParseAddr(text)
	}
	return out
}

// options are the settings in a driver's block as canonical JSON, with the defaults of the
// schema; v is nil when there is no such block.
func options(schema *Schema, v *values) (state.Options, error) {
	out := state.Options{}
	for _, a := range schema.Attrs {
		val := a.Default
		if v != nil {
			val = cty.NilVal
			if given, ok := v.attrs[a.Name]; ok {
				val = given
			}
		}
		if val == cty.NilVal || val.IsNull() {
			continue
		}
		text, err := jsonValue(val)
		if err != nil {
			return nil, err
		}
		out[a.Name] = text
	}
	if v == nil {
		return out, nil
	}
	for _, b := range schema.Blocks {
		if err := blockOptions(&b, v.of(b.Name), out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// jsonValue is a value as JSON. Whole numbers go the short way: the long one computes with
// hundreds of digits.
func jsonValue(v cty.Value) (json.RawMessage, error) {
	if v.Type() == cty.Number {
		if n, accuracy := v.AsBigFloat().Int64(); accuracy == big.Exact {
			return strconv.AppendInt(nil, n, 10), nil
		}
	}
	return ctyjson.Marshal(v, v.Type())
}

// blockOptions adds the nested blocks of one type: an object if there can be one only,
// else a list of them.
func blockOptions(schema *BlockSchema, parts []*partValues, out state.Options) error {
	if len(parts) == 0 {
		return nil
	}
	list := make([]state.Options, len(parts))
	for i, p := range parts {
		inner, err := options(&schema.Schema, p.values)
		if err != nil {
			return err
		}
		for n, label := range p.labels {
			text, err := json.Marshal(label)
			if err != nil {
				return err
			}
			inner[schema.Labels[n]] = text
		}
		list[i] = inner
	}
	var whole any = list
	if schema.Max == 1 {
		whole = list[0]
	}
	text, err := json.Marshal(whole)
	out[schema.Name] = text
	return err
}

// The values below are what references see.

func textOrNull(s string) cty.Value {
	if s == "" {
		return cty.NullVal(cty.String)
	}
	return cty.StringVal(s)
}

func mapValue(m map[string]string) cty.Value {
	if len(m) == 0 {
		return cty.MapValEmpty(cty.String)
	}
	out := make(map[string]cty.Value, len(m))
	for k, v := range m {
		out[k] = cty.StringVal(v)
	}
	return cty.MapVal(out)
}

func listValue(list []string) cty.Value {
	if len(list) == 0 {
		return cty.ListValEmpty(cty.String)
	}
	out := make([]cty.Value, len(list))
	for i, s := range list {
		out[i] = cty.StringVal(s)
	}
	return cty.ListVal(out)
}

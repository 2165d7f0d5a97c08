package state

import (
	"slices"
	"strings"
)

// HiddenValue stands for a sensitive value wherever it would be shown.
const HiddenValue = "(sensitive value)"

// hide marks the attributes that are not to be shown. names are those of arguments and
// nested blocks of the language.
func hide(attrs []Attr, names []string) []Attr {
	if len(names) == 0 {
		return attrs
	}
	for i, a := range attrs {
		attrs[i].Hidden = Hides(names, a.Name)
	}
	return append(attrs, listAttr("sensitive", names).quiet())
}

// Hides reports that one of the names, of arguments and nested blocks, is or holds what a
// plan calls attr: "labels", "options.parent" for parent, "subnet[0]" for subnet, "routes" for
// route.
func Hides(names []string, attr string) bool {
	return slices.ContainsFunc(names, func(name string) bool {
		rest, begins := strings.CutPrefix(attr, name)
		return begins && (rest == "" || rest == "s" || rest[0] == '[' || rest[0] == '.') || strings.HasSuffix(attr, "."+name)
	})
}

// HiddenIn names the arguments and nested blocks of a record that are not to be shown.
func HiddenIn(o Object) []string {
	switch o := o.(type) {
	case Network:
		return o.Hidden
	case Endpoint:
		return o.Hidden
	case Sandbox:
		return o.Hidden
	case Policy:
		return o.Hidden
	}
	return nil
}

// masked hides the values of fields that either object does not show.
func masked(fields []Field, a, b Object) []Field {
	names := slices.Concat(HiddenIn(a), HiddenIn(b))
	if len(names) == 0 {
		return fields
	}
	for i, f := range fields {
		if !Hides(names, f.Name) {
			continue
		}
		for _, v := range []*string{&fields[i].Old, &fields[i].New} {
			if *v != "" {
				*v = HiddenValue
			}
		}
	}
	return fields
}

// Shown is the value as it may be shown.
func (a Attr) Shown() string {
	if a.Hidden {
		return HiddenValue
	}
	return a.Value
}

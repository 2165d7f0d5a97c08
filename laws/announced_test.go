package laws

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/cnmctl/cnmctl/planner"
	"github.com/cnmctl/cnmctl/state"
)

// plan is the plan as a document.
func (m *machine) plan(flags ...string) planner.Document {
	m.Helper()
	var doc planner.Document
	text := m.must(0, append([]string{"plan", "-as=json"}, flags...)...)
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		m.Fatalf("reading the plan: %v\n%s", err, text)
	}
	return doc
}

// announced holds the plan to what it did: the kernel changed where the plan said so, and
// nowhere else.
func (m *machine) announced(doc planner.Document, was, is string) {
	m.Helper()
	before, after := things(was, namesIn(doc)), things(is, names{})
	said := objects(doc)
	var wrong []string
	complain := func(k state.Key, format string, args ...any) {
		wrong = append(wrong, fmt.Sprintf("%s: %s", k, fmt.Sprintf(format, args...)))
	}
	for k, o := range said {
		if problem := broken(o, before, after, k); problem != "" {
			complain(k, "%s", problem)
		}
	}
	for k := range union(before, after) {
		if o, ok := said[k]; ok && o.Change.Actions[0] != "no-op" {
			continue
		}
		old, had := before[k]
		now, has := after[k]
		switch {
		case k.Kind == state.KindSysctl && (had != has || follows(k, said)): // had != has: with its link
		case had && !has:
			complain(k, "it went, and the plan does not say so")
		case has && !had:
			complain(k, "it came, and the plan does not say so")
		case old != now:
			complain(k, "it changed, and the plan does not say so:\n    - %s\n    + %s", old, now)
		}
	}
	for _, op := range doc.Operations {
		if op.Place != state.Store {
			if _, ok := said[state.Key{Kind: op.Kind, Place: op.Place, Name: op.Name}]; !ok {
				wrong = append(wrong, fmt.Sprintf("operation %s %s %s in %s is in no block's change", op.Action, op.Kind, op.Name, op.Place))
			}
		}
	}
	if len(wrong) > 0 {
		slices.Sort(wrong)
		m.Fatalf("the plan is not what happened:\n%s", strings.Join(wrong, "\n"))
	}
}

// follows reports a setting that the kernel changes along with the switch for forwarding,
// if the plan sets that one (devinet_sysctl_forward, inet_forward_change).
func follows(k state.Key, said map[state.Key]planner.ObjectChange) bool {
	parts := strings.Split(k.Name, "/")
	switch parts[len(parts)-1] {
	case "forwarding", "accept_redirects", "mc_forwarding":
	default:
		return false
	}
	for _, path := range []string{"net/ipv4/ip_forward", "net/ipv4/conf/all/forwarding", "net/ipv6/conf/all/forwarding"} {
		if _, ok := said[state.SysctlKey(k.Place, path)]; ok {
			return true
		}
	}
	return false
}

// names are the new names of what a plan renames: of namespaces, and of links by place.
type names struct {
	spaces map[string]string
	links  map[state.Place]map[string]string
}

func namesIn(doc planner.Document) names {
	n := names{map[string]string{}, map[state.Place]map[string]string{}}
	for _, op := range doc.Operations {
		switch {
		case op.From == "":
		case op.Kind == state.KindNamespace:
			n.spaces[op.From] = op.Name
		default:
			if n.links[op.Place] == nil {
				n.links[op.Place] = map[string]string{}
			}
			n.links[op.Place][op.From] = op.Name
		}
	}
	return n
}

// place is the place by its new name.
func (n names) place(p state.Place) state.Place {
	ns, _ := p.Netns()
	if to, ok := n.spaces[ns]; ok {
		return state.Netns(to)
	}
	return p
}

// line is a line of a place with the new names of links.
func (n names) line(p state.Place, text string) string {
	for from, to := range n.links[p] {
		text = regexp.MustCompile(`(^|[ /=@])`+regexp.QuoteMeta(from)+`($|[ /:@\\])`).ReplaceAllString(text, "${1}"+to+"${2}")
	}
	return text
}

// objects are the plan's changes of what is in the kernel.
func objects(doc planner.Document) map[state.Key]planner.ObjectChange {
	all := map[state.Key]planner.ObjectChange{}
	for _, r := range doc.ResourceChanges {
		for _, o := range r.Objects {
			if o.Place != state.Store {
				all[state.Key{Kind: o.Kind, Place: o.Place, Name: o.Name}] = o
			}
		}
	}
	return all
}

// broken says what did not become of an object that the plan announced.
func broken(o planner.ObjectChange, before, after map[state.Key]string, k state.Key) string {
	old, had := before[k]
	now, has := after[k]
	if k.Kind == state.KindSysctl {
		return brokenSysctl(o, now, has)
	}
	switch action := strings.Join(o.Change.Actions, " "); {
	case action == "create" && (had || !has):
		return fmt.Sprintf("was to be created; before: %q, after: %q", old, now)
	case action == "delete" && (!had || has):
		return fmt.Sprintf("was to be deleted; before: %q, after: %q", old, now)
	case action == "delete create" && (!had || !has):
		return fmt.Sprintf("was to be replaced; before: %q, after: %q", old, now)
	case action == "update" && o.Fields != nil && o.Fields[0].Name == "name":
		if !had || !has {
			return fmt.Sprintf("was to get another name; before: %q, after: %q", old, now)
		}
	case action == "update" && len(o.Fields) > 0 && old == now:
		return fmt.Sprintf("was to be changed, and is as before: %q", now)
	}
	return ""
}

// brokenSysctl: a setting is there with its link, whoever sets it; what counts is its value.
func brokenSysctl(o planner.ObjectChange, now string, has bool) string {
	after, ok := o.Change.After.(map[string]any)
	if !ok || !has {
		return "" // set back, or one of those that the listing leaves out
	}
	if want := fmt.Sprint(after["value"]); want != now {
		return fmt.Sprintf("was to be %q, and is %q", want, now)
	}
	return ""
}

func union(a, b map[state.Key]string) map[state.Key]string {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

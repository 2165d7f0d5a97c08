package planner

import (
	"maps"
	"slices"

	"github.com/cnmctl/cnmctl/state"
)

// Follows says how another host converges to what a plan writes for it.
type Follows string

// How a host converges.
const (
	// FollowsByAgent: its agent is alive.
	FollowsByAgent Follows = "agent"
	// FollowsBySync: it has none, and does when somebody runs 'cnmctl sync' there.
	FollowsBySync Follows = "sync"
	// FollowsNot: it does not see the store.
	FollowsNot Follows = "none"
)

// OtherHost is a host that a plan has changes for and that is not the one it was made on.
type OtherHost struct {
	Name    string
	Follows Follows
}

// hostOf is the host that a record belongs to, "" for what all share.
func hostOf(o state.Object) string {
	switch o := o.(type) {
	case state.Sandbox:
		return o.Host
	case state.Endpoint:
		return o.Host
	}
	return ""
}

// divide notes which host each block is on, and which ones there are, if any is on one.
func (p *Plan) divide(here string) {
	others, several := map[string]bool{}, false
	for i := range p.Resources {
		r := &p.Resources[i]
		if r.Record < 0 {
			continue
		}
		op := p.Ops[r.Parts[r.Record].Op]
		r.Host = hostOf(op.Object())
		for _, o := range []state.Object{op.Before, op.After} {
			host := hostOf(o)
			several = several || host != ""
			others[host] = others[host] || host == r.Host
		}
	}
	if !several || here == "" {
		return
	}
	p.Host = here
	delete(others, "")
	delete(others, here)
	for _, name := range slices.Sorted(maps.Keys(others)) {
		if others[name] {
			p.Others = append(p.Others, OtherHost{name, FollowsNot})
		}
	}
}

// group is the blocks of one host.
type group struct {
	// other is nil for this host, whose blocks are with those that all hosts share.
	other     *OtherHost
	resources []*Resource
}

// groups are the blocks by host, this one first.
func (p *Plan) groups() []group {
	all := make([]group, 1+len(p.Others))
	number := map[string]int{}
	for i := range p.Others {
		all[i+1].other = &p.Others[i]
		number[p.Others[i].Name] = i + 1
	}
	for i := range p.Resources {
		r := &p.Resources[i]
		n := number[r.Host]
		all[n].resources = append(all[n].resources, r)
	}
	return slices.DeleteFunc(all, func(g group) bool { return len(g.resources) == 0 })
}

// group writes the heading of a host's blocks, in a plan for several.
func (out *printer) group(g group) {
	if out.plan.Host == "" {
		return
	}
	text := "On this host, " + out.plan.Host + ", and for all hosts:"
	if g.other != nil {
		text = "On host " + g.other.Name + ", which " + map[Follows]string{
			FollowsByAgent: "follows by its agent:",
			FollowsBySync:  "has no agent, and follows by 'cnmctl sync' there:",
			FollowsNot:     "does not see the records here, and does not follow:",
		}[g.other.Follows]
	}
	out.put(out.paint(bold, text), "\n\n")
}

// HostChanges is what a plan has for one host, for machines.
type HostChanges struct {
	Name string `json:"name"`
	// Follows is "here" for the host that the plan was made on.
	Follows Follows `json:"follows"`
	// Resources counts the blocks; those that all hosts share are with this host's.
	Resources Counts `json:"resources"`
}

// hostChanges lists the hosts of a plan for several.
func (p *Plan) hostChanges() (all []HostChanges) {
	if p.Host == "" {
		return nil
	}
	for _, g := range p.groups() {
		h := HostChanges{Name: p.Host, Follows: "here"}
		if g.other != nil {
			h.Name, h.Follows = g.other.Name, g.other.Follows
		}
		one := Plan{}
		for _, r := range g.resources {
			one.Resources = append(one.Resources, *r)
		}
		h.Resources = one.Count().json()
		all = append(all, h)
	}
	return all
}

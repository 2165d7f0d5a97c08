package planner

import (
	"fmt"
	"maps"
	"slices"

	"github.com/cnmctl/cnmctl/state"
)

// sim is a kernel and a store that refuse what the real ones refuse, do what the real one
// does by itself, and hold a plan to what it says of that.
type sim struct {
	state.World
	// made tells the order of creation: the first address of a subnet is the primary one.
	made map[state.Key]int
	next int
	// loose: records may say what is not so: one could not be written, or something has not got
	// the name that they tell.
	loose bool
	// want is where the plan leads, for checks of claims and records.
	want state.World
}

func newSim(w, want state.World) *sim {
	s := &sim{World: state.World{}, made: map[state.Key]int{}, want: want}
	for _, k := range w.Keys() {
		s.put(w[k])
		s.born(k)
	}
	return s
}

// put keeps objects as they are read back: a live link does not tell what guards it.
func (s *sim) put(objects ...state.Object) {
	for _, o := range objects {
		if l, ok := o.(state.Link); ok {
			l.Guard = state.Key{}
			o = l
		}
		s.Add(o)
	}
}

func (s *sim) clone(want state.World) *sim {
	return &sim{World: maps.Clone(s.World), made: maps.Clone(s.made), next: s.next, want: want}
}

func (s *sim) born(k state.Key) {
	s.next++
	s.made[k] = s.next
}

func (s *sim) run(ops []state.Op) error {
	open := exposed(s.World)
	for _, op := range ops {
		if err := s.apply(op); err != nil {
			return fmt.Errorf("%s %s: %w", op.Action, op.Key, err)
		}
		now := exposed(s.World)
		for k := range now {
			if !open[k] && !exposed(s.want)[k] {
				return fmt.Errorf("%s %s: %s has no rules", op.Action, op.Key, k)
			}
		}
		open = now
	}
	return nil
}

// exposed are the tunnels whose packets no rule keeps from being sent in clear.
func exposed(w state.World) map[state.Key]bool {
	said := map[string]bool{}
	for _, o := range w {
		if r, ok := o.(state.Ruleset); ok {
			for _, c := range r.Chains {
				for _, rule := range c.Rules {
					said[rule.String()] = true
				}
			}
		}
	}
	open := map[state.Key]bool{}
	for k, o := range w {
		if l, ok := o.(state.Link); ok && l.Type == state.VXLAN {
			rule := state.FilterRule{Matches: []state.Match{state.VNIIs(l.Tunnel.VNI)}, Do: state.Statement{Verb: state.Drop}}
			open[k] = !said[rule.String()]
		}
	}
	maps.DeleteFunc(open, func(_ state.Key, is bool) bool { return !is })
	return open
}

func (s *sim) apply(op state.Op) error {
	switch op.Action {
	case state.Create:
		return s.create(op)
	case state.Update:
		return s.update(op)
	default:
		return s.remove(op)
	}
}

func (s *sim) create(op state.Op) error {
	objects := append([]state.Object{op.After}, op.Along...)
	for _, o := range objects {
		if _, there := s.World[o.Key()]; there {
			return fmt.Errorf("%s exists", o.Key())
		}
	}
	if isSecond(op.After) {
		return fmt.Errorf("the second end of a pair cannot be made alone")
	}
	for _, o := range op.Along {
		if k, ok := o.(state.MadeAlong).MadeBy(); !ok || k != op.Key {
			return fmt.Errorf("%s is not made by it", o.Key())
		}
	}
	if l, ok := op.After.(state.Link); ok && l.Type == state.Veth && len(op.Along) != 1 {
		return fmt.Errorf("a pair has two ends, this one has %d", 1+len(op.Along))
	}
	for _, o := range objects {
		if err := s.check(o); err != nil {
			return err
		}
	}
	s.put(objects...)
	for _, o := range objects {
		s.born(o.Key())
	}
	return nil
}

// check finds out whether an object can be set.
func (s *sim) check(o state.Object) error {
	for _, k := range o.Needs() {
		if o.Key().Place == state.Store && k.Place == state.Store {
			continue // records of a wave are written as a whole
		}
		_, file := o.(state.File) // a file can outlive its namespace, and a record what it names
		if s.World[k] == nil && (s.want[k] != nil || k.Place != state.Store && !file) {
			return fmt.Errorf("needs %s", k)
		}
	}
	if err := s.unique(o); err != nil {
		return err
	}
	switch o := o.(type) {
	case state.IPAddress:
		for k, w := range s.want {
			c, ok := w.(state.Claim)
			if held, there := s.World[k]; ok && c.IP == o.Prefix.Addr() && c.Mark == o.Mark && (!there || held != w) {
				return fmt.Errorf("is not claimed")
			}
		}
	case state.Route:
		if o.Via.IsValid() && !o.OnLink && reachable(s.want, o) && !reachable(s.World, o) {
			return fmt.Errorf("gateway %s is not reachable", o.Via)
		}
	case state.Network, state.Sandbox, state.Endpoint:
		return s.complete(o.Owner())
	}
	return nil
}

func (s *sim) unique(o state.Object) error {
	u, ok := o.(state.Unique)
	if !ok {
		return nil
	}
	for k, x := range s.World {
		v, ok := x.(state.Unique)
		if !ok || k == o.Key() || linkOf(x) == linkOf(o) {
			continue
		}
		for _, h := range v.Holds() {
			if slices.Contains(u.Holds(), h) {
				return fmt.Errorf("%s holds %s", k, h)
			}
		}
	}
	return nil
}

func linkOf(o state.Object) string {
	if a, ok := o.(state.IPAddress); ok {
		return a.Link
	}
	return ""
}

func reachable(w state.World, r state.Route) bool {
	for _, o := range w {
		a, ok := o.(state.IPAddress)
		if ok && a.Place == r.Place && a.Link == r.Dev && a.Prefix.Contains(r.Via) {
			return true
		}
	}
	return false
}

// complete: a record is published when all that it speaks of is there.
func (s *sim) complete(owner state.Owner) error {
	if s.loose {
		return nil
	}
	for k, o := range s.want {
		if o.Owner() == owner && k.Place != state.Store && s.World[k] == nil {
			return fmt.Errorf("published before %s is there", k)
		}
	}
	return nil
}

// rename gives an object a name that is free, and all that is in it or on it with it.
func (s *sim) rename(op state.Op) error {
	if _, there := s.World[op.Before.Key()]; !there {
		return fmt.Errorf("%s does not exist", op.Before.Key())
	}
	if _, taken := s.World[op.Key]; taken {
		return fmt.Errorf("the name is taken")
	}
	r := (&Plan{Ops: []state.Op{op}}).renaming()
	made := map[state.Key]int{}
	for k, o := range s.World {
		made[r.object(o).Key()] = s.made[k]
	}
	s.World, s.made = r.world(s.World), made
	return nil
}

func (s *sim) update(op state.Op) error {
	if renames(op) {
		return s.rename(op)
	}
	if _, there := s.World[op.Key]; !there {
		switch op.After.(type) {
		case state.IPAddress, state.Route: // replacing one adds it
			s.born(op.Key)
		default:
			return fmt.Errorf("does not exist")
		}
	}
	if state.Compare(op.After, op.Before).Replace {
		return fmt.Errorf("cannot be changed in place")
	}
	if err := s.check(op.After); err != nil {
		return err
	}
	s.put(op.After)
	return nil
}

func (s *sim) remove(op state.Op) error {
	if s.World[op.Key] == nil && op.Key.Kind == state.KindAddress {
		return nil // it went with another address of its subnet
	}
	if s.World[op.Key] == nil {
		return fmt.Errorf("does not exist")
	}
	taken := s.take(op.Key)
	said := map[state.Key]bool{op.Key: true}
	for _, o := range op.Along {
		said[o.Key()] = true
	}
	for _, k := range slices.SortedFunc(maps.Keys(taken), state.CompareKeys) {
		if !said[k] {
			return fmt.Errorf("takes %s along, which the plan does not say", k)
		}
	}
	if len(taken) != len(said) {
		return fmt.Errorf("takes %d objects, the plan says %d", len(taken), len(said))
	}
	for k := range taken {
		if err := s.orphans(k); err != nil {
			return err
		}
	}
	switch o := op.Before.(type) {
	case state.Claim:
		return s.released(o)
	case state.Ruleset:
		return s.unguarded(o.Place)
	}
	return s.withdrawn(taken)
}

// take deletes an object and what the kernel takes along, and returns it all.
func (s *sim) take(k state.Key) map[state.Key]state.Object {
	taken := map[state.Key]state.Object{}
	queue := []state.Key{k}
	for len(queue) > 0 {
		k, queue = queue[0], queue[1:]
		o := s.World[k]
		if o == nil {
			continue
		}
		taken[k] = o
		delete(s.World, k)
		for key, x := range s.World {
			if slices.Contains(x.Inside(), k) {
				queue = append(queue, key)
			}
		}
	}
	for _, o := range taken {
		s.habits(o)
	}
	return taken
}

// habits is what else the kernel does when an object goes.
func (s *sim) habits(gone state.Object) {
	switch gone := gone.(type) {
	case state.Link:
		for _, o := range s.World {
			if l, ok := o.(state.Link); ok && l.Place == gone.Place && l.Master == gone.Name {
				l.Master, l.Hairpin, l.Isolated = "", false, false
				s.Add(l)
			}
		}
	case state.IPAddress:
		s.addressGone(gone)
	}
}

func (s *sim) addressGone(gone state.IPAddress) {
	if s.World[state.LinkKey(gone.Place, gone.Link)] == nil {
		return
	}
	left := 0
	for k, o := range s.World {
		a, ok := o.(state.IPAddress)
		if !ok || a.Place != gone.Place || a.Link != gone.Link {
			continue
		}
		if a.Prefix.Masked() == gone.Prefix.Masked() && s.made[gone.Key()] < s.made[k] {
			delete(s.World, k) // it was secondary to the one that goes
		} else {
			left++
		}
	}
	for k, o := range s.World {
		r, ok := o.(state.Route)
		if ok && r.Place == gone.Place && r.Dev == gone.Link && (left == 0 || r.Src == gone.Prefix.Addr()) {
			delete(s.World, k)
		}
	}
}

// orphans: nothing may be left that needs what is gone.
func (s *sim) orphans(gone state.Key) error {
	for k, o := range s.World {
		if slices.Contains(o.Needs(), gone) && k.Place != state.Store && k.Kind != state.KindFile {
			return fmt.Errorf("%s needs %s", k, gone)
		}
	}
	return nil
}

// released: a claim is given back when nobody uses the address any more.
func (s *sim) released(c state.Claim) error {
	for k, o := range s.World {
		if a, ok := o.(state.IPAddress); ok && a.Mark == c.Mark && a.Prefix.Addr() == c.IP && s.want[k] == nil {
			return fmt.Errorf("released while %s is there", k)
		}
	}
	return nil
}

// unguarded: rules outlive the links that they guard.
func (s *sim) unguarded(p state.Place) error {
	for k := range s.World {
		if k.Kind == state.KindLink && k.Place == p && s.want[k] == nil {
			return fmt.Errorf("goes before %s", k)
		}
	}
	return nil
}

// withdrawn: nothing of a block goes while its record, which goes too, is still there.
func (s *sim) withdrawn(taken map[state.Key]state.Object) error {
	if s.loose {
		return nil
	}
	for k, o := range taken {
		for _, kind := range []state.Kind{state.KindNetwork, state.KindSandbox, state.KindEndpoint} {
			r := state.RecordKey(kind, o.Owner().Address)
			if s.World[r] != nil && s.want[r] == nil && k.Place != state.Store {
				return fmt.Errorf("%s goes before its record", k)
			}
		}
	}
	return nil
}

package planner

import "github.com/cnmctl/cnmctl/state"

// contents compares the contents of files. Thousands of hosts files change in the same
// way, and quoting 70 KB for each of them would take longer than all the rest of a plan.
type contents struct {
	last    change
	deltas  map[change]state.Delta
	current state.Delta
}

// change is from one content to another.
type change struct{ from, to string }

// compare is state.Compare for two files.
func (c *contents) compare(want, live state.File) state.Delta {
	ch := change{live.Content, want.Content}
	if ch == c.last { // strings that share their bytes are equal at once
		return c.current
	}
	d, ok := c.deltas[ch]
	if !ok {
		d = state.Compare(want, live)
		if c.deltas == nil {
			c.deltas = map[change]state.Delta{}
		}
		c.deltas[ch] = d
	}
	c.last, c.current = ch, d
	return d
}

// delta is how the node's live object differs from the wanted one.
func (d *diff) delta(n *node) state.Delta {
	if want, ok := n.want.(state.File); ok {
		if live, ok := n.live.(state.File); ok {
			return d.contents.compare(want, live)
		}
	}
	delta := state.Compare(n.want, n.live)
	if delta.Replace && len(d.moved) > 0 && !state.Compare(n.want, renameObject(n.live, d.moved)).Replace {
		// A reference to a block that has another name now still leads to the same block.
		delta.Replace = false
		for i := range delta.Fields {
			delta.Fields[i].Fixed = false
		}
	}
	return delta
}

package state

import (
	"strconv"
)

// block is a set or chain as lines: what can be added, removed and moved on its own.
type block struct {
	name, head string
	lines      []string
}

func (b block) lineName(i int) string { return b.name + "[" + strconv.Itoa(i) + "]" }

func (r Ruleset) blocks() []block {
	blocks := make([]block, 0, len(r.Sets)+len(r.Chains))
	for _, s := range r.Sets {
		b := block{name: s.Name, head: comment(s.types(), s.Owner)}
		if s.Interval {
			b.head += " flags interval"
		}
		for _, e := range s.Elements {
			b.lines = append(b.lines, s.element(e))
		}
		blocks = append(blocks, b)
	}
	for _, c := range r.Chains {
		b := block{name: c.Name, head: comment("chain", c.Owner)}
		if c.Hook != nil {
			b.head = c.Hook.String()
		}
		for _, rule := range c.Rules {
			b.lines = append(b.lines, rule.String())
		}
		blocks = append(blocks, b)
	}
	return blocks
}

func comment(text, owner string) string {
	if owner == "" {
		return text
	}
	return text + " comment " + nftQuote(owner)
}

// Differences implements Differ: a field for each line that comes, goes or is another,
// not one for each line that only moved down because of it.
func (r Ruleset) Differences(live Object) []Field {
	old, ok := live.(Ruleset)
	if !ok {
		old = Ruleset{}
	}
	if r.Equal(old) {
		return nil
	}
	fields := blockFields(old.blocks(), r.blocks())
	if r.Dormant != old.Dormant {
		fields = append(fields, Field{Name: "dormant", Old: strconv.FormatBool(old.Dormant), New: strconv.FormatBool(r.Dormant)})
	}
	if r.Others != old.Others {
		fields = append(fields, Field{Name: "other_objects", Old: strconv.Itoa(old.Others), New: strconv.Itoa(r.Others)})
	}
	if len(fields) == 0 {
		// What differs cannot be seen in a line: the order of chains, an opaque rule's bytes.
		fields = append(fields, Field{Name: "table", Old: "(the same words in another order)", New: r.Table})
	}
	return fields
}

func blockFields(old, new []block) []Field {
	before := make(map[string]block, len(old))
	for _, b := range old {
		before[b.name] = b
	}
	var fields []Field
	for _, b := range new {
		o := before[b.name]
		delete(before, b.name)
		if o.head != b.head {
			fields = append(fields, Field{Name: b.name, Old: o.head, New: b.head})
		}
		fields = append(fields, lineFields(o, b)...)
	}
	for _, b := range old {
		if _, left := before[b.name]; !left {
			continue
		}
		fields = append(fields, Field{Name: b.name, Old: b.head})
		fields = append(fields, lineFields(b, block{name: b.name})...)
	}
	return fields
}

// lineFields compares the lines of a block: the ends that are equal are skipped, what is
// between goes by the longest common subsequence.
func lineFields(old, new block) []Field {
	o, n, skip := old.lines, new.lines, 0
	for len(o) > 0 && len(n) > 0 && o[0] == n[0] {
		o, n, skip = o[1:], n[1:], skip+1
	}
	for len(o) > 0 && len(n) > 0 && o[len(o)-1] == n[len(n)-1] {
		o, n = o[:len(o)-1], n[:len(n)-1]
	}
	keepOld, keepNew := common(o, n)
	var fields []Field
	for i, j := 0, 0; i < len(o) || j < len(n); {
		gone, come := i < len(o) && !keepOld[i], j < len(n) && !keepNew[j]
		switch {
		case gone && come:
			fields = append(fields, Field{Name: new.lineName(skip + j), Old: o[i], New: n[j]})
		case gone:
			fields = append(fields, Field{Name: old.lineName(skip + i), Old: o[i]})
		case come:
			fields = append(fields, Field{Name: new.lineName(skip + j), New: n[j]})
		}
		if gone || !come {
			i++
		}
		if come || !gone {
			j++
		}
	}
	return fields
}

// common marks the lines of a longest common subsequence. Where the table of the textbook's
// algorithm would be too large (the elements of big maps), order does not count.
func common(a, b []string) (inA, inB []bool) {
	inA, inB = make([]bool, len(a)), make([]bool, len(b))
	const tooMany = 4_000_000
	if len(a)*len(b) > tooMany {
		markShared(a, b, inA, inB)
		return inA, inB
	}
	length := make([][]int32, len(a)+1)
	for i := range length {
		length[i] = make([]int32, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				length[i][j] = length[i+1][j+1] + 1
			} else {
				length[i][j] = max(length[i+1][j], length[i][j+1])
			}
		}
	}
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch {
		case a[i] == b[j]:
			inA[i], inB[j] = true, true
			i, j = i+1, j+1
		case length[i+1][j] >= length[i][j+1]:
			i++
		default:
			j++
		}
	}
	return inA, inB
}

// markShared marks the lines that are in both, as often as they are in both.
func markShared(a, b []string, inA, inB []bool) {
	at := make(map[string][]int, len(b))
	for j, line := range b {
		at[line] = append(at[line], j)
	}
	for i, line := range a {
		if js := at[line]; len(js) > 0 {
			inA[i], inB[js[0]] = true, true
			at[line] = js[1:]
		}
	}
}

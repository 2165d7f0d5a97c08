package state

// News is a revision of a stack's records with what led to it.
type News struct {
	Revision
	// Changes are the latest ones, the last of which led to the revision.
	Changes []Change
	// Begun: there is a change that is written in several parts, and not all of them are.
	Begun bool
}

// Change says which records one change was about.
type Change struct {
	// After is the index of the revision that was changed.
	After uint64
	// Keys are the store's, below the stack's own. One that ends in a slash stands for all
	// below it.
	Keys []string `json:",omitempty"`
}

// Since lists what has changed since a revision that was known. It is not ok when the news
// do not go back that far, or the revision was one of another time.
func (n News) Since(known Revision) (keys []string, ok bool) {
	if n.Revision == known {
		return nil, true
	}
	for i := len(n.Changes) - 1; i >= 0; i-- {
		keys = append(keys, n.Changes[i].Keys...)
		if n.Changes[i].After == known.Index {
			return keys, known.Index > 0 && known.Serial+uint64(len(n.Changes)-i) == n.Serial
		}
	}
	return nil, false
}

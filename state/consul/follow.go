package consul

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/consul/api"
)

// follower keeps what of a stack concerns a host, and reads again what has changed. All
// its keys are without the stack's root.
type follower struct {
	store  *Store
	host   string
	global func(driver string) bool

	// base is the revision that what is kept is at least as new as, but for what is stale.
	base state.Revision
	// doubted: somebody told of an older revision. It was a server that is behind, or the
	// store has lost data.
	doubted bool
	// anew: all was read since nothing was known, and maybe in the middle of a change.
	anew bool
	// read is the scope that was read, nil before all.
	read  map[string]bool
	stale map[string]bool
	// found are the records, and what says which endpoints are the host's.
	found map[string]kept
}

// kept is a key as it was read; object is nil for those under attached/.
type kept struct {
	object state.Object
	index  uint64
}

// Follow begins to read what of the records concerns a host.
func (s *Store) Follow(host string, global func(driver string) bool) state.Follower {
	return &follower{store: s, host: host, global: global}
}

// Hear takes note of news.
func (f *follower) Hear(news state.News) bool {
	switch {
	case f.read == nil:
		return true
	case news.Index < f.base.Index:
		f.doubted = true
		return true
	}
	f.hear(news)
	return f.read == nil || len(f.stale) > 0
}

// hear notes what is stale by news; all, if they do not go back to what is known.
func (f *follower) hear(news state.News) {
	keys, ok := news.Since(f.base)
	if !ok {
		f.read, f.stale = nil, nil
		return
	}
	f.base = news.Revision
	scope := scope(slices.Collect(maps.Keys(f.read)))
	for _, k := range keys {
		for _, part := range scope.touched(k) {
			f.stale[part] = true
		}
	}
}

// begin makes sure of the revision to read, unless that comes along with what is stale.
func (f *follower) begin(ctx context.Context) error {
	if f.read != nil && !f.doubted && len(keysIn(f.stale)) > 0 {
		return nil
	}
	news, err := f.store.Latest(ctx)
	if err != nil {
		return err
	}
	if f.doubted = false; f.read != nil {
		f.hear(news)
	}
	if f.read == nil {
		f.base, f.read, f.stale, f.found = news.Revision, map[string]bool{}, map[string]bool{}, map[string]kept{}
		f.anew = true
	}
	return nil
}

// keysIn lists the parts that are keys.
func keysIn(parts map[string]bool) (keys []string) {
	for part := range parts {
		if !strings.HasSuffix(part, "/") {
			keys = append(keys, part)
		}
	}
	return keys
}

// Read reads what there is news of.
func (f *follower) Read(ctx context.Context) (state.Share, error) {
	if err := f.begin(ctx); err != nil {
		return state.Share{}, err
	}
	if f.base.Index == 0 {
		// A Consul that has lost its data is asked by all hosts at once.
		if there, err := f.store.holds(ctx, whole); err != nil || !there {
			return state.Share{World: state.World{}}, err
		}
	}
	for parts := f.missing(); len(parts) > 0; parts = f.missing() {
		if err := f.fetch(ctx, parts); err != nil {
			return state.Share{}, err
		}
		if f.read == nil {
			return f.Read(ctx)
		}
	}
	f.narrow()
	share, err := f.share(ctx)
	if err == nil && f.anew {
		share.Partial, err = f.partial(ctx)
		f.anew = err != nil || share.Partial
	}
	return share, err
}

// partial reports that what was read may be some of a change that was not all there.
func (f *follower) partial(ctx context.Context) (bool, error) {
	now, err := f.store.Latest(ctx)
	return now.Begun || now.Revision != f.base, err
}

// missing is what has to be read now. What it says may tell of more.
func (f *follower) missing() []string {
	if len(f.stale) > 0 {
		return slices.Sorted(maps.Keys(f.stale))
	}
	return slices.DeleteFunc(f.scope(), func(part string) bool { return f.read[part] })
}

// scope is what concerns the host by what is known.
func (f *follower) scope() scope {
	if !f.read[hostDir] {
		return scope{hostDir}
	}
	var attached []string
	several, encrypted := false, false
	for key, k := range f.found {
		if n, is := k.object.(state.Network); is {
			encrypted = encrypted || n.Encrypted()
		}
		several = several || strings.HasPrefix(key, hostDir)
		if strings.HasPrefix(key, attachedDir) {
			attached = append(attached, key)
		}
	}
	if !several {
		return slices.Clone(whole)
	}
	s := scopeOf(f.host, attached, func(network string) (is, known bool) {
		n, known := f.found[networkDir+network].object.(state.Network)
		return known && f.global(n.Driver), known
	})
	if encrypted {
		s = append(s, keyringKey)
	}
	return s
}

// fetch reads parts: keys together, directories one by one.
func (f *follower) fetch(ctx context.Context, parts []string) error {
	var keys []string
	for _, part := range parts {
		if !strings.HasSuffix(part, "/") {
			keys = append(keys, part)
			continue
		}
		pairs, err := f.store.list(ctx, f.store.keys.root+part)
		if err == nil {
			err = f.take([]string{part}, pairs)
		}
		if err != nil {
			return err
		}
	}
	for some := range slices.Chunk(keys, fewKeys) {
		pairs, news, err := f.store.readKeys(ctx, some, f.base)
		if err == nil {
			err = f.take(some, pairs)
		}
		if err != nil {
			return err
		}
		if f.hear(news); f.read == nil {
			return nil
		}
	}
	return nil
}

// take puts what was read of the parts in the place of what was known of them.
func (f *follower) take(parts []string, pairs api.KVPairs) error {
	fresh := map[string]kept{}
	keys := f.store.keys
	for _, p := range pairs {
		k := kept{index: p.ModifyIndex}
		rest := strings.TrimPrefix(p.Key, keys.root)
		switch {
		case keys.kind(p.Key) != "":
			var err error
			if k.object, err = keys.decode(p.Key, p.Value, f.store.stack); err != nil {
				return err
			}
		case !strings.HasPrefix(rest, attachedDir) || strings.HasSuffix(rest, "/"):
			continue
		}
		fresh[rest] = k
	}
	for _, part := range parts {
		if strings.HasSuffix(part, "/") {
			maps.DeleteFunc(f.found, func(key string, _ kept) bool { return covers(part, key) })
		}
		delete(f.found, part)
		delete(f.stale, part)
		f.read[part] = true
	}
	maps.Copy(f.found, fresh)
	return nil
}

// narrow lets go of what does not concern the host any more.
func (f *follower) narrow() {
	scope := f.scope()
	wanted := make(map[string]bool, len(scope))
	for _, part := range scope {
		wanted[part] = true
	}
	maps.DeleteFunc(f.read, func(part string, _ bool) bool { return !wanted[part] })
	maps.DeleteFunc(f.found, func(key string, _ kept) bool {
		for dir := key; dir != ""; dir = parent(dir) {
			if wanted[dir] {
				return false
			}
		}
		return true
	})
}

// share is what was found. Of a record at two keys, the later one is true.
func (f *follower) share(ctx context.Context) (state.Share, error) {
	sh := state.Share{World: make(state.World, len(f.found)), Revision: f.base}
	newest := make(map[state.Key]uint64, len(f.found))
	for _, k := range f.found {
		if k.object == nil {
			continue
		}
		if key := k.object.Key(); k.index >= newest[key] {
			newest[key] = k.index
			sh.World[key] = k.object
		}
		kind := k.object.Key().Kind
		sh.Alive = sh.Alive || kind != state.KindHost && kind != state.KindKeyring
	}
	if sh.Alive || f.base.Index == 0 {
		return sh, nil
	}
	var err error
	sh.Alive, err = f.store.holds(ctx, scope{networkDir, sandboxDir, endpointDir})
	return sh, err
}

// holds reports that the stack has something of these.
func (s *Store) holds(ctx context.Context, of scope) (is bool, err error) {
	var there []string
	err = s.try(ctx, "listing the records of stack "+s.stack, func(ctx context.Context) (err error) {
		there, _, err = s.client.KV().Keys(s.keys.root, "/", consistent(ctx))
		return err
	})
	for _, part := range there {
		is = is || slices.Contains(of, strings.TrimPrefix(part, s.keys.root))
	}
	return is, err
}

// readKeys reads keys below the root, with the revision. The leader answers by itself; only
// if it is one no longer, and behind what is known, the others are asked too.
func (s *Store) readKeys(ctx context.Context, keys []string, known state.Revision) (pairs api.KVPairs, now state.News, err error) {
	ops := api.TxnOps{s.op(api.KVGetOrEmpty, s.keys.revision())}
	for _, k := range keys {
		ops = append(ops, s.op(api.KVGetOrEmpty, s.keys.root+k))
	}
	for _, opts := range []*api.QueryOptions{{}, {RequireConsistent: true}} {
		if pairs, err = s.transact(ctx, ops, opts); err != nil {
			return nil, now, err
		}
		i := slices.IndexFunc(pairs, func(p *api.KVPair) bool { return p.Key == s.keys.revision() })
		if now = (state.News{}); i >= 0 {
			e, err := s.edition(entry{string(pairs[i].Value), pairs[i].ModifyIndex})
			if err != nil {
				return nil, now, err
			}
			now = e.news()
		}
		if now.Index >= known.Index {
			break
		}
	}
	return pairs, now, nil
}

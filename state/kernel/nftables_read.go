package kernel

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"slices"
	"strings"

	"github.com/cnmctl/cnmctl/state"
	"github.com/google/nftables/userdata"
	"golang.org/x/sys/unix"
)

// liveTable is a table as it is read.
type liveTable struct {
	state.Ruleset
	// owner is the stack that the table's comment names, "" when it names none.
	owner string
	// members is how many sets, chains and other things are in the table.
	members uint32
}

// readTable reads a table with all that is in it. The parts come in several dumps, so it
// is read again when a transaction came between them.
func (c *filterConn) readTable(ctx context.Context, name string) (liveTable, error) {
	for range dumpTries {
		c.seen = generations{}
		t, err := c.readTableOnce(ctx, name)
		if err != nil || !c.seen.several {
			return t, err
		}
	}
	return liveTable{}, errInterrupted
}

// readTableOnce reads a table; of one without a mark only that it is there.
func (c *filterConn) readTableOnce(ctx context.Context, name string) (liveTable, error) {
	t, err := c.tableHead(name)
	if err != nil || t.owner == "" {
		return t, err
	}
	if t.Chains, err = c.chains(ctx, name); err != nil {
		return t, err
	}
	if err := c.rules(ctx, name, t.Chains); err != nil {
		return t, err
	}
	if t.Sets, err = c.sets(ctx, name); err != nil {
		return t, err
	}
	t.Others = int(t.members) - len(t.Chains) - len(t.Sets)
	return t, nil
}

// tableHead reads the table without what is in it.
func (c *filterConn) tableHead(name string) (liveTable, error) {
	t := liveTable{Ruleset: state.Ruleset{Table: name}}
	body, err := c.ask(unix.NFT_MSG_GETTABLE, c.request(unix.NFTA_TABLE_NAME, name, 0, ""))
	if err != nil {
		return t, err
	}
	attrs(body, func(typ uint16, data []byte) {
		switch typ {
		case unix.NFTA_TABLE_FLAGS:
			t.Dormant = be32(data)&nftTableDormant != 0
		case unix.NFTA_TABLE_USE:
			t.members = be32(data)
		case nftaTableUserdata:
			if comment, ok := onlyComment(data, tableComment); ok {
				t.owner, ok = strings.CutPrefix(comment, state.StackMark(""))
				if !ok {
					t.owner = ""
				}
			}
		}
	})
	t.Mark = state.Owner{Stack: t.owner}
	return t, nil
}

func be32(data []byte) uint32 {
	if len(data) != 4 {
		return 0
	}
	return binary.BigEndian.Uint32(data)
}

func text(data []byte) string { return string(bytes.TrimRight(data, "\x00")) }

// chains reads the table's chains, without their rules. The kernel dumps those of all
// tables of the family.
func (c *filterConn) chains(ctx context.Context, table string) ([]state.Chain, error) {
	var chains []state.Chain
	err := c.list(ctx, unix.NFT_MSG_GETCHAIN, c.request(unix.NFTA_CHAIN_TABLE, table, 0, ""), func(body []byte) {
		if of, ch := parseChain(body); of == table {
			chains = append(chains, ch)
		}
	})
	return chains, err
}

func parseChain(body []byte) (table string, c state.Chain) {
	hook := state.Hook{Policy: state.Accept}
	attrs(body, func(typ uint16, data []byte) {
		switch typ {
		case unix.NFTA_CHAIN_TABLE:
			table = text(data)
		case unix.NFTA_CHAIN_NAME:
			c.Name = text(data)
		case unix.NFTA_CHAIN_TYPE:
			hook.Type = text(data)
		case unix.NFTA_CHAIN_POLICY:
			if be32(data) == policyDrop {
				hook.Policy = state.Drop
			}
		case unix.NFTA_CHAIN_HOOK:
			c.Hook = &hook
			attrs(data, func(typ uint16, data []byte) {
				switch n := be32(data); typ {
				case unix.NFTA_HOOK_HOOKNUM:
					hook.Hook = "ingress"
					if int(n) < len(hooks) {
						hook.Hook = hooks[n]
					}
				case unix.NFTA_HOOK_PRIORITY:
					hook.Priority = int(int32(n))
				}
			})
		case nftaChainUserdata:
			c.Owner, _ = onlyComment(data, chainComment)
		}
	})
	return table, c
}

// rules reads the rules of the table into its chains.
func (c *filterConn) rules(ctx context.Context, table string, chains []state.Chain) error {
	at := make(map[string]*state.Chain, len(chains))
	for i := range chains {
		at[chains[i].Name] = &chains[i]
	}
	return c.list(ctx, unix.NFT_MSG_GETRULE, c.request(unix.NFTA_RULE_TABLE, table, 0, ""), func(body []byte) {
		var of, chain string
		var exprs, comment []byte
		attrs(body, func(typ uint16, data []byte) {
			switch typ {
			case unix.NFTA_RULE_TABLE:
				of = text(data)
			case unix.NFTA_RULE_CHAIN:
				chain = text(data)
			case unix.NFTA_RULE_EXPRESSIONS:
				exprs = data
			case unix.NFTA_RULE_USERDATA:
				comment = data
			}
		})
		if ch := at[chain]; ch != nil && of == table {
			ch.Rules = append(ch.Rules, c.known.rule(exprs, comment))
		}
	})
}

// sets reads the table's sets with their elements.
func (c *filterConn) sets(ctx context.Context, table string) ([]state.Set, error) {
	var heads [][]byte
	err := c.list(ctx, unix.NFT_MSG_GETSET, c.request(unix.NFTA_SET_TABLE, table, 0, ""), func(body []byte) {
		heads = append(heads, body)
	})
	if err != nil {
		return nil, err
	}
	var sets []state.Set
	for _, head := range heads {
		of, s := parseSet(head)
		if of != table {
			continue
		}
		var lists [][]byte
		request := c.request(unix.NFTA_SET_ELEM_LIST_TABLE, table, unix.NFTA_SET_ELEM_LIST_SET, s.Name)
		err := c.list(ctx, unix.NFT_MSG_GETSETELEM, request, func(body []byte) {
			attrs(body, func(typ uint16, data []byte) {
				if typ == unix.NFTA_SET_ELEM_LIST_ELEMENTS {
					lists = append(lists, bytes.Clone(data))
				}
			})
		})
		if err != nil {
			return nil, err
		}
		sets = append(sets, withElements(s, head, lists))
	}
	slices.SortStableFunc(sets, func(a, b state.Set) int { return cmp.Compare(a.Name, b.Name) })
	return sets, nil
}

// oddSet are the flags of sets that cnmctl does not write.
const oddSet = unix.NFT_SET_ANONYMOUS | unix.NFT_SET_CONSTANT |
	unix.NFT_SET_TIMEOUT | unix.NFT_SET_EVAL | unix.NFT_SET_OBJECT

// parseSet reads a set without its elements. One that is not like ours has no Key.
func parseSet(head []byte) (table string, s state.Set) {
	var flags, keyType, keyLen, dataType, dataLen uint32
	attrs(head, func(typ uint16, data []byte) {
		switch typ {
		case unix.NFTA_SET_TABLE:
			table = text(data)
		case unix.NFTA_SET_NAME:
			s.Name = text(data)
		case unix.NFTA_SET_FLAGS:
			flags = be32(data)
		case unix.NFTA_SET_KEY_TYPE:
			keyType = be32(data)
		case unix.NFTA_SET_KEY_LEN:
			keyLen = be32(data)
		case unix.NFTA_SET_DATA_TYPE:
			dataType = be32(data)
		case unix.NFTA_SET_DATA_LEN:
			dataLen = be32(data)
		case unix.NFTA_SET_USERDATA:
			s.Owner, _ = userdata.GetString(data, setComment)
		}
	})
	// Ranges of a single field are written in another way, which we do not use.
	s.Interval = flags&unix.NFT_SET_INTERVAL != 0
	ok := flags&oddSet == 0 && (!s.Interval || flags&nftSetConcat != 0)
	if dataType == unix.NFT_DATA_VERDICT {
		s.Data = state.TypeVerdict
	} else if flags&unix.NFT_SET_MAP != 0 && ok {
		s.Data, ok = typesOf(dataType, dataLen)
	}
	if ok {
		if s.Key, ok = typesOf(keyType, keyLen); !ok {
			s.Key = ""
		}
	}
	return table, s
}

// withElements adds the elements, or keeps a set that is not like ours as it is.
func withElements(s state.Set, head []byte, lists [][]byte) state.Set {
	opaque := state.Set{Name: s.Name, Data: s.Data, Opaque: &state.OpaqueSet{Attrs: keepSet(head), Elements: inOrder(head, lists)}}
	if s.Key == "" {
		return opaque
	}
	types, ok := elementTypesOf(s)
	if !ok {
		return opaque
	}
	for _, list := range lists {
		ok := true
		attrs(list, func(_ uint16, elem []byte) {
			e, known := types.parse(elem)
			ok = ok && known
			s.Elements = append(s.Elements, e)
		})
		if !ok {
			return opaque
		}
	}
	slices.SortFunc(s.Elements, func(a, b state.Element) int { return cmp.Compare(a.Key, b.Key) })
	return s
}

// inOrder sorts the elements of a hash table, which come in an order that is another each
// time the table is made. The elements of intervals depend on their order, and have one.
func inOrder(head []byte, lists [][]byte) [][]byte {
	var flags uint32
	attrs(head, func(typ uint16, data []byte) {
		if typ == unix.NFTA_SET_FLAGS {
			flags = be32(data)
		}
	})
	if flags&unix.NFT_SET_INTERVAL != 0 {
		return lists
	}
	var elements [][]byte
	for _, list := range lists {
		attrs(list, func(_ uint16, elem []byte) { elements = append(elements, elem) })
	}
	slices.SortFunc(elements, bytes.Compare)
	var sorted [][]byte
	for part := range slices.Chunk(elements, elementsPerMessage) {
		var m message
		for _, elem := range part {
			m.attr(unix.NFTA_LIST_ELEM|unix.NLA_F_NESTED, elem)
		}
		sorted = append(sorted, m.b)
	}
	return sorted
}

// keepSet is what of a set's description the kernel takes back.
func keepSet(head []byte) []byte {
	var m message
	attrs(head, func(typ uint16, data []byte) {
		switch typ {
		case unix.NFTA_SET_NAME, unix.NFTA_SET_FLAGS, unix.NFTA_SET_KEY_TYPE, unix.NFTA_SET_KEY_LEN,
			unix.NFTA_SET_DATA_TYPE, unix.NFTA_SET_DATA_LEN, unix.NFTA_SET_POLICY, unix.NFTA_SET_TIMEOUT,
			unix.NFTA_SET_GC_INTERVAL, unix.NFTA_SET_USERDATA, unix.NFTA_SET_OBJ_TYPE:
			m.attr(typ, data)
		case unix.NFTA_SET_DESC, nftaSetExpr, nftaSetExpressions:
			m.attr(typ|unix.NLA_F_NESTED, data)
		}
	})
	return m.b
}

// elementTypes are what the elements of a set are made of.
type elementTypes struct {
	interval, verdict bool
	key, data         types
}

func elementTypesOf(s state.Set) (t elementTypes, ok bool) {
	t.interval, t.verdict = s.Interval, s.Data == state.TypeVerdict
	var err error
	if t.key, err = dataTypes(s.Key); err != nil {
		return t, false
	}
	if s.Data != "" && !t.verdict {
		t.data, err = dataTypes(s.Data)
	}
	return t, err == nil
}

// parse reads an element, and reports whether there is no more to it than that.
func (t elementTypes) parse(elem []byte) (e state.Element, ok bool) {
	ok = true
	var first, last []byte
	attrs(elem, func(typ uint16, data []byte) {
		var err error
		switch typ {
		case unix.NFTA_SET_ELEM_KEY:
			first = dataValue(data)
		case nftaSetElemKeyEnd:
			last = dataValue(data)
		case unix.NFTA_SET_ELEM_DATA:
			err = t.parseData(data, &e)
		case unix.NFTA_SET_ELEM_USERDATA:
			var only bool
			e.Owner, only = onlyComment(data, elementComment)
			ok = ok && only
		default:
			ok = false
		}
		ok = ok && err == nil
	})
	var err error
	if t.interval {
		e.Key, err = t.key.decodeRange(first, last)
	} else {
		e.Key, err = t.key.decode(first)
		ok = ok && last == nil
	}
	return e, ok && err == nil
}

func (t elementTypes) parseData(data []byte, e *state.Element) (err error) {
	if t.verdict {
		e.Do, err = decodeVerdict(data)
		return err
	}
	e.Data, err = t.data.decode(dataValue(data))
	return err
}

// dataValue is the value in struct nft_data's attributes.
func dataValue(data []byte) (value []byte) {
	attrs(data, func(typ uint16, v []byte) {
		if typ == unix.NFTA_DATA_VALUE {
			value = v
		}
	})
	return value
}

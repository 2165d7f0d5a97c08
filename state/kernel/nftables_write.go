package kernel

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/cnmctl/cnmctl/state"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"golang.org/x/sys/unix"
)

// What golang.org/x/sys/unix lacks of linux/netfilter/nf_tables.h.
const (
	nftaTableUserdata        = 6
	nftaChainUserdata        = 12
	nftaSetExpr              = 17
	nftaSetExpressions       = 18
	nftaSetDescConcat        = 2
	nftaSetField             = 1
	policyDrop, policyAccept = 0, 1 // NF_DROP and NF_ACCEPT of linux/netfilter.h
	nftTableDormant          = 1
	nftSetConcat             = 0x80
	nftaSetElemKeyEnd        = 10
)

// The types of comments in user data (libnftnl/udata.h).
const (
	tableComment   userdata.Type = 0
	chainComment   userdata.Type = 0
	ruleComment                  = userdata.TypeComment
	setComment                   = userdata.NFTNL_UDATA_SET_COMMENT
	elementComment               = userdata.NFTNL_UDATA_SET_ELEM_COMMENT
)

func (t *transaction) addTable(comment string) {
	t.begin("adding the table", unix.NFT_MSG_NEWTABLE, unix.NLM_F_CREATE)
	t.text(unix.NFTA_TABLE_NAME, t.table)
	if comment != "" {
		t.attr(nftaTableUserdata, userdata.AppendString(nil, tableComment, comment))
	}
	t.end()
}

// hooks are the numbers of enum nf_inet_hooks.
var hooks = []string{"prerouting", "input", "forward", "output", "postrouting"}

func (t *transaction) addChain(c state.Chain) error {
	what := "adding chain " + c.Name
	t.begin(what, unix.NFT_MSG_NEWCHAIN, unix.NLM_F_CREATE)
	t.text(unix.NFTA_CHAIN_TABLE, t.table)
	t.text(unix.NFTA_CHAIN_NAME, c.Name)
	if h := c.Hook; h != nil {
		number := slices.Index(hooks, h.Hook)
		if number < 0 {
			return fmt.Errorf("%s: %q is not a hook", what, h.Hook)
		}
		t.nest(unix.NFTA_CHAIN_HOOK, func() {
			t.be32(unix.NFTA_HOOK_HOOKNUM, uint32(number))
			t.be32(unix.NFTA_HOOK_PRIORITY, uint32(int32(h.Priority)))
		})
		policy := uint32(policyAccept)
		if h.Policy == state.Drop {
			policy = policyDrop
		}
		t.be32(unix.NFTA_CHAIN_POLICY, policy)
		t.text(unix.NFTA_CHAIN_TYPE, h.Type)
	}
	if c.Owner != "" {
		t.attr(nftaChainUserdata, userdata.AppendString(nil, chainComment, c.Owner))
	}
	t.end()
	return nil
}

// addRule adds a rule at the end of its chain.
func (t *transaction) addRule(chain string, i int, r state.FilterRule) error {
	what := fmt.Sprintf("adding rule %d of chain %s (%s)", i+1, chain, r)
	exprs, comment := []byte(nil), []byte(nil)
	if r.Opaque != nil {
		exprs, comment = r.Opaque.Exprs, r.Opaque.Userdata
	} else {
		var err error
		if exprs, err = marshalRule(r); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		if r.Owner != "" {
			comment = userdata.AppendString(nil, ruleComment, r.Owner)
		}
	}
	t.begin(what, unix.NFT_MSG_NEWRULE, unix.NLM_F_CREATE|unix.NLM_F_APPEND)
	t.text(unix.NFTA_RULE_TABLE, t.table)
	t.text(unix.NFTA_RULE_CHAIN, chain)
	t.attr(unix.NFTA_RULE_EXPRESSIONS|unix.NLA_F_NESTED, exprs)
	if len(comment) > 0 {
		t.attr(unix.NFTA_RULE_USERDATA, comment)
	}
	t.end()
	return nil
}

// marshalRule is a rule as a list of attributes.
func marshalRule(r state.FilterRule) ([]byte, error) {
	exprs, err := encodeRule(r)
	if err != nil {
		return nil, err
	}
	return marshalExprs(exprs)
}

func marshalExprs(exprs []expr.Any) ([]byte, error) {
	var m message
	for _, e := range exprs {
		if raw, is := e.(rawExpr); is {
			m.attr(unix.NFTA_LIST_ELEM|unix.NLA_F_NESTED, raw.bytes())
			continue
		}
		b, err := expr.Marshal(familyInet, e)
		if err != nil {
			return nil, err
		}
		m.attr(unix.NFTA_LIST_ELEM|unix.NLA_F_NESTED, b)
	}
	return m.b, nil
}

// addSet adds a set with its elements.
func (t *transaction) addSet(s state.Set) error {
	what := "adding " + s.Word() + " " + s.Name
	if s.Opaque != nil {
		t.addOpaqueSet(what, s)
		return nil
	}
	key, err := dataTypes(s.Key)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	flags := uint32(0)
	if s.Data != "" {
		flags |= unix.NFT_SET_MAP
	}
	if len(key) > 1 {
		flags |= nftSetConcat
	}
	if s.Interval {
		flags |= unix.NFT_SET_INTERVAL
	}
	t.begin(what, unix.NFT_MSG_NEWSET, unix.NLM_F_CREATE)
	t.text(unix.NFTA_SET_TABLE, t.table)
	t.text(unix.NFTA_SET_NAME, s.Name)
	t.be32(unix.NFTA_SET_FLAGS, flags)
	t.be32(unix.NFTA_SET_KEY_TYPE, key.magic())
	t.be32(unix.NFTA_SET_KEY_LEN, key.size())
	if err := t.mapData(s); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	// The kernel wants a number by which the transaction could refer to the set.
	t.be32(unix.NFTA_SET_ID, uint32(len(t.what)))
	if len(key) > 1 {
		t.nest(unix.NFTA_SET_DESC, func() { t.fields(key) })
	}
	t.attr(unix.NFTA_SET_USERDATA, setUserdata(s, key))
	t.end()
	return t.addElements(what, s, key)
}

// mapData says what a map leads to.
func (t *transaction) mapData(s state.Set) error {
	switch s.Data {
	case "":
	case state.TypeVerdict:
		t.be32(unix.NFTA_SET_DATA_TYPE, unix.NFT_DATA_VERDICT)
		t.be32(unix.NFTA_SET_DATA_LEN, 0)
	default:
		data, err := dataTypes(s.Data)
		if err != nil {
			return err
		}
		t.be32(unix.NFTA_SET_DATA_TYPE, data.magic())
		t.be32(unix.NFTA_SET_DATA_LEN, data.size())
	}
	return nil
}

// fields describes a key of several parts, without which nft cannot list it.
func (t *transaction) fields(key types) {
	t.nest(nftaSetDescConcat, func() {
		for _, part := range key {
			t.nest(unix.NFTA_LIST_ELEM, func() { t.be32(nftaSetField, part.Bytes) })
		}
	})
}

// setUserdata is what nft wants to find there: the byte order of keys, and the comment.
func setUserdata(s state.Set, key types) []byte {
	order := uint32(byteOrderBig)
	if key.native() {
		order = byteOrderHost
	}
	data := userdata.AppendUint32(nil, userdata.NFTNL_UDATA_SET_KEYBYTEORDER, order)
	if s.Owner != "" {
		data = userdata.AppendString(data, setComment, s.Owner)
	}
	return data
}

// elementsPerMessage keeps a list within the 64 KiB of an attribute.
const elementsPerMessage = 200

func (t *transaction) addElements(what string, s state.Set, key types) error {
	return t.elementLists(what, unix.NFT_MSG_NEWSETELEM, unix.NLM_F_CREATE, s, key)
}

// elementLists writes the elements of a set in messages of the type.
func (t *transaction) elementLists(what string, typ, flags uint16, s state.Set, key types) error {
	for from := 0; from < len(s.Elements); from += elementsPerMessage {
		part := s.Elements[from:min(from+elementsPerMessage, len(s.Elements))]
		t.beginElements(what+", elements "+strconv.Itoa(from+1)+" to "+strconv.Itoa(from+len(part)), typ, flags, s.Name)
		var failed error
		t.nest(unix.NFTA_SET_ELEM_LIST_ELEMENTS, func() {
			for _, e := range part {
				if err := t.element(s, key, e); err != nil && failed == nil {
					failed = fmt.Errorf("%s: element %q: %w", what, e.Key, err)
				}
			}
		})
		if failed != nil {
			return failed
		}
		t.end()
	}
	return nil
}

func (t *transaction) beginElements(what string, typ, flags uint16, set string) {
	t.begin(what, typ, flags)
	t.text(unix.NFTA_SET_ELEM_LIST_TABLE, t.table)
	t.text(unix.NFTA_SET_ELEM_LIST_SET, set)
}

func (t *transaction) element(s state.Set, key types, e state.Element) error {
	k, last, err := key.encodeElement(s, e)
	if err != nil {
		return err
	}
	data := []byte(nil)
	if s.Data != "" && s.Data != state.TypeVerdict {
		types, err := dataTypes(s.Data)
		if err != nil {
			return err
		}
		if data, err = types.encode(e.Data); err != nil {
			return err
		}
	}
	code, ok := verdicts[e.Do.Verb]
	if s.Data == state.TypeVerdict && !ok {
		return fmt.Errorf("%q is no verdict", e.Do)
	}
	t.nest(unix.NFTA_LIST_ELEM, func() {
		t.nest(unix.NFTA_SET_ELEM_KEY, func() { t.attr(unix.NFTA_DATA_VALUE, k) })
		if last != nil {
			t.nest(nftaSetElemKeyEnd, func() { t.attr(unix.NFTA_DATA_VALUE, last) })
		}
		switch {
		case s.Data == state.TypeVerdict:
			t.nest(unix.NFTA_SET_ELEM_DATA, func() {
				t.nest(unix.NFTA_DATA_VERDICT, func() {
					t.be32(unix.NFTA_VERDICT_CODE, uint32(int32(code)))
					if e.Do.Chain != "" {
						t.text(unix.NFTA_VERDICT_CHAIN, e.Do.Chain)
					}
				})
			})
		case s.Data != "":
			t.nest(unix.NFTA_SET_ELEM_DATA, func() { t.attr(unix.NFTA_DATA_VALUE, data) })
		}
		if e.Owner != "" {
			t.attr(unix.NFTA_SET_ELEM_USERDATA, userdata.AppendString(nil, elementComment, e.Owner))
		}
	})
	return nil
}

// encodeElement is the element's key; last is nil unless it is a range.
func (t types) encodeElement(s state.Set, e state.Element) (first, last []byte, err error) {
	if s.Interval {
		return t.encodeRange(e.Key)
	}
	first, err = t.encode(e.Key)
	return first, nil, err
}

// addOpaqueSet puts a set back as the kernel described it.
func (t *transaction) addOpaqueSet(what string, s state.Set) {
	t.begin(what, unix.NFT_MSG_NEWSET, unix.NLM_F_CREATE)
	t.text(unix.NFTA_SET_TABLE, t.table)
	t.be32(unix.NFTA_SET_ID, uint32(len(t.what)))
	t.b = append(t.b, s.Opaque.Attrs...)
	t.end()
	for _, list := range s.Opaque.Elements {
		t.beginElements(what+", elements", unix.NFT_MSG_NEWSETELEM, unix.NLM_F_CREATE, s.Name)
		t.attr(unix.NFTA_SET_ELEM_LIST_ELEMENTS|unix.NLA_F_NESTED, list)
		t.end()
	}
}

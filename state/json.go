package state

import (
	"encoding/json"
	"fmt"
)

// Envelope is an object on disk: its kind beside it, so that it can be read back. A file of
// many objects is read as envelopes, which are then opened: to look for the end of each object
// again costs as much as to read it.
type Envelope struct {
	Kind   Kind            `json:"kind"`
	Object json.RawMessage `json:"object"`
}

// The kinds of stand-ins, which exist only in memory and in saved plans.
const (
	kindForeign Kind = "foreign"
	kindAdopted Kind = "adopted"
)

// EncodeObject writes an object with its kind, as JSON.
func EncodeObject(o Object) ([]byte, error) {
	kind := o.Key().Kind
	switch o.(type) {
	case Foreign:
		kind = kindForeign
	case Adopted:
		kind = kindAdopted
	}
	body, err := json.Marshal(o)
	if err != nil {
		return nil, fmt.Errorf("encoding %s: %w", o.Key(), err)
	}
	return json.Marshal(Envelope{kind, body})
}

// DecodeObject reads what EncodeObject wrote. Unknown kinds are an error: a file from a
// newer cnmctl is refused rather than half understood.
func DecodeObject(b []byte) (Object, error) {
	var e Envelope
	if err := Unmarshal(b, &e); err != nil {
		return nil, fmt.Errorf("decoding an object: %w", err)
	}
	return e.Open()
}

// Open reads the object.
func (e Envelope) Open() (Object, error) {
	switch e.Kind {
	case KindNamespace:
		return decodeAs[Namespace](e)
	case KindLink:
		return decodeAs[Link](e)
	case KindAddress:
		return decodeAs[IPAddress](e)
	case KindRoute:
		return decodeAs[Route](e)
	case KindRule:
		return decodeAs[Rule](e)
	case KindNeighbor:
		return decodeAs[Neighbor](e)
	case KindFDB:
		return decodeAs[FDB](e)
	case KindQdisc:
		return decodeAs[Qdisc](e)
	case KindRedirect:
		return decodeAs[Redirect](e)
	case KindSysctl:
		return decodeAs[Sysctl](e)
	case KindRuleset:
		return decodeAs[Ruleset](e)
	case KindFile:
		return decodeAs[File](e)
	case KindClaim:
		return decodeAs[Claim](e)
	case KindNetwork:
		return decodeAs[Network](e)
	case KindEndpoint:
		return decodeAs[Endpoint](e)
	case KindSandbox:
		return decodeAs[Sandbox](e)
	case KindHost:
		return decodeAs[HostRecord](e)
	case KindIPsecState:
		return decodeAs[IPsecState](e)
	case KindIPsecPolicy:
		return decodeAs[IPsecPolicy](e)
	case KindKeyring:
		return decodeAs[Keyring](e)
	case KindOutput:
		return decodeAs[Output](e)
	case KindPolicy:
		return decodeAs[Policy](e)
	case KindPool:
		return decodeAs[Pool](e)
	case KindLease:
		return decodeAs[Lease](e)
	case KindPluginNetwork:
		return decodeAs[PluginNetwork](e)
	case KindPluginEndpoint:
		return decodeAs[PluginEndpoint](e)
	case KindAllocation:
		return decodeAs[Allocation](e)
	case KindWayOut:
		return decodeAs[WayOut](e)
	case KindNode:
		return decodeAs[Node](e)
	case kindForeign:
		return decodeAs[Foreign](e)
	case kindAdopted:
		return decodeAs[Adopted](e)
	}
	return nil, fmt.Errorf("decoding an object: unknown kind %q", e.Kind)
}

func decodeAs[T Object](e Envelope) (Object, error) {
	var o T
	if err := Unmarshal(e.Object, &o); err != nil {
		return nil, fmt.Errorf("decoding a %s: %w", e.Kind, err)
	}
	return o, nil
}

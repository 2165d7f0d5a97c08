package consul

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/consul/api"
)

// The services of a stack are in Consul's catalog, on a node of the stack's own: one that
// has no agent. They are written in the transactions of the endpoints' records, so there is
// no moment, and no dead process, between the one and the other; whoever removes a record
// removes its service, on whichever host. An agent's own services (agent/service/register)
// would be gone with its Consul, and come and go with our processes, although what they
// speak of needs neither.

// nowhere is the address of the node. Each service has one of its own.
const nowhere = "0.0.0.0"

// registration is a service in the catalog.
type registration struct {
	state.Service
	address string
}

// registrationOf is what the catalog shall say of an object; nil for nothing.
func registrationOf(o state.Object) *registration {
	e, ok := o.(state.Endpoint)
	if !ok || e.Service == nil || e.Sandbox == "" {
		return nil
	}
	address := e.ServiceAddress()
	if !address.IsValid() {
		return nil
	}
	return &registration{*e.Service, address.String()}
}

func (r *registration) equal(other *registration) bool {
	if r == nil || other == nil {
		return r == other
	}
	return r.address == other.address && r.Service.Equal(&other.Service)
}

// serviceID is a service's among those of the stack.
func serviceID(k state.Key) string { return component(k.Name) }

// serves reports that the catalog has to do with a wave.
func serves(live state.World, wave []state.Op) bool {
	return slices.ContainsFunc(wave, func(op state.Op) bool {
		return slices.ContainsFunc([]state.Object{live[op.Key], op.Before, op.After}, func(o state.Object) bool {
			e, ok := o.(state.Endpoint)
			return ok && e.Service != nil
		})
	})
}

// registered is what the catalog says of the stack's services, by their IDs; of their checks
// only if it is asked for.
func (s *Store) registered(ctx context.Context, checked bool) (map[string]*registration, error) {
	found := map[string]*registration{}
	err := s.try(ctx, "reading the services of stack "+s.stack, func(ctx context.Context) error {
		clear(found)
		node, meta, err := s.client.Catalog().Node(s.node, consistent(ctx))
		if err != nil {
			return err
		}
		if meta.ResultsFilteredByACLs {
			return hidden("service:read", s.node)
		}
		if node == nil {
			return nil
		}
		for id, v := range node.Services {
			found[id] = &registration{state.Service{Name: v.Service, Port: uint16(v.Port), Tags: v.Tags}, v.Address}
		}
		return nil
	})
	if err != nil || !checked || len(found) == 0 {
		return found, err
	}
	return found, s.addChecks(ctx, found)
}

// witness puts into the endpoints of a world what the catalog really says, so that a plan
// shows what somebody else has changed there.
func (s *Store) witness(ctx context.Context, w state.World) error {
	if !slices.ContainsFunc(slices.Collect(maps.Values(w)), func(o state.Object) bool { return registrationOf(o) != nil }) {
		return nil
	}
	found, err := s.registered(ctx, slices.ContainsFunc(slices.Collect(maps.Values(w)), isChecked))
	if err != nil {
		return err
	}
	for k, o := range w {
		want, have := registrationOf(o), found[serviceID(k)]
		if want == nil || want.equal(have) {
			continue
		}
		e := o.(state.Endpoint)
		e.Service = nil
		if have != nil && have.address == want.address {
			e.Service = &have.Service
		}
		w[k] = e
	}
	return nil
}

// services are the changes of the catalog for the endpoints of a wave. The last service
// takes the node along.
func (s *Store) services(ctx context.Context, live, after state.World, wave []state.Op) ([]change, error) {
	if !serves(live, wave) {
		return nil, nil
	}
	found, err := s.registered(ctx, checksIn(live, wave))
	if err != nil {
		return nil, err
	}
	there := len(found)
	var all []change
	for _, op := range wave {
		if op.Key.Kind != state.KindEndpoint {
			continue
		}
		id := serviceID(op.Key)
		want, have := registrationOf(after[op.Key]), found[id]
		if want.equal(have) {
			continue
		}
		c := change{key: op.Key}
		if have != nil && (want == nil || want.Name != have.Name) {
			c.ops = append(c.ops, s.serviceOp(api.ServiceDelete, id, have))
		}
		if want != nil {
			c.ops = append(c.ops, s.nodeOp(api.NodeSet), s.serviceOp(api.ServiceSet, id, want))
			c.ops = append(c.ops, s.checkChange(id, want, have)...)
		}
		if found[id] = want; want == nil {
			delete(found, id)
		}
		all = append(all, c)
	}
	if there > 0 && len(found) == 0 {
		all = append(all, change{ops: api.TxnOps{s.nodeOp(api.NodeDelete)}, key: wave[0].Key})
	}
	return all, nil
}

func (s *Store) nodeOp(verb api.NodeOp) *api.TxnOp {
	return &api.TxnOp{Node: &api.NodeTxnOp{Verb: verb, Node: api.Node{
		Node: s.node, Address: nowhere, Meta: map[string]string{"managed-by": "cnmctl", "cnmctl-stack": s.stack},
	}}}
}

func (s *Store) serviceOp(verb api.ServiceOp, id string, r *registration) *api.TxnOp {
	return &api.TxnOp{Service: &api.ServiceTxnOp{Verb: verb, Node: s.node, Service: api.AgentService{
		ID: id, Service: r.Name, Port: int(r.Port), Tags: r.Tags, Address: r.address, Namespace: s.namespace,
	}}}
}

// nodeName is the node of a stack's services.
func nodeName(path, stack string) string {
	return strings.ReplaceAll(path, "/", "-") + "-" + component(stack)
}

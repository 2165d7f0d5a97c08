package consul

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/cnmctl/cnmctl/state"
	"github.com/hashicorp/consul/api"
)

// A check is registered with its service. Who makes the check is the agent of the sandbox's
// host; Consul only holds what it says. Nobody writes while nothing changes, so a thousand
// agents with checks cost Consul nothing.

// unjudged is why a service is not well that nobody has looked at.
const unjudged = "no agent has looked yet"

// checkID is the check of a service.
func checkID(service string) string { return "service:" + service }

// notes say what a check does, for people and for who compares.
func notes(v state.Service) string { return v.Check + " every " + v.Interval.String() }

// isChecked reports an endpoint whose service has a check.
func isChecked(o state.Object) bool {
	e, ok := o.(state.Endpoint)
	return ok && e.Service.Checked()
}

// checksIn reports that a wave has to do with checks.
func checksIn(live state.World, wave []state.Op) bool {
	return slices.ContainsFunc(wave, func(op state.Op) bool {
		return isChecked(live[op.Key]) || isChecked(op.Before) || isChecked(op.After)
	})
}

// addChecks adds what the catalog says of the checks of services.
func (s *Store) addChecks(ctx context.Context, found map[string]*registration) error {
	var checks api.HealthChecks
	err := s.try(ctx, "reading the checks of stack "+s.stack, func(ctx context.Context) (err error) {
		checks, _, err = s.client.Health().Node(s.node, consistent(ctx))
		return err
	})
	for _, c := range checks {
		r := found[c.ServiceID]
		if r == nil || c.CheckID != checkID(c.ServiceID) {
			continue
		}
		what, interval, _ := strings.Cut(c.Notes, " every ")
		r.Check = what
		r.Interval, _ = time.ParseDuration(interval) // what is no time is another one than is wanted
	}
	return err
}

// checkChange makes the check as it is wanted. One that is right keeps what it says; it goes
// along with its service.
func (s *Store) checkChange(id string, want, have *registration) api.TxnOps {
	was := have != nil && have.Name == want.Name && have.Checked()
	switch {
	case !want.Checked() && was:
		return api.TxnOps{{Check: &api.CheckTxnOp{Verb: api.CheckDelete, Check: s.check(id, want.Service)}}}
	case !want.Checked() || was && have.Check == want.Check && have.Interval == want.Interval:
		return nil
	}
	c := s.check(id, want.Service)
	c.Status, c.Output = state.Warning, unjudged
	return api.TxnOps{{Check: &api.CheckTxnOp{Verb: api.CheckSet, Check: c}}}
}

func (s *Store) check(id string, v state.Service) api.HealthCheck {
	return api.HealthCheck{
		Node: s.node, CheckID: checkID(id), ServiceID: id, Name: "cnmctl agent, " + v.Check, Notes: notes(v), Namespace: s.namespace,
	}
}

// Judge says in the catalog how an endpoint's service is, unless that is said already. A
// check that is gone, or another one by now, is left alone.
func (s *Store) Judge(ctx context.Context, e state.Endpoint, v state.Verdict) error {
	if !e.Service.Checked() {
		return nil
	}
	id, doing := serviceID(e.Key()), "reading the check of service "+e.Service.Name
	var answer *api.TxnResponse
	ops := api.TxnOps{{Check: &api.CheckTxnOp{Verb: api.CheckGet, Check: s.check(id, *e.Service)}}}
	err := s.try(ctx, doing, func(ctx context.Context) (err error) {
		_, answer, _, err = s.client.Txn().Txn(ops, (&api.QueryOptions{}).WithContext(ctx))
		return err
	})
	if err != nil {
		return err
	}
	if len(answer.Results) != 1 || answer.Results[0].Check == nil {
		if err := s.refusal(doing, ops, answer); denied(err) {
			return err
		}
		return nil
	}
	c := *answer.Results[0].Check
	if c.Notes != notes(*e.Service) || c.Status == v.Health {
		return nil
	}
	c.Status, c.Output = v.Health, v.Why
	_, err = s.commit(ctx, api.TxnOps{{Check: &api.CheckTxnOp{Verb: api.CheckCAS, Check: c}}})
	return err
}

// denied reports that the token may not.
func denied(err error) bool {
	var status api.StatusError
	return errors.As(err, &status)
}

package agent

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/cnmctl/cnmctl/state"
)

// register writes the host's record, unless the configuration has one.
func (a *Agent) register(ctx context.Context) error {
	if a.Record == nil {
		return nil
	}
	return a.record(ctx, func(hosts state.World) (*state.Op, error) { return Registration(hosts, *a.Record) })
}

// record changes the host's record if need be.
func (a *Agent) record(ctx context.Context, change func(hosts state.World) (*state.Op, error)) error {
	needed := func() (*state.Op, error) {
		hosts, err := a.Store.Hosts(ctx)
		if err != nil {
			return nil, err
		}
		return change(hosts)
	}
	if op, err := needed(); err != nil || op == nil {
		return err
	}
	// Under the lock, so that it is not in the way of an apply, which reads back what it wrote.
	unlock, err := a.Store.Lock(ctx, a.Info)
	if err != nil {
		return err
	}
	defer func() {
		if err := unlock(); err != nil {
			a.Log.Warn("giving back the lock", "error", err)
		}
	}()
	op, err := needed()
	if err != nil || op == nil {
		return err
	}
	if h, is := op.After.(state.HostRecord); is {
		a.Log.Info("registering the host", "vtep", h.VTEP.String(), "mtu", h.MTU)
	}
	return a.Store.Apply(ctx, []state.Op{*op}, func(int, error) {})
}

// Registration is the change by which the records hold the host's, nil when they do. A
// record that the configuration makes is not the agent's to change.
func Registration(w state.World, want state.HostRecord) (*state.Op, error) {
	op := &state.Op{Action: state.Create, Key: want.Key(), After: want}
	for _, o := range w {
		have, is := o.(state.HostRecord)
		if !is || have.Name != want.Name {
			continue
		}
		switch {
		case have.VTEP == want.VTEP && (have.MTU == want.MTU || !have.Registered):
			return nil, nil
		case !have.Registered:
			return nil, fmt.Errorf("the configuration says that host %s has its tunnel end at %s, and -advertise says %s: change one of them",
				want.Name, have.VTEP, want.VTEP)
		}
		op.Action, op.Key, op.Before = state.Update, have.Key(), have
		want.Mark = have.Mark
		op.After = want
	}
	for _, o := range w {
		if h, is := o.(state.HostRecord); is && h.Name != want.Name && h.VTEP == want.VTEP {
			return nil, errors.New("host " + h.Name + " has its tunnel end at " + h.VTEP.String() + " already: two hosts cannot share one")
		}
	}
	return op, nil
}

// underlay is what an agent knows of the network that its host's tunnels go through.
type underlay struct {
	// measured is the end of the tunnels for which that was done.
	measured netip.Addr
	// found are the records that lack what was found.
	found chan state.HostRecord
}

// measure finds out the MTU of the underlay where the configuration does not say it, and was
// applied elsewhere. What everybody takes it for need not be said.
func (a *Agent) measure() {
	own, known := hostIn(a.records.World, a.Name)
	if !known || own.MTU != 0 || a.Underlay == nil {
		a.underlay.measured = netip.Addr{}
		return
	}
	if own.VTEP == a.underlay.measured {
		return
	}
	a.underlay.measured = own.VTEP
	if own.MTU = a.Underlay(own.VTEP); own.MTU == 0 || own.MTU == state.EthernetMTU {
		return
	}
	select {
	case <-a.underlay.found:
	default:
	}
	a.underlay.found <- own
}

// tellUnderlay writes what was found.
func (a *Agent) tellUnderlay(ctx context.Context) {
	for {
		var found state.HostRecord
		select {
		case <-ctx.Done():
			return
		case found = <-a.underlay.found:
		}
		for failures := 1; ctx.Err() == nil; failures++ {
			err := a.record(ctx, func(hosts state.World) (*state.Op, error) { return Measured(hosts, found), nil })
			if err == nil {
				break
			}
			a.Log.Info("writing the MTU of the host's underlay, later", "why", err)
			rest(ctx, pauseAfter(failures))
		}
	}
}

// Measured is the change by which the host's record says the MTU that was found, nil when it
// says one, or is another.
func Measured(hosts state.World, found state.HostRecord) *state.Op {
	have, known := hostIn(hosts, found.Name)
	if !known || have.MTU != 0 || have.VTEP != found.VTEP {
		return nil
	}
	after := have
	after.MTU = found.MTU
	return &state.Op{Action: state.Update, Key: have.Key(), Before: have, After: after}
}

func hostIn(w state.World, name string) (h state.HostRecord, known bool) {
	for _, k := range w.KeysOf(state.KindHost) {
		if h, is := w[k].(state.HostRecord); is && h.Name == name {
			return h, true
		}
	}
	return state.HostRecord{}, false
}

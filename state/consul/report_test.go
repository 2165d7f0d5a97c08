package consul_test

import (
	"fmt"
	"testing"

	"github.com/cnmctl/cnmctl/state"
	"github.com/cnmctl/cnmctl/state/consul/consultest"
	"github.com/hashicorp/consul/api"
)

// TestReportAfterLoss: what a host has to say of records that Consul has lost since is not
// written: by it the host would seem to have known this store, and take its share down.
func TestReportAfterLoss(t *testing.T) {
	t.Parallel()
	server := consultest.Start(t, consultest.Options{Durable: true})
	client, err := api.NewClient(&api.Config{Address: server.HTTP})
	check(t, err)
	for i := range 100 { // indices that the next Consul has not for a while
		_, err := client.KV().Put(&api.KVPair{Key: fmt.Sprint("other/", i)}, nil)
		check(t, err)
	}
	store := open(t, server.HTTP)
	said := func(want bool) {
		t.Helper()
		if _, is, err := store.Said(t.Context(), "a"); err != nil || is != want {
			t.Errorf("the host has said something: %v, %v", is, err)
		}
	}
	change(t, store, state.Create, network("front"))
	then, err := store.Revision(t.Context())
	check(t, err)
	change(t, store, state.Create, network("back"))
	report := state.Status{Host: "a", Revision: then}
	check(t, store.Report(t.Context(), report)) // late, but not wrong
	said(true)

	check(t, server.Lose())
	check(t, store.Report(t.Context(), report))
	check(t, store.Report(t.Context(), state.Status{Host: "a", Error: "no"}))
	said(false)
	change(t, store, state.Create, network("front"))
	if now, err := store.Revision(t.Context()); err != nil || now.Index >= then.Index {
		t.Fatalf("the index is %d, and was %d; %v", now.Index, then.Index, err)
	}
	check(t, store.Report(t.Context(), report))
	said(false)
	other := report
	other.Index = 1 // the next Consul has got as far as the last one was
	check(t, store.Report(t.Context(), other))
	said(false)
	report.Revision, err = store.Revision(t.Context())
	check(t, err)
	check(t, store.Report(t.Context(), report))
	said(true)

	for range 60 { // more than a revision tells of
		change(t, store, state.Create, network("back"))
		change(t, store, state.Delete, network("back"))
	}
	report.Error = "late"
	check(t, store.Report(t.Context(), report))
	if s, _, err := store.Said(t.Context(), "a"); err != nil || s.Error != "late" {
		t.Errorf("the host says %+v, %v", s, err)
	}

	// Of a stack that is gone, who was there may say why he could not follow.
	change(t, store, state.Delete, network("front"))
	check(t, store.Report(t.Context(), state.Status{Host: "a", Error: "busy"}))
	if s, _, err := store.Said(t.Context(), "a"); err != nil || s.Error != "busy" {
		t.Errorf("the host says %+v, %v", s, err)
	}
	check(t, store.Report(t.Context(), state.Status{Host: "b", Error: "busy"}))
	if _, is, err := store.Said(t.Context(), "b"); err != nil || is {
		t.Errorf("a host that was not there says something: %v, %v", is, err)
	}
}

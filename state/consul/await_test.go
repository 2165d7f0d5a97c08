package consul_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/cnmctl/cnmctl/state"
	"github.com/cnmctl/cnmctl/state/consul/consultest"
)

// Who answers a second try may be another Consul, which has lost its data and counts from the
// beginning: it must not be waited for until it gets where the first one was.
func TestAwaitTriesAgainFromTheBeginning(t *testing.T) {
	server := consultest.Start(t, consultest.Options{})
	ctx, enough := context.WithCancel(t.Context())
	var asked []string
	p := before(t, server, func(r *http.Request) fault {
		asked = append(asked, r.URL.Query().Get("index"))
		switch len(asked) {
		case 2:
			return busy
		case 3:
			enough()
		}
		return none
	})
	if _, err := open(t, p.URL).Await(ctx, state.Revision{}); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if asked[0] != "" || asked[1] == "" || asked[2] != "" {
		t.Errorf("it waited for the indices %q", asked)
	}
}

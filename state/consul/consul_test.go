package consul_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/cnmctl/cnmctl/state"
	"github.com/cnmctl/cnmctl/state/consul"
	"github.com/cnmctl/cnmctl/state/consul/consultest"
	"github.com/cnmctl/cnmctl/state/statetest"
)

func TestContract(t *testing.T) {
	server := consultest.Start(t, consultest.Options{})
	var n atomic.Int32
	statetest.Run(t, func(*testing.T) func() (state.RecordStore, error) {
		path := fmt.Sprint("contract/", n.Add(1))
		return func() (state.RecordStore, error) {
			return consul.Open(consul.Options{Stack: statetest.Stack, Path: path, Address: server.HTTP})
		}
	})
}

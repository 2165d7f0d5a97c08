package statetest_test

import (
	"testing"

	"github.com/cnmctl/cnmctl/state"
	"github.com/cnmctl/cnmctl/state/statetest"
)

func TestMemory(t *testing.T) {
	statetest.Run(t, func(*testing.T) func() (state.RecordStore, error) {
		m := &statetest.Memory{}
		return func() (state.RecordStore, error) { return m, nil }
	})
}

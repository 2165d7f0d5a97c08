package e2e

import (
	"errors"
	"testing"

	"github.com/cnmctl/cnmctl/e2e/vm"
	"github.com/cnmctl/cnmctl/state/kernel"
	"github.com/cnmctl/cnmctl/state/kernel/kerneltest"
)

// needKernel leaves a script to the virtual machine that needs more than this kernel has.
func needKernel(t *testing.T, script string) {
	t.Helper()
	features, err := vm.Needs(script)
	if err != nil {
		t.Fatal(err)
	}
	if len(features) == 0 {
		return
	}
	k, err := kernel.Open(kernel.Config{Stack: "e2e"})
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	err = k.Probe(t.Context(), features)
	if lack, ok := errors.AsType[*kernel.MissingError](err); ok {
		kerneltest.Elsewhere(t, lack)
	} else if err != nil {
		t.Fatal(err)
	}
}

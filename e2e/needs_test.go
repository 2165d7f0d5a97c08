package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cnmctl/cnmctl/e2e/vm"
	"github.com/cnmctl/cnmctl/state"
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
	err = probe(t.Context(), features)
	if lack, ok := errors.AsType[*kernel.MissingError](err); ok {
		kerneltest.Elsewhere(t, lack)
	} else if err != nil {
		t.Fatal(err)
	}
}

// condition is true for [has:FEATURE] if this kernel has it: for what a script expects of
// one that has not.
func condition(cond string) (bool, error) {
	feature, ok := strings.CutPrefix(cond, "has:")
	if !ok {
		return false, fmt.Errorf("unknown condition %q", cond)
	}
	err := probe(context.Background(), []state.Feature{state.Feature(feature)})
	if _, lacks := errors.AsType[*kernel.MissingError](err); lacks {
		return false, nil
	}
	return err == nil, err
}

// probe tries the features. "sctp" is what a script talks by, not what cnmctl needs.
func probe(ctx context.Context, features []state.Feature) error {
	if i := slices.Index(features, sctp); i >= 0 {
		features = slices.Delete(slices.Clone(features), i, i+1)
		if sctpMissing() != nil {
			return &kernel.MissingError{Features: []state.Feature{sctp}}
		}
	}
	k, err := kernel.Open(kernel.Config{Stack: "e2e"})
	if err != nil {
		return err
	}
	defer k.Close()
	return k.Probe(ctx, features)
}

package kerneltest

import (
	"os"
	"testing"
)

// vmVar tells the test program that it is inside the virtual machine (package e2e/vm).
const vmVar = "CNMCTL_IN_VM"

// InVM reports that this is the virtual machine.
func InVM() bool { return os.Getenv(vmVar) != "" }

// Elsewhere leaves a test to the virtual machine if this kernel lacks what it needs: lack
// is what Kernel.Probe says, nil for nothing. In the machine nothing may be lacking.
func Elsewhere(t testing.TB, lack error) {
	t.Helper()
	switch {
	case lack == nil:
	case InVM():
		t.Fatal("the virtual machine has to have everything:", lack)
	default:
		t.Skip("runs in the virtual machine:", lack)
	}
}

package e2e

import (
	"time"

	"github.com/cnmctl/cnmctl/e2e/apart"
	"github.com/rogpeppe/go-internal/diff"
	"github.com/rogpeppe/go-internal/testscript"
)

func recordKernel(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 1, "record-kernel NAME")
	text, err := kernelText()
	ts.Check(err)
	remembered(ts).kernels[args[0]] = text
}

// patience is for what happens at once on a machine that has nothing else to do.
const patience = time.Minute

// sameKernel waits, because the kernel takes namespaces apart in the background.
func sameKernel(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, false, len(args) == 1 && remembered(ts).kernels[args[0]] != "", "same-kernel NAME, after record-kernel NAME")
	want := remembered(ts).kernels[args[0]]
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		got, err := kernelText()
		ts.Check(err)
		switch {
		case neg && got == want:
			ts.Fatalf("the kernel is as it was")
		case neg || got == want:
			return
		case time.Now().After(deadline):
			ts.Fatalf("the kernel is not as it was:\n%s", diff.Diff(args[0], []byte(want), "now", []byte(got)))
		}
	}
}

// kernelText is what the machine holds of the network, and the files that belong to it.
func kernelText() (string, error) {
	kernel, err := apart.Kernel()
	if err != nil {
		return "", err
	}
	files, err := apart.Files("/etc")
	return kernel + files, err
}

package e2e

import (
	"time"

	"github.com/cnmctl/cnmctl/e2e/apart"
	"github.com/rogpeppe/go-internal/diff"
	"github.com/rogpeppe/go-internal/testscript"
)

// filesDir is where the files are that belong to the network.
const filesDir = "/etc"

func recordKernel(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 1, "record-kernel NAME")
	text, err := apart.Look(filesDir)
	ts.Check(err)
	remembered(ts).kernels[args[0]] = text
}

// patience is for what happens at once on a machine that has nothing else to do.
const patience = time.Minute

// sameKernel waits, because the kernel takes namespaces apart in the background.
func sameKernel(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, false, len(args) == 1 && remembered(ts).kernels[args[0]] != "", "same-kernel NAME, after record-kernel NAME")
	want := remembered(ts).kernels[args[0]]
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		same, err := apart.Is(want, filesDir) // who works beside it takes away what it is to look at
		switch {
		case neg && same:
			ts.Fatalf("the kernel is as it was")
		case err == nil && (neg || same):
			return
		case time.Now().After(deadline):
			ts.Check(err)
			now, err := apart.Look(filesDir)
			ts.Check(err)
			ts.Fatalf("the kernel is not as it was:\n%s", diff.Diff(args[0], []byte(want), "now", []byte(now)))
		}
	}
}

// Package vm runs tests in a virtual machine: QEMU emulates one without network or disk,
// boots Debian's cloud kernel in it, which has what the kernel of a test machine may lack
// (VLANs, VRF, netem, ipvlan, ESP), and runs test programs in it as they are run outside.
// There is one boot for all tests of a package; a minimal first process (package guest)
// takes some four seconds to the first test. Emulated programs are 10 to 30 times slower,
// so every day has a choice of the tests, and -all has all of them.
//
// A script of e2e says in its first lines what it needs of the kernel, in the words of
// state.Feature:
//
//	# needs: vlan-filtering, vrf
//
// Where the kernel has it, the script runs here, and always in the machine. A Go test says
// the same with
//
//	kerneltest.Elsewhere(t, k.Probe(t.Context(), []state.Feature{state.FeatureVLAN}))
//
// and belongs to a package that suites_test.go names. A test that runs on neither side fails
// `make test`: what was skipped here has to have passed there (see tools/gotest).
//
// While you work on a script:
//
//	go test ./e2e/vm -suite e2e -tests 'TestScripts/vlan$' -v
//
// The kernel and QEMU are fetched by tools/prepare; the kernel is kept in bin/kernel.
package vm

// Package kerneltest gives tests a throwaway host: network and mount namespaces of their
// own, in which everything that cnmctl does to a machine can be done for real, and after
// which nothing is left of it. Nothing in it touches the machine that the tests run on.
//
// A package whose tests call the kernel runs them all inside one throwaway machine, with
// a tmpfs over /run and an overlay over /etc:
//
//	func TestMain(m *testing.M) { kerneltest.Main(m) }
//
// and each test takes a host of its own there, a fresh network namespace on a thread that
// stays locked to the test's goroutine:
//
//	func TestBridge(t *testing.T) {
//		h := kerneltest.NewHost(t)
//		k, err := kernel.Open(kernel.Config{Stack: "shop"})
//		…
//		t.Log(h.Run("ip", "-d", "link"))
//	}
//
// When the test ends the host must look as it did at its beginning; what was left behind
// fails the test. Such tests cannot be parallel, and subtests run on other goroutines: use
// h.Sub rather than t.Run.
package kerneltest

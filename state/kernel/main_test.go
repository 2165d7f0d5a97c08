package kernel

import (
	"os"
	"testing"

	"github.com/cnmctl/cnmctl/state/kernel/kerneltest"
)

func TestMain(m *testing.M) {
	if os.Getenv(execEnv) != "" {
		execInstead()
	}
	kerneltest.Main(m)
}

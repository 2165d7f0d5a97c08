package kernel

import (
	"testing"

	"github.com/cnmctl/cnmctl/state/kernel/kerneltest"
)

func TestMain(m *testing.M) { kerneltest.Main(m) }

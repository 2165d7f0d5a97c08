package registry_test

import (
	"flag"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/cnmctl/cnmctl/drivers"
	"github.com/cnmctl/cnmctl/drivers/bridge"
	"github.com/cnmctl/cnmctl/drivers/drivertest"
	"github.com/cnmctl/cnmctl/drivers/host"
	"github.com/cnmctl/cnmctl/drivers/ipvlan"
	"github.com/cnmctl/cnmctl/drivers/macvlan"
	"github.com/cnmctl/cnmctl/drivers/null"
	"github.com/cnmctl/cnmctl/drivers/overlay"
	"github.com/cnmctl/cnmctl/drivers/ptp"
	"github.com/cnmctl/cnmctl/drivers/registry"
	"github.com/cnmctl/cnmctl/state"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files")

func TestContract(t *testing.T) {
	for _, c := range []struct {
		driver  drivers.Driver
		samples map[string]*drivertest.Records
	}{
		{bridge.Driver{}, bridgeSamples()},
		{ptp.Driver{}, ptpSamples()},
		{null.Driver{}, nullSamples()},
		{host.Driver{}, hostSamples()},
		{overlay.Driver{}, overlaySamples()},
		{macvlan.Driver{}, macvlanSamples()},
		{ipvlan.Driver{}, ipvlanSamples()},
	} {
		t.Run(c.driver.Schema().Name, func(t *testing.T) {
			drivertest.Contract(t, c.driver, registry.All(), c.samples)
		})
	}
}

// TestWorlds compares what each sample comes to in the kernel with a file that a person
// has read.
func TestWorlds(t *testing.T) {
	samples := bridgeSamples()
	maps.Copy(samples, ptpSamples())
	maps.Copy(samples, nullSamples())
	maps.Copy(samples, hostSamples())
	maps.Copy(samples, overlaySamples())
	maps.Copy(samples, macvlanSamples())
	maps.Copy(samples, ipvlanSamples())
	for name, r := range samples {
		t.Run(name, func(t *testing.T) {
			w, err := r.World(registry.All())
			if err != nil {
				t.Fatal(err)
			}
			maps.DeleteFunc(w, func(k state.Key, _ state.Object) bool { return k.Place == state.Store })
			golden(t, filepath.Join("testdata", name+".world"), drivertest.Text(w))
		})
	}
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got)\n%s", file, diff)
	}
}

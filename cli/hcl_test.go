package cli

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cnmctl/cnmctl/drivers"
	"github.com/cnmctl/cnmctl/drivers/registry"
	"github.com/cnmctl/cnmctl/planner"
	"github.com/cnmctl/cnmctl/spec"
	"github.com/cnmctl/cnmctl/state"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const everything = `
cnm { stack = "all" }

network "front" {
  driver           = "bridge"
  ipv6             = true
  mtu              = 1400
  interface_prefix = "net"
  labels           = { tier = "a b", "x/y" = "\"" }
  subnet {
    cidr     = "10.1.0.0/24"
    range    = "10.1.0.128/25"
    reserved = { router = "10.1.0.254" }
  }
  subnet { cidr = "fd00:1::/64" }
  bridge {
    icc       = false
    snat_ipv4 = "192.0.2.1"
  }
  lifecycle { prevent_destroy = true }
}

network "six" {
  ipv4     = false
  internal = true
  subnet { cidr = "fd00:2::/64" }
}

network "p" {
  driver = "ptp"
  subnet { cidr = "10.9.0.0/31" }
}

sandbox "box" {
  for_each    = toset(["a", "b.c"])
  name        = "box-${replace(each.key, ".", "-")}"
  loopback    = ["10.255.0.1", "fd00:9::1/64"]
  sysctls     = { "net.ipv4.ip_forward" = "1" }
  extra_hosts = { gate = "10.1.0.1" }
  route {
    to     = "10.2.0.0/16"
    via    = "10.1.0.1"
    metric = 7
    src    = endpoint.front[each.key].ipv4
  }
  route {
    to   = "10.3.0.0/16"
    type = "blackhole"
  }
  rule {
    priority = 100
    from     = "10.0.0.0/8"
    iif      = "net0"
    table    = 200
  }
  rule {
    priority = 101
    family   = "ipv6"
    fwmark   = 5
    table    = 201
  }
  neighbor {
    dev = "net0"
    ip  = "10.1.0.200"
    mac = "02:00:00:00:00:01"
  }
  dns {
    servers = ["192.0.2.53"]
    search  = ["example.org"]
    options = ["ndots:2"]
  }
}

endpoint "front" {
  for_each         = sandbox.box
  network          = network.front
  sandbox          = each.value
  aliases          = ["www-${replace(each.key, ".", "-")}"]
  gateway_priority = 5
  sysctls          = { "net.ipv4.conf.IFNAME.rp_filter" = "0" }
}

endpoint "left" {
  network = network.p
  sandbox = sandbox.box["a"]
}

endpoint "right" {
  network = network.p
  sandbox = sandbox.box["b.c"]
}

endpoint "held" {
  network = network.six
}

host "a" {
  vtep = "10.99.0.10"
  mtu  = 9000
}

host "b.example" { vtep = "10.99.0.11" }

network "span" {
  driver = "overlay"
  subnet { cidr = "10.8.0.0/24" }
  overlay { vnis = [300] }
}

sandbox "far" { host = "b.example" }

endpoint "far" {
  network = network.span
  sandbox = sandbox.far
}
`

// records evaluates a configuration, which has to be without mistakes.
func records(t *testing.T, source string) drivers.Records {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "main.hcl"), []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	config, diags := spec.Load(dir, spec.Options{Drivers: registry.Schemas()})
	if diags.HasErrors() {
		t.Fatalf("%v\n%s", diags, source)
	}
	topology, diags := config.Evaluate(planner.NewAllocator(registry.Traits(), planner.Held{}))
	diags = append(diags, drivers.Validate(topology, registry.All())...)
	if diags.HasErrors() {
		t.Fatalf("%v\n%s", diags, source)
	}
	return drivers.RecordsOf(topology)
}

// What show prints is a configuration that says the same.
func TestShownRecordsAreAConfiguration(t *testing.T) {
	before := records(t, everything)
	f := &flow{stack: "all", before: state.World{}}
	for _, r := range before.Hosts {
		f.before.Add(r)
	}
	for _, r := range before.Networks {
		f.before.Add(r)
	}
	for _, r := range before.Sandboxes {
		f.before.Add(r)
	}
	for _, r := range before.Endpoints {
		f.before.Add(r)
	}
	blocks := f.liveBlocks(ownersOf(f.before))
	var shown strings.Builder
	shown.WriteString(stackBlock("all"))
	env, _, _ := testEnv(nil)
	env.Stdout = &shown
	say := newVoice(env, true, false)
	names := newLabels(blocks)
	for _, b := range blocks {
		say.block(b, names)
	}
	if _, diags := spec.Format([]byte(shown.String()), "shown.hcl"); diags.HasErrors() {
		t.Fatal(diags)
	}
	after := records(t, shown.String())
	// Blocks are called differently here, and all that is chosen is written down.
	ignore := cmp.Options{
		cmpopts.IgnoreTypes(state.Owner{}), cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}), cmpopts.EquateEmpty(),
		cmp.FilterPath(func(p cmp.Path) bool {
			return slices.Contains([]string{".Network", ".Sandbox", ".HostInterface"}, p.Last().String())
		}, cmp.Ignore()),
		cmpopts.SortSlices(func(a, b state.Endpoint) bool { return a.Name+string(a.Network) < b.Name+string(b.Network) }),
	}
	if diff := cmp.Diff(before.Hosts, after.Hosts, ignore); diff != "" {
		t.Errorf("hosts (-configured +shown):\n%s\n%s", diff, shown.String())
	}
	if diff := cmp.Diff(before.Networks, after.Networks, ignore); diff != "" {
		t.Errorf("networks (-configured +shown):\n%s\n%s", diff, shown.String())
	}
	if diff := cmp.Diff(before.Sandboxes, after.Sandboxes, ignore); diff != "" {
		t.Errorf("sandboxes (-configured +shown):\n%s\n%s", diff, shown.String())
	}
	if diff := cmp.Diff(before.Endpoints, after.Endpoints, ignore); diff != "" {
		t.Errorf("endpoints (-configured +shown):\n%s\n%s", diff, shown.String())
	}
}

func TestLabelsAreUnique(t *testing.T) {
	blocks := []liveBlock{{Address: `sandbox.w["a"]`}, {Address: "sandbox.w_a"}, {Address: `module.m["x.y"].sandbox.w[0]`}, {Address: "network.w_a"}}
	l := newLabels(blocks)
	got := []string{}
	for _, b := range blocks {
		got = append(got, l.of[b.Address])
	}
	if want := "w_a w_a_2 module_m_x_y_w_0 w_a"; strings.Join(got, " ") != want {
		t.Errorf("labels are %q, want %s", got, want)
	}
}

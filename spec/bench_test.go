package spec

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// tenThousand is a configuration of 10 000 endpoints that uses the patterns people write.
const tenThousand = `
-- main.hcl --
variable "n" {
  type    = number
  default = 10000
}
network "lab" {
  subnet { cidr = "10.0.0.0/8" }
}
sandbox "web" {
  for_each = toset([for i in range(var.n) : "w${i}"])
  sysctls  = { "net.ipv4.ip_forward" = "1" }
  route {
    to  = "10.${index(keys(sandbox.web), each.key) % 200}.0.0/16"
    via = endpoint.web[each.key].gateway
  }
}
endpoint "web" {
  for_each = sandbox.web
  network  = network.lab
  sandbox  = sandbox.web[each.key]
  labels   = { number = index(keys(sandbox.web), each.key), all = length(sandbox.web), here = contains(keys(sandbox.web), each.key) }
  ipv4     = cidrhost(network.lab.cidr, 10 + index(keys(sandbox.web), each.key))
  bridge {
    publish { port = 1024 + index(keys(sandbox.web), each.key) }
  }
}
output "addresses" { value = { for k, e in endpoint.web : k => e.ipv4 } }
`

// plain is the same number without any patterns.
const plain = `
-- main.hcl --
network "lab" {
  subnet { cidr = "10.0.0.0/8" }
}
sandbox "web" {
  for_each = toset([for i in range(10000) : "w${i}"])
}
endpoint "web" {
  for_each = sandbox.web
  network  = network.lab
  sandbox  = each.value
}
`

func BenchmarkTenThousandEndpoints(b *testing.B) {
	b.Run("plain", func(b *testing.B) { benchmark(b, plain) })
	b.Run("patterns", func(b *testing.B) { benchmark(b, tenThousand) })
}

func benchmark(b *testing.B, archive string) {
	dir := write(b, archive)
	b.ReportAllocs()
	before := cpuTime(b)
	defer func() { b.ReportMetric(float64((cpuTime(b)-before).Milliseconds())/float64(b.N), "cpu-ms/op") }()
	for b.Loop() {
		c, diags := Load(dir, Options{Drivers: testDrivers()})
		if diags.HasErrors() {
			b.Fatal(rendered(c, diags))
		}
		top, diags := c.Evaluate(testAllocator{})
		if diags.HasErrors() {
			b.Fatal(rendered(c, diags))
		}
		if len(top.Endpoints) != 10000 {
			b.Fatal(len(top.Endpoints))
		}
	}
}

// cpuTime is the time that the process had a processor, which says more than the clock on
// a busy machine.
func cpuTime(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

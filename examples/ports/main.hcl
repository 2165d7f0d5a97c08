# Ports of sandboxes that the host publishes.
#
#   curl http://HOST:8080       the site, from anywhere
#   curl http://127.0.0.1:9100  its metrics, from the host alone
#
# Where a port was left to choose, the output says which one it is; it stays.

cnm { stack = "ports" }

network "front" {
  subnet { cidr = "10.240.0.0/24" }
  subnet { cidr = "fd00:240::/64" }
}

sandbox "site" {}
sandbox "voice" {}

endpoint "site" {
  network = network.front
  sandbox = sandbox.site

  port {
    host      = 8080
    container = 80
  }
  port {
    host      = 9100
    container = 9100
    address   = "127.0.0.1"
  }
  port { container = 443 } # one that is free, and kept
}

endpoint "voice" {
  network = network.front
  sandbox = sandbox.voice

  port {
    host      = "16384-16393"
    container = "16384-16393"
    protocol  = "udp"
  }
}

output "https" {
  value = "https://HOST:${endpoint.site.ports[2].host}"
}

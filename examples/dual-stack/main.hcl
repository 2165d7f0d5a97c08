# IPv4 and IPv6 side by side on one network, IPv6 alone on another, and a sandbox on both
# that decides by priority which one is its way out.

network "dual" {
  subnet { cidr = "10.230.0.0/24" }
  subnet {
    cidr    = "fd00:230::/64"
    gateway = "fd00:230::ff"
  }
}

# No subnet is given, so a unique local one (RFC 4193) is chosen.
network "six" {
  ipv4 = false
  ipv6 = true
}

sandbox "old" {}

sandbox "new" {}

sandbox "both" {}

endpoint "old" {
  network = network.dual
  sandbox = sandbox.old
  aliases = ["legacy"]
}

endpoint "new" {
  network = network.six
  sandbox = sandbox.new
}

endpoint "both_dual" {
  network          = network.dual
  sandbox          = sandbox.both
  name             = "both"
  ipv6             = "fd00:230::b"
  gateway_priority = 10
}

endpoint "both_six" {
  network = network.six
  sandbox = sandbox.both
  name    = "both"
}

output "addresses" {
  value = {
    old  = [endpoint.old.ipv4, endpoint.old.ipv6]
    new  = [endpoint.new.ipv6]
    both = [endpoint.both_dual.ipv4, endpoint.both_dual.ipv6, endpoint.both_six.ipv6]
  }
}

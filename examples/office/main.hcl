# An office on one switch: staff and guests in VLANs of their own, guests with a slow line,
# and somebody who works from far away.

locals {
  vlans = { staff = 10, guests = 20 }
  desks = { anna = "staff", ben = "staff", carl = "guests", dora = "guests" }
}

network "office" {
  subnet { cidr = "10.244.0.0/24" }
  bridge {
    name           = "br-office"
    vlan_filtering = true
  }
}

sandbox "desk" {
  for_each = local.desks
  name     = each.key
}

endpoint "desk" {
  for_each = sandbox.desk
  network  = network.office
  sandbox  = each.value
  name     = each.key
  bridge { vlan = local.vlans[local.desks[each.key]] }
  dynamic "bandwidth" {
    for_each = local.desks[each.key] == "guests" ? ["10mbit"] : []
    content {
      ingress = bandwidth.value
      egress  = bandwidth.value
    }
  }
  dynamic "impairment" {
    for_each = each.key == "ben" ? ["80ms"] : []
    content {
      delay  = impairment.value
      jitter = "5ms"
    }
  }
}

# What is in all VLANs at once gets frames with their tags: a router, or a sniffer.
sandbox "router" {}

endpoint "router" {
  network = network.office
  sandbox = sandbox.router
  bridge { trunk = values(local.vlans) }
}

output "addresses" {
  value = { for name, e in endpoint.desk : name => e.ipv4 }
}

# A rack of services behind one MAC: the host routes to them (mode l3), so that the switch
# learns nothing of them and no broadcast reaches them.

variable "parent" {
  description = "The interface of the host that leads to the network."
  type        = string
  default     = "eth0"
}

network "rack" {
  driver = "ipvlan"
  subnet { cidr = "10.241.0.0/24" }
  subnet { cidr = "fd00:241::/64" }
  ipvlan {
    parent = var.parent
    mode   = "l3"
  }
}

sandbox "service" {
  for_each = toset(["a", "b", "c"])
  name     = each.key
}

endpoint "service" {
  for_each = sandbox.service
  network  = network.rack
  sandbox  = each.value
  name     = each.key
}

output "addresses" {
  value = { for name, e in endpoint.service : name => [e.ipv4, e.ipv6] }
}

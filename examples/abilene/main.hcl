# The Abilene backbone, which joined the universities of the United States until 2007:
# eleven cities, fourteen links. Every city is a router with a loopback address, every link
# a veth pair with a /31, and the routes are the shortest paths in kilometres
# (computed into routes.auto.vars from links.hcl).

variable "next_hop" {
  description = "For each city, the neighbor by which each other city is reached."
  type        = map(map(string))
}

variable "mtu" {
  description = "The largest packet on every link, in bytes."
  type        = number
  default     = 9000
}

locals {
  cities = keys(var.next_hop)

  # Sorted, so a city keeps its address for as long as no city before it comes or goes.
  loopback = { for i, city in local.cities : city => cidrhost("10.255.0.0/24", i + 1) }

  # Both ends of every link: city, neighbor and the city's address on it.
  ends = merge([
    for name, link in local.links : {
      "${link.a}>${link.b}" = { link = name, city = link.a, neighbor = link.b, ipv4 = cidrhost(link.cidr, 0) }
      "${link.b}>${link.a}" = { link = name, city = link.b, neighbor = link.a, ipv4 = cidrhost(link.cidr, 1) }
    }
  ]...)
}

sandbox "router" {
  for_each = toset(local.cities)
  name     = each.key
  loopback = ["${local.loopback[each.key]}/32"]
  sysctls  = { "net.ipv4.ip_forward" = "1" }

  extra_hosts = local.loopback

  dynamic "route" {
    for_each = var.next_hop[each.key]
    content {
      to  = "${local.loopback[route.key]}/32"
      via = local.ends["${route.value}>${each.key}"].ipv4
      src = local.loopback[each.key]
    }
  }
}

network "link" {
  for_each = local.links
  name     = each.key
  driver   = "ptp"
  mtu      = var.mtu
  subnet { cidr = each.value.cidr }
}

# An interface is named after the city that it leads to.
endpoint "end" {
  for_each  = local.ends
  name      = each.value.city
  network   = network.link[each.value.link]
  sandbox   = sandbox.router[each.value.city]
  interface = each.value.neighbor
  ipv4      = each.value.ipv4
}

output "loopbacks" {
  value = local.loopback
}

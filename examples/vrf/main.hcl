# A provider's router with two customers who have chosen the same addresses. What the router
# knows of each is in a VRF, a routing domain of its own, with a way out of its own.

locals {
  # The routing table of each customer's VRF, and what the customer has behind its own router.
  customers = {
    red  = { table = 10, lan = "10.77.0.0/16" }
    blue = { table = 20, lan = "10.78.0.0/16" }
  }
}

# The lines to the customers.
network "line" {
  for_each = local.customers
  driver   = "macvlan"
  internal = true
  subnet {
    cidr    = "10.0.0.0/24"
    gateway = "10.0.0.254"
  }
  subnet {
    cidr    = "fd00:7::/64"
    gateway = "fd00:7::fe"
  }
}

# The ways out: one for red, and one for the router itself.
network "exit" {
  for_each         = { red = "10.1.0.0/24", router = "10.2.0.0/24" }
  interface_prefix = "out"
  subnet { cidr = each.value }
}

sandbox "router" {
  vrfs = { for name, customer in local.customers : name => customer.table }
  dynamic "route" {
    for_each = local.customers
    content {
      to  = route.value.lan
      via = "10.0.0.2"
      vrf = route.key
    }
  }
}

endpoint "router" {
  for_each = network.line
  network  = each.value
  sandbox  = sandbox.router
  vrf      = each.key
  ipv4     = "10.0.0.1"
  ipv6     = "fd00:7::1"
}

endpoint "exit" {
  for_each = network.exit
  network  = each.value
  sandbox  = sandbox.router
  vrf      = each.key == "red" ? "red" : null
}

# The customers' own routers, which need no VRF.
sandbox "customer" {
  for_each = local.customers
  name     = each.key
  loopback = [cidrhost(each.value.lan, 1)]
}

endpoint "customer" {
  for_each = sandbox.customer
  network  = network.line[each.key]
  sandbox  = each.value
  ipv4     = "10.0.0.2"
  ipv6     = "fd00:7::2"
}

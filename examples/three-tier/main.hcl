# Web, application and database tiers, each on an internal network of its own, and one
# router between them. Web knows the way to app and app the way to db; nobody else does,
# and no tier has a way out.

variable "size" {
  description = "How many sandboxes each tier has."
  type        = map(number)
  default     = { web = 2, app = 2, db = 1 }
}

locals {
  tiers = {
    web = { cidr = "10.211.0.0/24", reaches = ["app"] }
    app = { cidr = "10.212.0.0/24", reaches = ["web", "db"] }
    db  = { cidr = "10.213.0.0/24", reaches = ["app"] }
  }

  # The router has the last address of every network.
  router = { for tier, t in local.tiers : tier => cidrhost(t.cidr, -2) }

  members = merge([
    for tier, n in var.size : { for i in range(n) : "${tier}${i}" => tier }
  ]...)
}

network "tier" {
  for_each = local.tiers
  name     = each.key
  internal = true
  subnet { cidr = each.value.cidr }
}

sandbox "router" {
  sysctls = { "net.ipv4.ip_forward" = "1" }
}

endpoint "router" {
  for_each  = network.tier
  name      = "router"
  network   = each.value
  sandbox   = sandbox.router
  ipv4      = local.router[each.key]
  interface = each.key
}

sandbox "member" {
  for_each = local.members
  name     = each.key

  dynamic "route" {
    for_each = local.tiers[each.value].reaches
    content {
      to  = local.tiers[route.value].cidr
      via = local.router[each.value]
    }
  }
}

endpoint "member" {
  for_each = local.members
  name     = each.key
  network  = network.tier[each.value]
  sandbox  = sandbox.member[each.key]
}

output "addresses" {
  value = { for name, e in endpoint.member : name => e.ipv4 }
}

# One module, used once for each team: the same pair of sandboxes on networks of their own.

variable "teams" {
  type = map(object({
    cidr = string
    mtu  = optional(number, 1500)
  }))
  default = {
    blue  = { cidr = "10.241.0.0/24" }
    green = { cidr = "10.242.0.0/24", mtu = 9000 }
  }
}

module "team" {
  for_each = var.teams
  source   = "./modules/pair"

  team = each.key
  cidr = each.value.cidr
  mtu  = each.value.mtu
}

output "servers" {
  value = { for team, m in module.team : team => m.server }
}

# Networks that span three hosts, and an endpoint that is published before anybody has it.
# demo.sh beside this file makes three hosts and walks through all of it (make demo-overlay).

cnm {
  stack = "demo"
  store "consul" {}
}

variable "mailbox_in" {
  description = "The sandbox that the endpoint mailbox is attached to. Without one it is published: it holds its name and address."
  type        = string
  default     = ""
}

# Where the tunnels to each host end.
host "a" { vtep = "10.99.0.10" }

host "b" { vtep = "10.99.0.11" }

host "c" { vtep = "10.99.0.12" }

network "demonet" {
  driver = "overlay"
  subnet { cidr = "192.168.0.0/24" }
}

network "second" {
  driver = "overlay"
  subnet { cidr = "192.168.1.0/24" }
}

# Without a way out.
network "vault" {
  driver   = "overlay"
  internal = true
  subnet { cidr = "192.168.2.0/24" }
}

locals {
  sandboxes = {
    C0 = { host = "a", network = network.demonet, ipv4 = "192.168.0.100" }
    C1 = { host = "b", network = network.demonet, ipv4 = null }
    C2 = { host = "a", network = network.second, ipv4 = null }
    C3 = { host = "c", network = network.second, ipv4 = null }
    V0 = { host = "a", network = network.vault, ipv4 = null }
    V1 = { host = "c", network = network.vault, ipv4 = null }
  }
}

sandbox "box" {
  for_each = local.sandboxes
  name     = each.key
  host     = each.value.host
}

endpoint "box" {
  for_each = local.sandboxes
  name     = each.key
  network  = each.value.network
  sandbox  = sandbox.box[each.key]
  ipv4     = each.value.ipv4
}

endpoint "mailbox" {
  network = network.demonet
  ipv4    = "192.168.0.50"
  sandbox = var.mailbox_in == "" ? null : sandbox.box[var.mailbox_in]
}

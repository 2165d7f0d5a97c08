# Two services on the network that the host itself is on, as machines beside it: the router
# there is their gateway, and whoever is there reaches them without a published port.

variable "parent" {
  description = "The interface of the host that leads to that network."
  type        = string
  default     = "eth0"
}

network "lan" {
  driver = "macvlan"
  subnet {
    cidr    = "10.240.0.0/24"
    gateway = "10.240.0.1"
    range   = "10.240.0.128/25" # what the router's DHCP server leaves alone
  }
  macvlan { parent = var.parent }
}

sandbox "web" {}

sandbox "db" {}

endpoint "web" {
  network = network.lan
  sandbox = sandbox.web
}

endpoint "db" {
  network = network.lan
  sandbox = sandbox.db
}

# The kernel keeps the host and what is on its interface apart. An interface of its own on
# the network lets the host reach the services.

network "node" {
  driver = "host"
}

sandbox "node" {}

endpoint "node" {
  network = network.node
  sandbox = sandbox.node
}

endpoint "node_lan" {
  network   = network.lan
  sandbox   = sandbox.node
  interface = "lan0"
}

output "addresses" {
  value = {
    web  = endpoint.web.ipv4
    db   = endpoint.db.ipv4
    host = endpoint.node_lan.ipv4
  }
}

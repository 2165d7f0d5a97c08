# A client and a server on one network.

variable "team" {
  type = string
}

variable "cidr" {
  type = string
}

variable "mtu" {
  type    = number
  default = 1500
}

network "net" {
  name = var.team
  mtu  = var.mtu
  subnet { cidr = var.cidr }
}

sandbox "client" {
  name = "${var.team}-client"
}

sandbox "server" {
  name = "${var.team}-server"
}

endpoint "client" {
  name    = "client"
  network = network.net
  sandbox = sandbox.client
}

endpoint "server" {
  name    = "server"
  network = network.net
  sandbox = sandbox.server
  aliases = ["www"]
}

output "server" {
  value = endpoint.server.ipv4
}

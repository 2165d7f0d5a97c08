# Two sandboxes on a network that a plugin carries, with addresses that another plugin gives
# out. Start the plugins of the example first:
#
#   go run ./examples/remote/veth/cmd/veth-plugin

cnm { stack = "remote" }

network "lan" {
  driver = "remote"
  remote {
    plugin  = "veth"
    options = { "com.example.note" = "for the plugin alone" }
  }
  ipam { driver = "count" }
}

sandbox "web" {
  for_each = toset(["a", "b"])
}

endpoint "web" {
  for_each = sandbox.web
  network  = network.lan
  sandbox  = each.value
}

output "addresses" {
  value = { for name, e in endpoint.web : name => e.ipv4 }
}

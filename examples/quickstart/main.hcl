# Three sandboxes on two networks. Only app is on both, so what web says to db goes
# through app.

network "front" {
  subnet { cidr = "10.201.0.0/24" }
}

network "back" {
  internal = true # no way out
  subnet { cidr = "10.202.0.0/24" }
}

sandbox "web" {
  extra_hosts = { db = endpoint.db.ipv4 }
  route {
    to  = "10.202.0.0/24"
    via = endpoint.app_front.ipv4
  }
}

sandbox "app" {
  sysctls = { "net.ipv4.ip_forward" = "1" }
}

sandbox "db" {
  route {
    to  = "10.201.0.0/24"
    via = endpoint.app_back.ipv4
  }
}

endpoint "web" {
  network = network.front
  sandbox = sandbox.web
}

endpoint "app_front" {
  network = network.front
  sandbox = sandbox.app
  name    = "app"
}

endpoint "app_back" {
  network = network.back
  sandbox = sandbox.app
  name    = "app"
}

endpoint "db" {
  network = network.back
  sandbox = sandbox.db
}

output "db" {
  value = endpoint.db.ipv4
}

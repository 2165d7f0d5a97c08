# Who may talk to whom: three tiers on networks that are closed to each other.
#
#   anybody       -> the site's ports 80 and 443
#   the site      -> the API's port 8000
#   the API       -> the database's port 5432
#   the backup    -> the database, by whatever, but nowhere else
#
# `cnmctl plan` says which flows get another verdict.

cnm { stack = "policy" }

network "front" {
  subnet { cidr = "10.241.0.0/24" }
  subnet { cidr = "fd00:241::/64" }
}

network "back" {
  subnet { cidr = "10.242.0.0/24" }
  subnet { cidr = "fd00:242::/64" }
}

sandbox "site" {}
sandbox "api" { for_each = toset(["a", "b"]) }
sandbox "db" {}
sandbox "backup" {}

endpoint "site" {
  network = network.front
  sandbox = sandbox.site
  port {
    host      = 8080
    container = 80
  }
}

endpoint "api" {
  for_each = sandbox.api
  network  = network.back
  sandbox  = each.value
}

endpoint "db" {
  network = network.back
  sandbox = sandbox.db
}

endpoint "backup" {
  network = network.back
  sandbox = sandbox.backup
}

policy "site" {
  allow {
    from     = ["0.0.0.0/0", "::/0"]
    to       = [endpoint.site]
    protocol = "tcp"
    ports    = [80, 443]
  }
}

policy "api" {
  allow {
    from     = [endpoint.site]
    to       = [endpoint.api] # both of them
    protocol = "tcp"
    ports    = [8000]
  }
}

policy "db" {
  allow {
    from     = [endpoint.api]
    to       = [endpoint.db]
    protocol = "tcp"
    ports    = [5432]
  }
  allow {
    from = [endpoint.backup]
    to   = [endpoint.db]
  }
}

policy "backup" {
  deny {
    from = [endpoint.backup]
    to   = [endpoint.api, network.front, "192.0.2.0/24"]
  }
}

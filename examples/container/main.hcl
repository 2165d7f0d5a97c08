# A running container on two of our networks, beside whatever Docker has given it: start it
# with `docker run -d --name shop --network none …`, or on Docker's own networks.

network "front" {
  subnet { cidr = "10.211.0.0/24" }
}

network "back" {
  internal = true # no way out
  subnet { cidr = "10.212.0.0/24" }
}

# Its process is asked of Docker's engine at each run. Nothing in it is touched but the two
# interfaces that are put into it; when it was started again, they are made again.
sandbox "shop" {
  container = "docker://shop"
}

# A second sandbox in the container's namespace, as with `docker run --network container:shop`.
sandbox "sidecar" {
  shares = sandbox.shop
}

# A namespace of cnmctl's own on the same network.
sandbox "db" {}

endpoint "shop" {
  network = network.front
  sandbox = sandbox.shop
}

endpoint "sidecar" {
  network = network.back
  sandbox = sandbox.sidecar
}

endpoint "db" {
  network = network.back
  sandbox = sandbox.db
}

output "shop" {
  value = { web = endpoint.shop.ipv4, metrics = endpoint.sidecar.ipv4, container = sandbox.shop.netns }
}

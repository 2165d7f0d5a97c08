# A thousand sandboxes on one bridge. A bridge has at most 1023 ports
# (BR_MAX_PORTS of net/bridge/br_private.h).

variable "n" {
  description = "How many sandboxes."
  type        = number
  default     = 1000

  validation {
    condition     = var.n >= 1 && var.n <= 1023
    error_message = "A bridge has at most 1023 ports."
  }
}

network "lab" {
  subnet { cidr = "10.220.0.0/22" }
}

sandbox "box" {
  for_each = toset([for i in range(var.n) : tostring(i)])
}

endpoint "box" {
  for_each = sandbox.box
  network  = network.lab
  sandbox  = each.value
}

locals {
  # The kilometres between the cities are the links' metric.
  backbone = [
    { a = "atlanta", b = "houston", km = 1128 },
    { a = "atlanta", b = "indianapolis", km = 688 },
    { a = "atlanta", b = "washington-dc", km = 872 },
    { a = "chicago", b = "indianapolis", km = 263 },
    { a = "chicago", b = "new-york", km = 1146 },
    { a = "denver", b = "kansas-city", km = 892 },
    { a = "denver", b = "seattle", km = 1641 },
    { a = "denver", b = "sunnyvale", km = 1504 },
    { a = "houston", b = "kansas-city", km = 1042 },
    { a = "houston", b = "los-angeles", km = 2207 },
    { a = "indianapolis", b = "kansas-city", km = 731 },
    { a = "los-angeles", b = "sunnyvale", km = 503 },
    { a = "new-york", b = "washington-dc", km = 328 },
    { a = "seattle", b = "sunnyvale", km = 1139 },
  ]

  links = {
    for i, link in local.backbone : "${link.a}.${link.b}" => {
      a    = link.a
      b    = link.b
      cidr = cidrsubnet("10.254.0.0/24", 7, i)
    }
  }
}

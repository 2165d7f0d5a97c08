package spec

import "testing"

// A dynamic block of a repeated sandbox knows each.key, in for_each as in its content, and
// may need what is only known when all endpoints are.
func TestDynamicInRepeatedBlocks(t *testing.T) {
	_, top := evaluate(t, `
-- main.hcl --
locals {
  ways = { a = { b = "10.9.0.2" }, b = { a = "10.9.0.3" } }
}
network "n" {
  subnet { cidr = "10.9.0.0/24" }
}
sandbox "s" {
  for_each = local.ways
  dynamic "route" {
    for_each = local.ways[each.key]
    content {
      to  = "10.${route.key == "a" ? 1 : 2}.0.0/16"
      via = endpoint.e[route.key].ipv4
    }
  }
}
endpoint "e" {
  for_each = sandbox.s
  network  = network.n
  sandbox  = each.value
  ipv4     = local.ways[each.key == "a" ? "b" : "a"][each.key]
}
`)
	for _, s := range top.Sandboxes {
		want := map[string]string{"s-a": "10.2.0.0/16 10.9.0.2", "s-b": "10.1.0.0/16 10.9.0.3"}[s.Name]
		if len(s.Routes) != 1 || s.Routes[0].To.String()+" "+s.Routes[0].Via.String() != want {
			t.Errorf("%s has routes %v, want %s", s.Name, s.Routes, want)
		}
	}
}

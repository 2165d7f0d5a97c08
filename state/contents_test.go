package state

import "testing"

func TestContents(t *testing.T) {
	var c Contents
	for i, test := range []struct {
		text string
		want int
	}{{"", 1}, {"", 1}, {"a", 2}, {"b", 3}, {"b", 3}, {"a", 2}, {"", 1}} {
		if got := c.Number(test.text); got != test.want {
			t.Errorf("step %d: %q has number %d, want %d", i, test.text, got, test.want)
		}
	}
}

package kernel

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/cnmctl/cnmctl/state"
)

// crowdOf is a bridge and as many sandboxes with a port on it as make ports wait.
func crowdOf(n int) (first, ports []state.Object) {
	first = []state.Object{bridge("br0")}
	for i := range n {
		name := fmt.Sprintf("box%d", i)
		first = append(first, space(name))
		ports = append(ports, port("br0", name, i+2))
	}
	return first, ports
}

func TestCrowdWaits(t *testing.T) {
	for name, rise := range map[string]func(b *bench){
		"for a reading": func(b *bench) { b.live() },
		"or to be told": func(*bench) {},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			first, ports := crowdOf(crowd)
			b.apply(create(first...)...)
			b.apply(create(ports...)...)
			if l := b.otherLook()[ports[0].Key()].(state.Link); l.Up || !l.HalfMade {
				t.Errorf("a port did not wait: %+v", l)
			}
			rise(b)
			if err := b.k.Raise(context.Background()); err != nil {
				b.t.Fatal(err)
			}
			var all []state.Object
			for _, p := range ports {
				all = append(all, p, otherEnd(p.(state.Link)))
			}
			b.same(all...)
			if out := b.Sh("ip -n box0 link show eth0"); !strings.Contains(out, "LOWER_UP") {
				t.Errorf("the end behind a port has no carrier: %s", out)
			}
			b.apply(remove(ports...)...)
			b.apply(remove(first...)...)
		})
	}
}

// With room for few sockets, one is closed for each that is opened.
func TestCrowdWithFewSockets(t *testing.T) {
	b := newBench(t)
	b.k.maxOpen = crowd / 4
	first, ports := crowdOf(crowd)
	b.apply(create(first...)...)
	b.apply(create(ports...)...)
	b.live()
	if err := b.k.Raise(context.Background()); err != nil {
		t.Fatal(err)
	}
	for i := range crowd {
		if out := b.Sh(fmt.Sprintf("ip -n box%d link show eth0", i)); !strings.Contains(out, "LOWER_UP") {
			t.Errorf("the end behind port %d has no carrier: %s", i, out)
		}
	}
	b.apply(remove(ports...)...)
	b.apply(remove(first...)...)
}

// A rollback may delete ports that wait.
func TestCrowdIsGone(t *testing.T) {
	b := newBench(t)
	first, ports := crowdOf(crowd)
	b.apply(create(first...)...)
	b.apply(create(ports...)...)
	b.apply(remove(ports[:2]...)...)
	b.same(ports[2:]...)
	b.gone(ports[:2]...)
	if err := b.k.Raise(context.Background()); err != nil {
		t.Errorf("raising what was raised: %v", err)
	}
	b.apply(remove(ports...)...)
	b.apply(remove(first...)...)
}

// otherLook reads the kernel as another run would.
func (b *bench) otherLook() state.World {
	b.t.Helper()
	k, err := Open(Config{Stack: stack})
	if err != nil {
		b.t.Fatal(err)
	}
	defer k.Close() // an open socket keeps a namespace alive
	live, err := k.Snapshot(context.Background())
	if err != nil {
		b.t.Fatal(err)
	}
	return live.World
}

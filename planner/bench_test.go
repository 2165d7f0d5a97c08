package planner

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/cnmctl/cnmctl/state"
)

// crowd is a network with n sandboxes, all with one hosts file: 10 n objects and more.
func crowd(n int) state.World {
	return crowdWith(n, strings.Repeat("10.1.0.2 somebody.front somebody\n", 2*n))
}

func crowdWith(n int, hosts string) state.World {
	w := newWorld()
	for i := range (n + 199) / 200 {
		w.network(fmt.Sprint("n", i), i)
	}
	for i := range n {
		name := fmt.Sprintf("s[%q]", fmt.Sprint("w", i))
		w.sandbox(name, hosts).endpoint(name, fmt.Sprint("n", i/200), name, 2+i%200)
	}
	return w.World
}

func BenchmarkDiff(b *testing.B) {
	want := crowd(1500)
	other := crowdWith(1500, "10.1.0.3 somebody else\n")
	for _, test := range []struct {
		name       string
		live, want state.World
	}{
		{"create", state.World{}, want}, {"nothing", want, crowd(1500)}, {"destroy", want, state.World{}}, {"change files", want, other},
	} {
		b.Run(fmt.Sprintf("%s of %d", test.name, max(len(test.live), len(test.want))), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				mustDiff(b, test.live, test.want, opts())
			}
		})
	}
}

func BenchmarkRender(b *testing.B) {
	p := mustDiff(b, state.World{}, crowd(1000), opts())
	for b.Loop() {
		Render(io.Discard, p, RenderOptions{})
	}
}

func BenchmarkRenderFiles(b *testing.B) {
	hosts := strings.Repeat("10.1.0.2 somebody.front somebody\n", 2000)
	p := mustDiff(b, crowdWith(1000, hosts), crowdWith(1000, hosts+"10.1.0.3 new\n"), opts())
	for b.Loop() {
		Render(io.Discard, p, RenderOptions{})
	}
}

func BenchmarkSave(b *testing.B) {
	p := mustDiff(b, state.World{}, crowd(1000), opts())
	var file bytes.Buffer
	b.Run("encode", func(b *testing.B) {
		for b.Loop() {
			file.Reset()
			if err := Encode(&file, Saved{Plan: p}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("decode", func(b *testing.B) {
		for b.Loop() {
			if _, err := Decode(bytes.NewReader(file.Bytes()), ""); err != nil {
				b.Fatal(err)
			}
		}
	})
}

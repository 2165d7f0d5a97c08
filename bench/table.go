package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// result is what one run of one contestant took; zero where it has no such step.
type result struct {
	Plan     time.Duration // a plan against the empty kernel
	Create   time.Duration // cnmctl: plan, apply and verify
	Noop     time.Duration // a plan with nothing to do
	Destroy  time.Duration // until the command returns
	Gone     time.Duration // until the last interface is gone
	PeakRSS  int64         // the greatest of any of its processes, in bytes
	Programs int           // how many processes it took
}

type row struct {
	n   int
	who string
	result
}

type table []row

// median takes each step's median by itself.
func median(samples []result) result {
	mid := func(get func(result) int64) int64 {
		values := make([]int64, len(samples))
		for i, s := range samples {
			values[i] = get(s)
		}
		slices.Sort(values)
		return values[len(values)/2]
	}
	return result{
		Plan:     time.Duration(mid(func(r result) int64 { return int64(r.Plan) })),
		Create:   time.Duration(mid(func(r result) int64 { return int64(r.Create) })),
		Noop:     time.Duration(mid(func(r result) int64 { return int64(r.Noop) })),
		Destroy:  time.Duration(mid(func(r result) int64 { return int64(r.Destroy) })),
		Gone:     time.Duration(mid(func(r result) int64 { return int64(r.Gone) })),
		PeakRSS:  mid(func(r result) int64 { return r.PeakRSS }),
		Programs: int(mid(func(r result) int64 { return int64(r.Programs) })),
	}
}

func (t table) print(w io.Writer) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "N\twho\tplan\tcreate\tper sandbox\t× bare\tno-op plan\tdestroy\tall gone\t× bare\tpeak memory\tprocesses\t")
	for _, r := range t {
		bare := t.find(r.n, bareName)
		fmt.Fprintf(tw, "%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t\n", r.n, r.who, show(r.Plan), show(r.Create),
			show(r.Create/time.Duration(r.n)), ratio(r.Create, bare.Create), show(r.Noop), show(r.Destroy), show(r.Gone),
			ratio(r.Gone, bare.Gone), fmt.Sprintf("%.0f MB", float64(r.PeakRSS)/1e6), r.Programs)
	}
	tw.Flush()
}

func show(d time.Duration) string {
	switch {
	case d == 0:
		return "–"
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.2f ms", float64(d)/1e6)
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}

func ratio(a, b time.Duration) string {
	if a == 0 || b == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f", float64(a)/float64(b))
}

func (t table) find(n int, who string) row {
	i := slices.IndexFunc(t, func(r row) bool { return r.n == n && r.who == who })
	if i < 0 {
		return row{}
	}
	return t[i]
}

// broken lists the promises that cnmctl's rows do not keep. They are made for a thousand
// sandboxes on an idle machine with two cores.
func (t table) broken() []string {
	var list []string
	over := func(n int, what string, got, limit float64, unit string) {
		if got > limit {
			list = append(list, fmt.Sprintf("%d sandboxes: %s %.2f%s, at most %.2f%s", n, what, got, unit, limit, unit))
		}
	}
	us, bare := t.find(1000, cnmctlName), t.find(1000, bareName)
	if us.n == 0 || bare.n == 0 {
		return nil
	}
	over(1000, "create", us.Create.Seconds(), min(3, 1.5*bare.Create.Seconds()), " s")
	over(1000, "destroy", us.Gone.Seconds(), min(3, 1.5*bare.Gone.Seconds()), " s")
	over(1000, "no-op plan", us.Noop.Seconds(), 0.3, " s")
	over(1000, "peak memory", float64(us.PeakRSS)/1e6, 150, " MB")
	if few := t.find(100, cnmctlName); few.n != 0 {
		growth := (us.Create.Seconds() / 1000) / (few.Create.Seconds() / 100)
		over(1000, "cost of a sandbox, against 100 of them", growth, 1.5, " times")
	}
	slices.SortFunc(list, cmp.Compare)
	return list
}

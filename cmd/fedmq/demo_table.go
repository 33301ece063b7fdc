package main

import (
	"fmt"
	"sync"

	"github.com/fedmq/fedmq/record"
)

func (d *demo) intro(url string) {
	t := d.cfg.Tasks[0]
	fmt.Fprintf(d.talk, "fedmq demo: %s.\n", d.ex.story)
	fmt.Fprintf(d.talk, "%d sites, %d rounds of training, embedded broker at %s, everything in %s/\n\n", len(d.files), t.Rounds, url, d.Dir)
	fmt.Fprintf(d.talk, "Watch it:  %s\n\n", d.watchLine(url))
	fmt.Fprintf(d.talk, "%5s  %-10s  %5s  %12s  %12s  %12s  %8s  %7s\n", "round", "work", "sites", d.ex.metric, "best site", "worst site", "kB up", "ms")
}

// row prints one record. Its metric judges the model that the round began with.
func (d *demo) row(r record.Record) {
	if r.Round == 0 {
		return
	}
	work, value, best, worst := cells(r, d.ex.metric)
	fmt.Fprintf(d.talk, "%5d  %-10s  %2d/%2d  %12s  %12s  %12s  %8.1f  %7d\n",
		r.Round, work, r.Counts()["counted"], len(r.Entries), value, best, worst, float64(r.BytesUp)/1000, max(r.CommittedMS, r.ClosedMS)-r.OpenedMS)
}

// progress counts up on a terminal.
func (d *demo) progress(what string, total int) func() {
	if !d.terminal {
		return func() {}
	}
	var mu sync.Mutex
	done := 0
	show := func() { fmt.Fprintf(d.talk, "\r%s: %d/%d\033[K", what, done, total) }
	show()
	return func() {
		mu.Lock()
		defer mu.Unlock()
		if done++; done == total {
			fmt.Fprint(d.talk, "\r\033[K")
			return
		}
		show()
	}
}

func (d *demo) report(r *result, picture string) {
	unit := d.ex.unit
	if unit != "" {
		unit = " " + unit
	}
	fmt.Fprintf(d.talk, "\n%s%s on the test rows of all sites, %d rounds:\n", r.Metric, unit, r.Rounds)
	fmt.Fprintf(d.talk, "  %-28s %8.4g   (best %.4g, worst %.4g)\n", "each site alone, mean", r.Isolated.Mean, r.Isolated.Best, r.Isolated.Worst)
	fmt.Fprintf(d.talk, "  %-28s %8.4g\n", "federated", r.Federated)
	fmt.Fprintf(d.talk, "  %-28s %8.4g\n", "all data in one place", r.Centralised)
	d.reportHome(r)
	fmt.Fprintf(d.talk, "\n%d parameters; %.1f kB of updates went up and %.1f kB of models and orders down, all sites and rounds.\n",
		r.Parameters, float64(r.BytesUp)/1000, float64(r.BytesDown)/1000)
	fmt.Fprintf(d.talk, "Model %s\n", r.ModelID)
	for _, n := range d.ex.notes {
		fmt.Fprintf(d.talk, "- %s\n", n)
	}
	fmt.Fprintf(d.talk, "\nPicture: %s · model: %s/model.safetensors · records: %s/aggregator/records/\n", picture, d.Dir, d.Dir)
	fmt.Fprintf(d.talk, "Make every model again, bit by bit:  fedmq verify %s/aggregator\n", d.Dir)
	fmt.Fprintf(d.talk, "The retained topics are kept:  fedmq broker --open --data-dir %s/broker\n", d.Dir)
}
